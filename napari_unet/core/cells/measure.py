"""What every cell measures: size, place, brightness."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unet.core.base.arrays import Labels
from napari_unet.core.base.errors import InputError

Columns = dict[str, npt.NDArray[Any]]

_BLOCK = 1 << 19  # pixels summed at a time, so that a window in another thread gets its turn


def measure(
    labels: Labels,
    image: npt.NDArray[Any] | None = None,
    pixel_size: float | None = None,
    *,
    axes: str = "TZYX",
) -> Columns:
    """Measure the cells of `labels` (int32, 0 is background), one row per cell, by ascending id.

    Columns: `index` (the id), `area` (pixels; over all planes of a stack), `centroid_y`, `centroid_x` and so
    on for the last letters of `axes` (pixels), `diameter` (of the circle of that area, for a single plane),
    with `pixel_size` (um) `area_um2` and `diameter_um`, with `image` (same shape) `mean_intensity`.
    Raises InputError where the shapes differ or an id is negative. 60 ms for 2048 x 2048 pixels.
    """
    if image is not None and image.shape != labels.shape:
        raise InputError(f"An image of shape {image.shape} does not fit labels of shape {labels.shape}.")
    if labels.size and labels.min() < 0:
        raise InputError("A label is negative: give every cell a number above 0.")
    ids, rows = _number_rows(labels)
    area = _sum(rows, ids.size)
    columns: Columns = {"index": ids, "area": area.astype(np.int64)}
    for axis, letter in enumerate(axes[-labels.ndim :].lower()):
        places = _sum(rows, ids.size, np.broadcast_to(_along(axis, labels.shape), labels.shape))
        columns[f"centroid_{letter}"] = np.round(places / area, 2)
    if labels.ndim == 2:
        columns["diameter"] = np.round(2 * np.sqrt(area / np.pi), 2)
    if pixel_size is not None:
        columns["area_um2"] = area * pixel_size**2
        if labels.ndim == 2:
            columns["diameter_um"] = 2 * np.sqrt(area / np.pi) * pixel_size
    if image is not None:
        columns["mean_intensity"] = _sum(rows, ids.size, image) / area
    return columns


def _number_rows(labels: Labels) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.intp]]:
    """Return the ids but 0, ascending, and for every pixel the row of its cell plus one, 0 for none."""
    largest = int(labels.max()) if labels.size else 0
    if largest <= max(4 * labels.size, 65535):
        present = np.zeros(largest + 1, np.bool_)
        present[labels.ravel()] = True
        present[0] = False
        ids = np.flatnonzero(present)
        table = np.zeros(largest + 1, np.intp)
        table[ids] = np.arange(1, ids.size + 1)
        return ids.astype(np.int64), table[labels]
    found, rows = np.unique(labels, return_inverse=True)  # a user may type any number as a label
    rows = rows.reshape(labels.shape)
    return found[found != 0].astype(np.int64), rows if found[0] == 0 else rows + 1


def _along(axis: int, shape: Sequence[int]) -> npt.NDArray[np.float64]:
    return np.arange(shape[axis], dtype=np.float64).reshape(
        [-1 if a == axis else 1 for a in range(len(shape))]
    )


def _sum(
    rows: npt.NDArray[np.intp], count: int, values: npt.NDArray[Any] | None = None
) -> npt.NDArray[np.float64]:
    """Add up `values` (ones if None; same shape) over the pixels of each row."""
    total = np.zeros(count + 1)
    step = max(1, _BLOCK * len(rows) // max(rows.size, 1)) if rows.ndim else 1
    for start in range(0, len(rows), step):
        block = slice(start, start + step)
        weights = None if values is None else np.asarray(values[block], np.float64).ravel()
        total += np.bincount(rows[block].ravel(), weights, count + 1)
    return total[1:]
