"""How a measurement is spread over the cells, painted as bars."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QFontMetrics, QPainter, QPaintEvent
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_unet.ui.panel.plot import LINE

_BARS = 24
_MARGIN = 6


class Histogram(QWidget):
    """Counts of cells over a measurement, with its smallest, median and largest value below."""

    def __init__(self) -> None:
        super().__init__(objectName="histogram")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.values: npt.NDArray[np.float64] = np.empty(0)

    def show_values(self, values: npt.NDArray[np.float64]) -> None:
        """Show one value for each cell; what is undefined is left out."""
        self.values = values[np.isfinite(values)]
        self.setToolTip(f"{self.values.size} cells" if self.values.size else "")
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return a size that fits a narrow dock."""
        return QSize(240, 72)

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """Paint the bars and the three numbers in the colours of the theme."""
        if not self.values.size:
            return
        painter = QPainter(self)
        height = QFontMetrics(self.font()).height()
        area = QRectF(_MARGIN, _MARGIN, self.width() - 2 * _MARGIN, self.height() - height - 2 * _MARGIN)
        counts, _ = np.histogram(self.values, min(_BARS, max(1, self.values.size)))
        width = area.width() / counts.size
        for number, share in enumerate((counts / counts.max()).tolist()):
            left = area.left() + number * width
            bar = QRectF(left, area.bottom() - share * area.height(), width - 1, share * area.height())
            painter.fillRect(bar, LINE)
        painter.setPen(self.palette().color(self.foregroundRole()))
        below = QRectF(area.left(), area.bottom() + 2, area.width(), height)
        numbers = (self.values.min(), np.median(self.values), self.values.max())
        sides = (Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignHCenter, Qt.AlignmentFlag.AlignRight)
        for number, side, words in zip(numbers, sides, ("{:.4g}", "median {:.4g}", "{:.4g}"), strict=True):
            painter.drawText(below, side, words.format(number))
