"""A part of an image that stands for all of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.core.base.arrays import Float32, PlaneBox
from napari_unet.core.image.blocks import Shape

_Kind = TypeVar("_Kind", bound=np.generic)

_PLACES = 3
"""Along each side of a plane, among which a window is chosen."""


def list_windows(shape: Shape, side: int) -> list[PlaneBox]:
    """Return up to nine windows of at most ``side`` px, evenly spread over a plane of ``shape`` (Y, X)."""
    spans = []
    for size in shape:
        length = min(size, side)
        starts = np.unique(np.linspace(0, size - length, _PLACES).round().astype(int))
        spans.append([(int(start), int(start) + length) for start in starts])
    return [(rows, columns) for rows in spans[0] for columns in spans[1]]


def choose_detailed(parts: Iterable[Float32]) -> Float32:
    """Return the normalised image (Y, X, C) in which there is most to be seen."""
    return max(parts, key=_measure_detail)


def take_centre(array: NDArray[_Kind], shape: Shape) -> NDArray[_Kind]:
    """Return the middle of an array (Y, X, ...), of at most ``shape``."""
    starts = [max(size - length, 0) // 2 for size, length in zip(array.shape, shape, strict=False)]
    return array[starts[0] : starts[0] + shape[0], starts[1] : starts[1] + shape[1]]


def _measure_detail(image: Float32) -> float:
    """Return the share of pixels on edges that stand out from noise."""
    gradient = ndimage.gaussian_gradient_magnitude(image.mean(axis=-1), 2.0)
    return float(np.mean(gradient > 3 * np.median(gradient)))
