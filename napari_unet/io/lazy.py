"""From what size on an image is segmented in parts."""

from __future__ import annotations

from importlib.util import find_spec

from napari_unet.core.image import PlaneGrid

LARGE = 1 << 25
"""Pixels of a plane, or in all planes a multiple, from which an image is segmented in parts."""


_PLANES = 8


def is_large(grid: PlaneGrid) -> bool:
    """Whether an image is better segmented in parts, and the package for that is there."""
    if find_spec("zarr") is None:
        return False
    sizes = dict(zip(grid.axes, grid.shape, strict=True))
    pixels = sizes["Y"] * sizes["X"]
    return pixels > LARGE or pixels * len(list(grid.indices())) > _PLANES * LARGE
