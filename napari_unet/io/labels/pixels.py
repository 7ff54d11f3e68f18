"""Label images - TIFF, PNG, NumPy arrays, OME-Zarr - made to fit the image that they are for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from skimage.measure import label

from napari_unet.core.base import InputError, Labels
from napari_unet.core.image import default_axes, iterate_planes
from napari_unet.io import LABELS, files, is_zarr, list_labels, read_multiscale
from napari_unet.io.labels.numpy_file import read_npy
from napari_unet.io.labels.target import LabelFile, Target, describe_shape

_MOST_PIECES = 50  # connected pieces to each number of what is called labels; a photograph has hundreds
_FEWEST_PIECES = 2000  # below which nothing is concluded
_BINARY = (1, 255)


def read_pixels(path: Path, target: Target) -> LabelFile:
    """Return a label image of any whole numbers for `target`; numbers stay what they are.

    A mask that knows one number only, 1 or 255, is cut into its connected pieces. Raises InputError for what
    is no label image, or one of another size.
    """
    origin = "label image"
    if path.suffix.lower() == ".npy":
        array, origin = read_npy(path)
        if array.ndim < 2 or 0 in array.shape:
            raise InputError(f"{path.name} has the shape {array.shape}: masks need rows and columns.")
    elif is_zarr(path):
        array, origin = files.read_labels(_find_labels(path)), "OME-Zarr"
    else:
        array = files.read_labels(path)
    return fit_labels(array, target, path.name, origin)


def fit_labels(array: npt.NDArray[Any], target: Target, name: str, origin: str = "label image") -> LabelFile:
    """Return an array of whole numbers >= 0 as the labels of `target`; `name` is what messages call it.

    Axes of length 1 may be missing or too many. Raises InputError for other numbers, another size, and for
    what looks like a photograph.
    """
    labels = _check_numbers(array, name)
    if tuple(n for n in labels.shape if n > 1) != tuple(n for n in target.shape if n > 1):
        axes = default_axes(labels.ndim)
        size = describe_shape(labels.shape, axes) if 2 <= labels.ndim <= 4 else f"of shape {labels.shape}"
        raise InputError(
            f"{name} is {size}, but this image is {target.describe()}: choose the masks of this image."
        )
    labels = labels.reshape(target.shape)
    pieces = sum(label(plane, connectivity=2).max() for _, plane in iterate_planes(labels, target.axes))
    ids = np.unique(labels[labels > 0])
    if pieces >= _FEWEST_PIECES and pieces > _MOST_PIECES * ids.size and ids.size > 1:
        raise InputError(
            f"{name} looks like a photograph: {ids.size} numbers in {pieces} pieces. Choose an image in "
            "which each cell has a number of its own."
        )
    if ids.size == 1 and ids[0] in _BINARY and pieces > 1:
        cells = label(labels, connectivity=1).astype(np.int32)
        note = f"All cells had the number {ids[0]}: each connected piece became a cell of its own."
        return LabelFile(cells, origin, (note,))
    return LabelFile(labels, origin)


def _check_numbers(array: npt.NDArray[Any], name: str) -> Labels:
    if array.dtype.kind not in "biuf":
        raise InputError(f"{name} holds {array.dtype} values: save labels as whole numbers.")
    if array.dtype.kind == "f" and not np.array_equal(array, np.rint(array)):
        raise InputError(f"{name} holds fractions, not labels: save one whole number per pixel.")
    if array.min() < 0 or array.max() > np.iinfo(np.int32).max:
        raise InputError(f"{name} holds numbers outside 0 to 2147483647: renumber its labels.")
    return array.astype(np.int32, copy=False)


def _find_labels(path: Path) -> Path:
    """Return the folder of the labels in an OME-Zarr, which may be the labels themselves or their image."""
    if read_multiscale(path).is_labels:
        return path
    names = list_labels(path)
    if len(names) == 1:
        return path / LABELS / names[0]
    if names:
        raise InputError(
            f"{path.name} has several labels: choose one of the folders {', '.join(names)} in it."
        )
    # A label image that does not say so is one all the same, if its numbers are.
    return path
