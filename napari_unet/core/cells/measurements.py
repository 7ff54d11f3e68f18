"""What every cell measures: size, place, form, brightness."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray
from skimage.measure import regionprops_table

from napari_unet.core.base import Float64, InputError, Labels

Columns = dict[str, npt.NDArray[Any]]

_BLOCK = 1 << 19  # pixels summed at a time, so that a window in another thread gets its turn
LENGTHS = ("perimeter", "axis_major_length", "axis_minor_length")
_FORMS = (*LENGTHS, "eccentricity", "orientation", "solidity")


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
    with `pixel_size` (µm) `area_um2` and `diameter_um`, with `image` (same shape) `mean_intensity`.
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


def measure_form(labels: Labels, pixel_size: float | None = None) -> Columns:
    """Measure the form of every cell of a plane (Y, X), by ascending id, as scikit-image's regionprops does.

    Columns: `perimeter`, `axis_major_length` and `axis_minor_length` of the ellipse of the same moments
    (pixels; with `pixel_size` also in µm, as `perimeter_um` ...), `eccentricity` of that ellipse (0 is a
    circle), `orientation` (radians between the rows' axis and the long one), `solidity` (share of the convex
    hull) and `circularity` (4 pi area / perimeter^2, at most 1; NaN without a perimeter). 1 ms a cell.
    """
    _, numbers = np.unique(labels, return_inverse=True)  # regionprops takes memory by the largest id
    rows = numbers.reshape(labels.shape) + (labels.size > 0 and bool(labels.min() > 0))
    table = regionprops_table(rows, properties=("area", *_FORMS))
    area, perimeter = table.pop("area"), table["perimeter"]
    columns: Columns = {name: np.asarray(table[name], np.float64) for name in _FORMS}
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = 4 * np.pi * area / perimeter**2
    columns["circularity"] = np.where(perimeter > 0, np.minimum(ratio, 1), np.nan)
    if pixel_size is not None:
        columns |= {f"{name}_um": columns[name] * pixel_size for name in LENGTHS}
    return columns


def measure_brightness(labels: Labels, image: npt.NDArray[Any]) -> Columns:
    """Measure one channel (same shape as `labels`) in every cell, by ascending id.

    Columns: `mean_intensity`, `std_intensity`, `min_intensity`, `max_intensity`, in the image's own numbers.
    """
    inside = labels != 0
    rows = np.unique(labels[inside], return_inverse=True)[1]
    values = image[inside][np.argsort(rows, kind="stable")].astype(np.float64)
    counts = np.bincount(rows)
    starts = np.cumsum(counts) - counts
    mean = np.add.reduceat(values, starts) / counts
    variance = np.add.reduceat((values - np.repeat(mean, counts)) ** 2, starts) / counts
    return {
        "mean_intensity": mean,
        "std_intensity": np.sqrt(variance),
        "min_intensity": np.minimum.reduceat(values, starts),
        "max_intensity": np.maximum.reduceat(values, starts),
    }


def fill_ellipse(
    rows: NDArray[Any], columns: NDArray[Any], cell: NDArray[Any], area: NDArray[Any]
) -> Float64:
    """Return each cell's area as a part of that of the ellipse with the same second moments.

    `rows`, `columns` and `cell` (0, 1, ...) are those of all pixels, `area` the pixels of each cell.
    """

    def average(values: Float64) -> Float64:
        return np.bincount(cell, values, area.size) / area

    mean_row, mean_column = average(rows), average(columns)
    row, column = rows - mean_row[cell], columns - mean_column[cell]
    pixel = 1 / 12  # a pixel's own moment
    spread = (average(row * row) + pixel) * (average(column * column) + pixel) - average(row * column) ** 2
    return np.asarray(area / (4 * np.pi * np.sqrt(spread)))
