"""The few colours of our own, readable on napari's dark and light themes."""

from __future__ import annotations

from qtpy.QtWidgets import QWidget

NEXT, NEXT_HOVER = "#0072B2", "#1A86C4"
ERROR = "#D55E00"

PANEL = f"""
QGroupBox {{ font-weight: bold; }}
QGroupBox QWidget {{ font-weight: normal; }}
QPushButton[next="true"]:enabled {{ background-color: {NEXT}; color: white; font-weight: bold; }}
QPushButton[next="true"]:enabled:hover {{ background-color: {NEXT_HOVER}; }}
QLabel[error="true"] {{ background-color: {ERROR}; color: white; border-radius: 2px; padding: 4px; }}
QLineEdit[error="true"] {{ border: 1px solid {ERROR}; }}
QLabel#hint, QLabel#batch_hint {{ font-weight: bold; }}
QTreeWidget::item {{ padding: 3px 0px; }}
QGroupBox::title {{ subcontrol-origin: margin; left: 4px; }}
"""


def set_look(widget: QWidget, name: str, value: bool) -> None:
    """Give a widget the look that `PANEL` has for a property, or take it away."""
    if bool(widget.property(name)) != value:
        widget.setProperty(name, value)
        widget.style().unpolish(widget)
        widget.style().polish(widget)
