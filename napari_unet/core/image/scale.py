"""How large cells are, and at what scale a network should see them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.base import Labels

Range = tuple[float, float]

_TOLERANCE = 1.2
_SEEN = 0.1


def measure_object_size(labels: Sequence[Labels]) -> float | None:
    """Return the median diameter in px, 2 sqrt(area / pi), of the cells in label images (Y, X)."""
    areas = np.concatenate([_areas(image) for image in labels])
    return float(2 * np.sqrt(np.median(areas) / np.pi)) if len(areas) else None


def measure_diameters(labels: Labels) -> NDArray[np.float64]:
    """Return the diameters in px, 2 sqrt(area / pi), of the cells in labels (Y, X)."""
    return np.asarray(2 * np.sqrt(_areas(labels) / np.pi), np.float64)


def measure_typical_size(labels: Labels) -> float | None:
    """Return the diameter in px of the cell that the middle pixel of the foreground belongs to; (Y, X).

    Fragments, of which a network at a wrong scale makes many, hold few pixels and hardly change it.
    """
    areas = np.sort(_areas(labels))
    if not len(areas):
        return None
    middle = areas[np.searchsorted(np.cumsum(areas), areas.sum() / 2)]
    return float(2 * np.sqrt(middle / np.pi))


def measure_size_range(labels: Sequence[Labels], scales: Sequence[float] | None = None) -> Range | None:
    """Return the smallest and the largest typical size in px among label images, but for one in twenty.

    With ``scales`` they are those of the images resized by them, one each.
    """
    pairs = zip(labels, scales or [1.0] * len(labels), strict=True)
    sizes = [size * scale for image, scale in pairs if (size := measure_typical_size(image)) is not None]
    if not sizes:
        return None
    low, high = np.percentile(sizes, [5, 95])
    return float(low / _TOLERANCE), float(high * _TOLERANCE)


def fits_range(labels: Labels, scale: float, known: Range | None) -> bool:
    """Whether cells (Y, X) were found, and are as large as those learnt, ``known`` in px, at ``scale``."""
    size = measure_typical_size(labels)
    return size is not None and known is not None and known[0] <= size * scale <= known[1]


def measure_confidence(foreground: NDArray[np.float32]) -> float:
    """Return how sure a network is of the foreground (Y, X) that it sees: the mean of |2p - 1|, 0 to 1.

    Background that it is sure of does not count: a network at a wrong scale is sure of nothing else.
    """
    seen = foreground[foreground > _SEEN]
    return float(np.abs(2 * seen - 1).mean()) if seen.size else 0.0


def _areas(labels: Labels) -> NDArray[np.intp]:
    areas = np.bincount(labels.ravel())[1:]
    return areas[areas > 0]
