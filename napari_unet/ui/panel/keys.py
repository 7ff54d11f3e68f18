"""The panel's keys in a viewer: each presses a button."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtWidgets import QPushButton, QWidget

from napari_unet.ui.canvas import TOOLS

KEYS = {
    **{"Shift-S": "segment", "Shift-N": "next_to_fix", "Shift-R": "mark_reviewed", "Shift-T": "fine_tune"},
    **{"T": "take", "R": "accept_place"},
    **{tool.key: tool.name for tool in TOOLS},
}
"""Object names of the buttons by key."""


def bind_keys(viewer: Any, panel: QWidget) -> None:
    """Let the keys press the panel's buttons."""
    for key, name in KEYS.items():
        viewer.bind_key(key, _pressing(panel.findChild(QPushButton, name)), overwrite=True)


def unbind_keys(viewer: Any) -> None:
    """Give the keys back."""
    for key in KEYS:
        viewer.bind_key(key, None)


def _pressing(button: QPushButton) -> Callable[[Any], None]:
    def press(_viewer: Any) -> None:
        button.click()

    return press
