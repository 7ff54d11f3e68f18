"""What the cells of a plane look like: form and brightness."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from skimage.measure import regionprops_table

from napari_unet.core.base.arrays import Labels
from napari_unet.core.cells.measure import Columns

LENGTHS = ("perimeter", "axis_major_length", "axis_minor_length")
_FORMS = (*LENGTHS, "eccentricity", "orientation", "solidity")


def measure_form(labels: Labels, pixel_size: float | None = None) -> Columns:
    """Measure the form of every cell of a plane (Y, X), by ascending id, as scikit-image's regionprops does.

    Columns: `perimeter`, `axis_major_length` and `axis_minor_length` of the ellipse of the same moments
    (pixels; with `pixel_size` also in um, as `perimeter_um` ...), `eccentricity` of that ellipse (0 is a
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
