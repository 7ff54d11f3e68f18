"""The Batch view's list: the images, what became of each, and a place to drop more."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor, QPainter
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTreeWidget, QTreeWidgetItem

from napari_unet.jobs import Outcome
from napari_unet.ui.common import ERROR

_PATH = Qt.ItemDataRole.UserRole
_FILE, _STATUS, _CELLS = range(3)
_EMPTY = "Drop images here,\nor folders of images"
_REMOVE = (Qt.Key.Key_Delete, Qt.Key.Key_Backspace)
_OPEN = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


class FileList(QTreeWidget):
    """The images of a batch with their status and their cells.

    Signals: `dropped(paths)` files or folders, while `takes_files`; `removal_wanted(paths)` by the Delete
    key; `open_wanted(path)` by a double click or Enter.
    """

    dropped = Signal(object)
    removal_wanted = Signal(object)
    open_wanted = Signal(object)

    def __init__(self) -> None:
        super().__init__(objectName="batch_files")
        self.takes_files = True
        self.setHeaderLabels(["Image", "Status", "Cells"])
        self.setToolTip("Double-click an image to see it with its cells; Delete takes it off the list")
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setRootIsDecorated(False)
        self.setAllColumnsShowFocus(True)
        self.setUniformRowHeights(True)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setAcceptDrops(True)
        header = self.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(_FILE, QHeaderView.ResizeMode.Stretch)
        for column, width in ((_STATUS, 96), (_CELLS, 56)):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Interactive)
            header.resizeSection(column, width)
        self._items: dict[Path, QTreeWidgetItem] = {}
        self.itemDoubleClicked.connect(lambda item, _: self.open_wanted.emit(item.data(_FILE, _PATH)))

    @property
    def selected(self) -> list[Path]:
        """The images that are selected."""
        return [item.data(_FILE, _PATH) for item in self.selectedItems()]

    def find_item(self, file: Path) -> QTreeWidgetItem:
        """Return the row of an image."""
        return self._items[file]

    def show_files(self, outcomes: Iterable[Outcome]) -> None:
        """Show these images, and no others; what was selected stays so."""
        selected = set(self.selected)
        self.clear()
        self._items = {outcome.file: _make_item(outcome) for outcome in outcomes}
        self.addTopLevelItems(list(self._items.values()))
        for file in selected & self._items.keys():
            self._items[file].setSelected(True)
        self.viewport().update()

    def show_outcomes(self, outcomes: Iterable[Outcome]) -> None:
        """Show what became of images; the first that failed, or the last, comes into view.

        Where the user has selected one, the list does not move.
        """
        known = [outcome for outcome in outcomes if outcome.file in self._items]
        for outcome in known:
            _show_outcome(self._items[outcome.file], outcome)
        if known and not self.selectedItems():
            failed = [outcome for outcome in known if outcome.status == "failed"]
            self.scrollToItem(self._items[(failed or known[-1:])[0].file])

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Take Delete for a wish to remove, Enter for a wish to open."""
        if event.key() in _REMOVE:
            self.removal_wanted.emit(self.selected)
        elif event.key() in _OPEN and self.selected:
            self.open_wanted.emit(self.selected[0])
        else:
            super().keyPressEvent(event)

    def dragEnterEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Take files and folders, from the desktop or another window."""
        self._take(event)

    def dragMoveEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Take them everywhere on the list."""
        self._take(event)

    def dropEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Say what was dropped."""
        if self._take(event):
            urls = event.mimeData().urls()
            self.dropped.emit([Path(url.toLocalFile()) for url in urls if url.isLocalFile()])

    def paintEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Say what the list is for while it is empty."""
        super().paintEvent(event)
        if not self._items:
            painter = QPainter(self.viewport())
            painter.setPen(self.palette().placeholderText().color())
            painter.drawText(self.viewport().rect(), Qt.AlignmentFlag.AlignCenter, _EMPTY)
            painter.end()

    def _take(self, event: Any) -> bool:
        takes = self.takes_files and any(url.isLocalFile() for url in event.mimeData().urls())
        if takes:
            event.setDropAction(Qt.DropAction.CopyAction)
            event.accept()
        else:
            event.ignore()
        return takes


def _make_item(outcome: Outcome) -> QTreeWidgetItem:
    item = QTreeWidgetItem([outcome.file.name])
    item.setData(_FILE, _PATH, outcome.file)
    item.setToolTip(_FILE, str(outcome.file))
    item.setTextAlignment(_CELLS, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    _show_outcome(item, outcome)
    return item


def _show_outcome(item: QTreeWidgetItem, outcome: Outcome) -> None:
    remark = ", no cells" if outcome.cells == 0 else ", note" if outcome.notes else ""
    item.setText(_STATUS, f"{outcome.status}{remark}")
    item.setText(_CELLS, "" if outcome.cells is None else str(outcome.cells))
    item.setToolTip(_STATUS, outcome.error or outcome.notes or _EXPLAINED[outcome.status])
    item.setToolTip(_CELLS, f"Model: {outcome.model}" if outcome.model else "")
    if outcome.status == "failed":
        item.setForeground(_STATUS, QColor(ERROR))


_EXPLAINED = {
    "waiting": "Not segmented yet",
    "done": "Segmented by this batch",
    "kept": "Was finished before, with the same model and options: nothing was done again",
    "failed": "",
}
