"""Arrays in flight: their types, and boxes in them."""

from __future__ import annotations

from typing import overload

import numpy as np
import numpy.typing as npt

from napari_unet.core.base.errors import InputError

Span = tuple[int, int]
Box = tuple[Span, ...]
Index = tuple[int, ...]
PlaneBox = tuple[Span, Span]
"""The rows and the columns of a box in a plane."""

Labels = npt.NDArray[np.int32]
AnyLabels = npt.NDArray[np.integer]
Mask = npt.NDArray[np.bool_]
Ids = npt.NDArray[np.int64]
Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]


def as_labels(array: npt.ArrayLike) -> Labels:
    """Return `array` as int32 labels, without a copy where it is int32 already.

    Raises InputError for values that are no whole numbers or do not fit.
    """
    labels = np.asarray(array)
    if labels.dtype == np.int32:
        return labels
    if labels.dtype.kind not in "iub":
        raise InputError(
            f"Labels must be whole numbers, not {labels.dtype}: convert the layer to labels first."
        )
    limits = np.iinfo(np.int32)
    if labels.size and (labels.min() < limits.min or labels.max() > limits.max):
        raise InputError("A label is too large for 32 bits: relabel the cells with smaller numbers first.")
    return labels.astype(np.int32)


@overload
def slices(box: PlaneBox) -> tuple[slice, slice]: ...
@overload
def slices(box: Box) -> tuple[slice, ...]: ...
def slices(box: Box) -> tuple[slice, ...]:
    """Return the index that cuts `box` out of an array."""
    return tuple(slice(start, stop) for start, stop in box)
