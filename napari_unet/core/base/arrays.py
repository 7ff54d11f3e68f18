"""Arrays in flight: their types, and boxes in them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_unet.core.base.errors import InputError

Box = tuple[tuple[int, int], ...]


Labels = npt.NDArray[np.int32]


Mask = npt.NDArray[np.bool_]


Ids = npt.NDArray[np.int64]


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


def slices(box: Box) -> tuple[slice, ...]:
    """Return the index that cuts `box` out of an array."""
    return tuple(slice(start, stop) for start, stop in box)
