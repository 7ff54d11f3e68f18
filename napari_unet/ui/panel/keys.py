"""The panel's keys in a viewer: each presses a button, or a tool; they go to the canvas under the pointer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QLineEdit,
    QPlainTextEdit,
    QTextEdit,
    QWidget,
)

from napari_unet.ui.canvas import TOOLS, ToolBox, Walk

KEYS = {"Shift-S": "segment", "Shift-N": "next_to_fix", "Shift-R": "mark_reviewed", "Shift-T": "fine_tune"}
"""Object names of the buttons by key."""
ANSWERS = {"T": Walk.take, "R": Walk.accept}
"""What is done by key in the place that is looked at."""
ALL_KEYS = (*KEYS, *ANSWERS, *(tool.key for tool in TOOLS))
_WRITTEN_IN = (QLineEdit, QAbstractSpinBox, QPlainTextEdit, QTextEdit)
_MOVES = (QEvent.Type.Enter, QEvent.Type.MouseMove)


def bind_keys(viewer: Any, panel: QWidget, tools: ToolBox, walk: Walk) -> None:
    """Let the keys press the panel's buttons, take up the tools and answer."""
    for key, name in KEYS.items():
        viewer.bind_key(key, _calling(panel.findChild(QAbstractButton, name).click), overwrite=True)
    for tool in TOOLS:
        viewer.bind_key(tool.key, _calling(tools.press, tool.name), overwrite=True)
    for key, answer in ANSWERS.items():
        viewer.bind_key(key, _calling(answer, walk), overwrite=True)


def unbind_keys(viewer: Any) -> None:
    """Give the keys back."""
    for key in ALL_KEYS:
        viewer.bind_key(key, None)


def _calling(action: Callable[..., object], *values: object) -> Callable[[Any], None]:
    def press(_viewer: Any) -> None:
        action(*values)

    return press


class CanvasFocus(QObject):
    """Gives the keyboard to the canvas when the pointer moves over it, unless something is being written."""

    def watch(self, window: QWidget) -> None:
        """Do so in a window."""
        for widget in window.findChildren(QWidget):
            if hasattr(widget, "_vispy_canvas"):
                widget.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802 - Qt's name
        """Take the focus from a button or a list."""
        if event is not None and event.type() in _MOVES and isinstance(watched, QWidget):
            other = QApplication.focusWidget()
            busy = isinstance(other, _WRITTEN_IN) or QApplication.activePopupWidget() is not None
            if other is not watched and not busy and watched.window().isActiveWindow():
                watched.setFocus()
        return False
