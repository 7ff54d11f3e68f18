"""A stroke of the mouse on the canvas, the line that shows it, and the pointer where no button is pressed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QColor, QCursor, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QApplication, QWidget

_TREMBLE = 4
"""A stroke that leaves no box of so many pixels of the screen is a click."""
_CLOSED = 0.25
"""A stroke is a loop when its ends are nearer to each other than this part of its length."""


@dataclass(slots=True)
class Stroke:
    """A stroke of the mouse: its points as (row, column) of the plane and as (x, y) of the canvas.

    `by_key` says that it is one point, where the pointer was when a key was pressed, `with_shift` that Shift
    was held down.
    """

    points: list[tuple[float, float]] = field(default_factory=list)
    places: list[tuple[float, float]] = field(default_factory=list)
    by_key: bool = False
    with_shift: bool = False

    @property
    def is_click(self) -> bool:
        """Whether the mouse hardly moved."""
        return self.by_key or bool(np.ptp(self.places, axis=0).max() < _TREMBLE)

    @property
    def is_loop(self) -> bool:
        """Whether it ends near its beginning."""
        if self.is_click:
            return False
        steps = np.diff(self.places, axis=0, append=self.places[:1])
        lengths = np.hypot(*steps.T)
        return bool(lengths[-1] <= _CLOSED * lengths[:-1].sum())


class StrokePreview(QWidget):
    """The line that is being drawn, on top of the canvas."""

    @classmethod
    def over(cls, event: Any) -> StrokePreview:
        """Return a preview on the widget that a mouse event of napari came to."""
        return cls(QApplication.widgetAt(event.native.globalPosition().toPoint()))

    def __init__(self, canvas: QWidget | None) -> None:
        super().__init__(canvas)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._line = QPolygonF()
        if canvas is not None:
            self.resize(canvas.size())

    def show_places(self, places: Sequence[tuple[float, float]], *, closed: bool) -> None:
        """Show a line through places (x, y) of the canvas, and back to the first where it is `closed`."""
        self._line = QPolygonF([QPointF(*place) for place in (*places, *places[: int(closed)])])
        self.setVisible(self.parent() is not None)
        self.update()

    def remove(self) -> None:
        """Show it no longer."""
        self.hide()
        self.deleteLater()

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """Paint the line so that it is seen on dark and on light."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for colour, width in (("black", 4), ("white", 2)):
            painter.setPen(QPen(QColor(colour), width))
            painter.drawPolyline(self._line)


def find_pointer(viewer: Any) -> tuple[float, ...] | None:
    """Return where in the world of a viewer the pointer is, None where it is not over the canvas."""
    canvas = QApplication.widgetAt(QCursor.pos())
    if canvas is None or not hasattr(canvas, "_vispy_canvas"):
        return None
    if QApplication.activeWindow() not in (None, canvas.window()):  # the canvas of another window
        return None
    # napari knows the place from the last move of the mouse, but the view may have moved since.
    none = Qt.MouseButton.NoButton
    here = QPointF(canvas.mapFromGlobal(QCursor.pos())), QPointF(QCursor.pos())
    move = QMouseEvent(QEvent.Type.MouseMove, *here, none, none, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(canvas, move)
    return tuple(viewer.cursor.position)
