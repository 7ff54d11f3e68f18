"""One plane of an image of any axes, read window by window, and the place of its labels."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.base import Index, InputError, PlaneBox
from napari_unet.core.image import Channels, PlaneGrid, RawReader, Shape, rescale, survey_plane

logger = logging.getLogger("napari_unet")


@dataclass(frozen=True, slots=True)
class PlaneSlot:
    """A plane of labels on the disk, as an array (Y, X) to read and write in parts."""

    array: Any
    select: tuple[slice | int, ...]

    def __getitem__(self, where: tuple[slice, slice]) -> NDArray[np.int32]:
        return np.asarray(self.array[self._place(where)])

    def __setitem__(self, where: tuple[slice, slice], values: NDArray[np.int32]) -> None:
        self.array[self._place(where)] = values

    def _place(self, where: tuple[slice, slice]) -> tuple[slice | int, ...]:
        sides = iter(where)
        return tuple(next(sides) if isinstance(at, slice) else at for at in self.select)


@dataclass(frozen=True, slots=True)
class PlaneSource:
    """A plane of an image: its shape, and its pixels by windows."""

    shape: Shape
    read: RawReader


def open_plane(image: Any, grid: PlaneGrid, index: Index, channel: Channels) -> PlaneSource:
    """Return a plane whose windows are read as they are asked for; several channels become their mean."""
    shape = plane_shape(grid)

    def read(box: PlaneBox) -> NDArray[Any]:
        return read_window(image, grid, index, box, channel)

    if len(grid.pick_channels(channel)) < 2:
        return PlaneSource(shape, read)
    limits = survey_plane(read, shape).limits
    return PlaneSource(shape, lambda box: rescale(read(box), limits).mean(-1, keepdims=True))


def plane_shape(grid: PlaneGrid) -> Shape:
    """Return the sizes of Y and X, in the order of the image's axes."""
    rows, columns = (size for axis, size in zip(grid.axes, grid.shape, strict=True) if axis in "YX")
    return rows, columns


def read_window(image: Any, grid: PlaneGrid, index: Index, box: PlaneBox, channel: Channels) -> NDArray[Any]:
    """Return the pixels (Y, X, C) of a window of a plane: the channels picked, for None those that it has.

    RGB becomes grey then. Raises InputError where they cannot be read.
    """
    picked: list[int | None] = [*grid.pick_channels(channel)] or [None]
    return np.concatenate([_read_window(image, grid, index, box, number) for number in picked], -1)


def _read_window(
    image: Any, grid: PlaneGrid, index: Index, box: PlaneBox, channel: int | None
) -> NDArray[Any]:
    steps, spans = iter(index), iter(box)
    key = []
    for axis in grid.axes:
        if axis in "TZ":
            at = next(steps)
            key.append(slice(at, at + 1))
        elif axis in "YX":
            key.append(slice(*next(spans)))
        else:
            key.append(slice(None) if channel is None else slice(channel, channel + 1))
    try:
        pixels = np.asarray(image[tuple(key)])
    except (InputError, MemoryError):
        raise
    except Exception as error:
        logger.info("reading a window failed", exc_info=True)
        (top, bottom), (left, right) = box
        raise InputError(
            f"The image cannot be read at rows {top} to {bottom}, columns {left} to {right}: it is damaged, "
            "copy it again."
        ) from error
    return PlaneGrid(grid.axes, pixels.shape).plane(pixels, (0,) * len(index), None if channel is None else 0)
