"""The Models view's two lists: the models as a family tree, and what made one or two of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHeaderView, QTableWidget, QTableWidgetItem, QTreeWidget, QTreeWidgetItem
from superqt.utils import signals_blocked

from napari_unet.models import (
    UNKNOWN,
    Change,
    Version,
    describe_change,
    format_count,
    format_date,
    format_gain,
    sort_by_descent,
    tabulate,
)

_WIDEST_NAME = 150  # px, so that the figures are in view in a narrow dock
_DAY = 10  # characters of a date with its time
_PATH = Qt.ItemDataRole.UserRole


class ModelTree(QTreeWidget):
    """The models, each below the one that it was fine-tuned from; F2 asks for another name."""

    rename_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("model_list")
        self.setHeaderLabels(["Model", "AP50", "Cells", "Made", "Segments", "Parent"])
        self.headerItem().setToolTip(1, "Share of held-out cells found at IoU 0.5, before → after learning")
        self.headerItem().setToolTip(2, "Cells that it learnt from")
        self.setSelectionMode(QTreeWidget.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QTreeWidget.EditTrigger.NoEditTriggers)
        self.setAllColumnsShowFocus(True)
        self.setUniformRowHeights(True)
        self.setIndentation(14)
        self.header().setStretchLastSection(False)
        self.header().setSectionResizeMode(QHeaderView.ResizeMode.Interactive)

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Take F2 for a wish to rename."""
        if event.key() == Qt.Key.Key_F2:
            self.rename_wanted.emit()
        else:
            super().keyPressEvent(event)

    @property
    def selected(self) -> list[Path]:
        """The files of the models that are selected, from top to bottom."""
        items = sorted(self.selectedItems(), key=lambda item: self.visualItemRect(item).top())
        return [item.data(0, _PATH) for item in items]

    def find_item(self, path: Path) -> QTreeWidgetItem | None:
        """Return the row of a model."""
        items = self.findItems("*", Qt.MatchFlag.MatchWildcard | Qt.MatchFlag.MatchRecursive)
        return next((item for item in items if item.data(0, _PATH) == path), None)

    def begin_rename(self, path: Path) -> None:
        """Let the user type another name, in its place; `itemChanged` tells that it was done."""
        item = self.find_item(path)
        if item is not None:
            self.scrollToItem(item)
            self.editItem(item, 0)

    def show_versions(self, versions: Sequence[Version], selected: Collection[Path]) -> None:
        """Show these models, those whose files are named selected."""
        with signals_blocked(self):
            self.clear()
            items: dict[str, QTreeWidgetItem] = {}
            for version, _ in sort_by_descent(versions):
                above = items.get(version.card.parent or "", self.invisibleRootItem())
                item = _make_item(version, describe_change(version, versions))
                above.addChild(item)
                items.setdefault(version.sha256, item)
                item.setSelected(version.entry.path in selected)
            self.expandAll()
        for column in range(self.columnCount()):
            self.resizeColumnToContents(column)
        self.setColumnWidth(0, min(self.columnWidth(0), _WIDEST_NAME))


class Comparison(QTableWidget):
    """What made one or two models, side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("comparison")
        self.verticalHeader().setVisible(False)
        self.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.setShowGrid(False)
        self.setWordWrap(True)

    def show_versions(self, compared: Sequence[Version], versions: Sequence[Version]) -> None:
        """Show these of all models; hidden where there are none."""
        self.setVisible(bool(compared))
        columns = [_describe(version, versions) for version in compared]
        rows = list(columns[0]) if columns else []
        self.setColumnCount(1 + len(columns))
        self.setRowCount(len(rows))
        self.setHorizontalHeaderLabels(["", *(version.card.name for version in compared)])
        for row, title in enumerate(rows):
            self.setItem(row, 0, QTableWidgetItem(title))
            values = [column[title] for column in columns]
            for column, value in enumerate(values, start=1):
                item = QTableWidgetItem(value)
                item.setToolTip(value)
                _set_bold(item, bold=len(set(values)) > 1)
                self.setItem(row, column, item)
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        if columns:
            header.setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        self.resizeRowsToContents()


def _describe(version: Version, versions: Sequence[Version]) -> dict[str, str]:
    """Return the rows of a model in the comparison."""
    made_with = ", ".join(f"{name} {number}" for name, number in version.card.versions.items())
    return {
        **tabulate(describe_change(version, versions)),
        "Made with": made_with or UNKNOWN,
        "SHA-256": version.sha256,
    }


def _make_item(version: Version, change: Change) -> QTreeWidgetItem:
    gain = format_gain(change, lambda scores: scores.ap50)
    parent = str(change.parent or "")
    made = format_date(change.created)[:_DAY]
    item = QTreeWidgetItem([change.name, gain, format_count(change.cells), made, change.title, parent])
    item.setData(0, _PATH, version.entry.path)
    item.setToolTip(0, f"{version.card.name}: {version.card.description or version.entry.path}")
    if not version.entry.bundled:
        item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
    return item


def _set_bold(item: QTableWidgetItem, *, bold: bool) -> None:
    font = item.font()
    font.setBold(bold)
    item.setFont(font)
