"""Which of the corrected images the network learns from: a line that says how many, and a list to choose."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QPoint, Qt, Signal
from qtpy.QtWidgets import QListWidget, QListWidgetItem, QMenu, QPushButton, QWidgetAction
from superqt.utils import signals_blocked

from napari_unet.session import Teacher

_MOST_ROWS = 12


class ImagesUsed(QPushButton):
    """Says how many images teach; pressed, it lists them to be ticked. `chosen(key, teaches)` is emitted."""

    chosen = Signal(str, bool)

    def __init__(self) -> None:
        super().__init__(objectName="images_used")
        self.setFlat(True)
        self.setToolTip("Choose which of the corrected images the network learns from")
        self.list = QListWidget(objectName="images_list")
        self._menu = QMenu(self)
        action = QWidgetAction(self._menu)
        action.setDefaultWidget(self.list)
        self._menu.addAction(action)
        self.clicked.connect(lambda: self._menu.popup(self.mapToGlobal(QPoint(0, self.height()))))
        self.list.itemChanged.connect(self._tell)
        self._shown: list[Teacher] = []
        self.show_teachers(())

    def show_teachers(self, teachers: Sequence[Teacher]) -> None:
        """Show the corrected images; nothing where there is none."""
        self.setVisible(bool(teachers))
        used = sum(teacher.used for teacher in teachers)
        of = f"{used}" if used == len(teachers) else f"{used} of {len(teachers)}"
        self.setText(f"Learns from {of} image{'s' * (len(teachers) != 1)} ▾")
        if list(teachers) == self._shown:
            return
        self._shown = list(teachers)
        with signals_blocked(self.list):
            self.list.clear()
            for teacher in teachers:
                item = QListWidgetItem(teacher.name, self.list)
                item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
                item.setCheckState(Qt.CheckState.Checked if teacher.used else Qt.CheckState.Unchecked)
                item.setData(Qt.ItemDataRole.UserRole, teacher.key)
        rows = min(len(teachers), _MOST_ROWS)
        self.list.setFixedHeight(rows * max(self.list.sizeHintForRow(0), 1) + 2 * self.list.frameWidth())

    def _tell(self, item: QListWidgetItem) -> None:
        used = item.checkState() == Qt.CheckState.Checked
        self.chosen.emit(item.data(Qt.ItemDataRole.UserRole), used)
