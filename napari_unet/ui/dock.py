"""Where our views stand in napari's window: beside the panel of the same viewer, if there is one."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QApplication, QDockWidget, QMainWindow, QWidget

from napari_unet.ui.panel import UNetPanel


def find_panel(viewer: Any) -> UNetPanel | None:
    """Return the panel that is open in a viewer."""
    panels = (widget for widget in QApplication.allWidgets() if isinstance(widget, UNetPanel))
    return next((panel for panel in panels if panel.viewer is viewer and not panel.session.closed), None)


def join_panel(view: QWidget, panel: UNetPanel | None) -> None:
    """Let a view take the panel's place in its dock area, as a tab, instead of the little room below it."""
    window = view.window()
    if not isinstance(window, QMainWindow) or panel is None or panel.window() is not window:
        return
    mine, other = view.parent(), panel.parent()
    docked = isinstance(mine, QDockWidget) and isinstance(other, QDockWidget)
    if docked and window.dockWidgetArea(mine) == window.dockWidgetArea(other):
        window.tabifyDockWidget(other, mine)
        mine.raise_()
