"""How much cells fill of ellipses: those grown together, crescents and branches fill little of theirs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def fill_ellipse(rows: NDArray[Any], columns: NDArray[Any], cell: NDArray[Any], area: NDArray[Any]) -> Floats:
    """Return each cell's area as a part of that of the ellipse with the same second moments.

    `rows`, `columns` and `cell` (0, 1, ...) are those of all pixels, `area` the pixels of each cell.
    """

    def average(values: Floats) -> Floats:
        return np.bincount(cell, values, area.size) / area

    mean_row, mean_column = average(rows), average(columns)
    row, column = rows - mean_row[cell], columns - mean_column[cell]
    pixel = 1 / 12  # a pixel's own moment
    spread = (average(row * row) + pixel) * (average(column * column) + pixel) - average(row * column) ** 2
    return np.asarray(area / (4 * np.pi * np.sqrt(spread)))
