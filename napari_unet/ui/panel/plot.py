"""The learning curves, painted as they grow."""

from __future__ import annotations

import math
from collections.abc import Sequence

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

LINE = QColor("#009E73")
SCORE = QColor("#E69F00")
_MARGIN = 6
_DOT = 2.5
_SMOOTHING = 0.9
_MOST_POINTS = 600


class LossPlot(QWidget):
    """Loss and score over steps, with numbers on the axes.

    Single losses are faint, their running mean is a line. The score, where it was measured, is on held-out
    corrections; the plot's height is from 0 to 1.
    """

    def __init__(self) -> None:
        super().__init__(objectName="loss_plot")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip(
            "Loss: how far the network is from your corrections while it learns; lower is better.\n"
            "Score: how well it does on corrections that it does not learn from, 0 to 1; higher is better."
        )
        self._steps: list[float] = []
        self._losses: list[float] = []
        self._means: list[float] = []
        self._scores: list[tuple[float, float]] = []

    @property
    def points(self) -> list[tuple[float, float]]:
        """The (step, loss) pairs shown."""
        return list(zip(self._steps, self._losses, strict=True))

    @property
    def scores(self) -> list[tuple[float, float]]:
        """The (step, score) pairs shown."""
        return list(self._scores)

    def clear(self) -> None:
        """Begin new curves."""
        self._steps, self._losses, self._means, self._scores = [], [], [], []
        self.update()

    def add(self, step: float, loss: float) -> None:
        """Continue the curve; a loss that is no number is left out."""
        if not math.isfinite(loss):
            return
        mean = _SMOOTHING * self._means[-1] + (1 - _SMOOTHING) * loss if self._means else loss
        self._steps.append(step)
        self._losses.append(loss)
        self._means.append(mean)
        self.update()

    def add_score(self, step: float, score: float) -> None:
        """Continue the curve of scores; one that is there already may come again."""
        if (step, score) not in self._scores[-1:]:
            self._scores.append((step, score))
            self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return a size that fits a narrow dock."""
        return QSize(240, 120)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return the smallest size at which the numbers can be read."""
        return QSize(120, 100)

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """Paint axes, numbers and curve in the colours of the theme."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        metrics = QFontMetrics(self.font())
        ink = self.palette().color(self.foregroundRole())
        top = max(self._losses, default=1.0) or 1.0
        left = metrics.horizontalAdvance(_number(top)) + 2 * _MARGIN
        bottom = metrics.height() + _MARGIN
        head = metrics.height() + _MARGIN  # the figures stand above the curves
        area = QRectF(left, head, self.width() - left - _MARGIN, self.height() - bottom - head)
        painter.setPen(QPen(_faded(ink, 90)))
        painter.drawLine(area.bottomLeft(), area.bottomRight())
        painter.drawLine(area.bottomLeft(), area.topLeft())
        painter.setPen(ink)
        if not self._steps:
            painter.drawText(area, Qt.AlignmentFlag.AlignCenter, "loss, once it learns")
            return
        last = max(self._steps[-1], 1.0)
        self._paint_numbers(painter, area, metrics, top, last)
        for values, pen in ((self._losses, QPen(_faded(LINE, 90), 1)), (self._means, QPen(LINE, 2))):
            painter.setPen(pen)
            painter.drawPolyline(_curve(self._steps, values, area, last, top))
        self._paint_scores(painter, area, last)

    def _paint_scores(self, painter: QPainter, area: QRectF, last: float) -> None:
        if not self._scores:
            return
        steps, scores = zip(*self._scores, strict=True)
        curve = _curve(steps, scores, area, last, 1.0)
        painter.setPen(QPen(SCORE, 2))
        painter.drawPolyline(curve)
        painter.setBrush(SCORE)
        for point in curve:
            painter.drawEllipse(point, _DOT, _DOT)

    def _paint_numbers(
        self, painter: QPainter, area: QRectF, metrics: QFontMetrics, top: float, last: float
    ) -> None:
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        height = metrics.height()
        for value, y in ((top, area.top() + height / 2), (0.0, area.bottom() - height / 2)):
            box = QRectF(0, y - height / 2, area.left() - _MARGIN, height)
            painter.drawText(box, right, _number(value))
        below = QRectF(area.left(), area.bottom() + 2, area.width(), height)
        painter.drawText(below, Qt.AlignmentFlag.AlignLeft, "0")
        painter.drawText(below, Qt.AlignmentFlag.AlignHCenter, "step")
        painter.drawText(below, Qt.AlignmentFlag.AlignRight, f"{last:.0f}")
        box = QRectF(area.left(), 0, area.width(), height)
        painter.setPen(LINE)
        painter.drawText(box, Qt.AlignmentFlag.AlignLeft, f"loss {_number(self._means[-1])}")
        if self._scores:
            painter.setPen(SCORE)
            painter.drawText(box, Qt.AlignmentFlag.AlignRight, f"score {self._scores[-1][1]:.2f}")


def _curve(
    steps: Sequence[float], values: Sequence[float], area: QRectF, last: float, top: float
) -> QPolygonF:
    stride = max(1, len(steps) // _MOST_POINTS)
    return QPolygonF(
        [
            QPointF(area.left() + area.width() * step / last, area.bottom() - area.height() * value / top)
            for step, value in zip(steps[::stride], values[::stride], strict=True)
        ]
    )


def _faded(colour: QColor, alpha: int) -> QColor:
    faded = QColor(colour)
    faded.setAlpha(alpha)
    return faded


def _number(value: float) -> str:
    return f"{value:.2g}" if value else "0"
