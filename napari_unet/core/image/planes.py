"""The planes of a stack one by one, whatever the order of its axes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from napari_unet.core.image.axes import PlaneGrid

Place = dict[str, int]
"""Where a plane lies in its stack: index by axis, for those of T and Z that there are."""


def default_axes(ndim: int) -> str:
    """Return the axes of labels that do not name theirs: the last letters of TZYX."""
    return "TZYX"[-ndim:]


def iterate_planes(array: Any, axes: str) -> Iterator[tuple[Place, Any]]:
    """Return the place and a view of every plane of `array`: (Y, X), or (Y, X, C) where it has C or S.

    Works for lazy arrays too. Raises InputError where the letters of `axes` do not fit the shape.
    """
    grid = PlaneGrid(axes, tuple(array.shape))
    stacked = [axis for axis in axes if axis in "TZ"]
    inside = [axis for axis in axes if axis not in "TZ"]
    order = [inside.index(axis) for axis in "YXCS" if axis in inside]
    for index in np.ndindex(grid.stack_shape):
        place = dict(zip(stacked, index, strict=True))
        yield place, array[tuple(place.get(axis, slice(None)) for axis in axes)].transpose(order)
