"""A part of an image that stands for all of it."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from napari_unet.core.base import Float32, PlaneBox, slices
from napari_unet.core.image.blocks import Shape

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


def choose_window(image: Float32, side: int) -> PlaneBox:
    """Return the window, one of `list_windows`, of a normalised image (Y, X, C) with most to be seen."""
    windows = list_windows((image.shape[0], image.shape[1]), side)
    return max(windows, key=lambda window: measure_detail(image[slices(window)]))


def measure_detail(image: Float32) -> float:
    """Return how much is to be seen in a normalised image (Y, X, C): the share of pixels on edges that stand
    out from noise.
    """
    gradient = ndimage.gaussian_gradient_magnitude(image.mean(axis=-1), 2.0)
    return float(np.mean(gradient > 3 * np.median(gradient)))
