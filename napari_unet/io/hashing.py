"""Hashes that tell images apart, whatever their file is called."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unet.core.base import InputError

_BLOCK = 16 << 20  # bytes hashed at a time


_SAMPLES, _SAMPLE_SIDE = 16, 64


_STEPS = (1 / 16, 0.618, 0.414, 0.732, 0.236, 0.646)  # parts of an axis between samples, the last axis first


def hash_image(data: npt.NDArray[Any]) -> str:
    """Return the SHA-256 of an image's dtype, shape and values as hexadecimal digits.

    Byte order and memory layout do not count. Lazy arrays are read in blocks along their first axis.
    """
    if not data.ndim or data.dtype.kind not in "iufcb":
        raise InputError(
            f"An array of {data.dtype} with {data.ndim} axes is no image: open an image of numbers."
        )
    dtype = data.dtype.newbyteorder("<")
    digest = hashlib.sha256(f"{dtype.str} {tuple(data.shape)}".encode())
    row_bytes = math.prod(data.shape[1:]) * dtype.itemsize
    rows = max(1, _BLOCK // max(row_bytes, 1))
    for start in range(0, data.shape[0], rows):
        block = np.ascontiguousarray(data[start : start + rows], dtype=dtype)
        digest.update(block.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def hash_samples(data: Any, source: str | None) -> str:
    """Return a SHA-256 by which an image is known again that is too large to be read for that.

    It is made of the dtype (byte order does not count), the shape, the file `source`, and the values in
    `_SAMPLES` squares of 64 px that are spread over rows, columns and planes: the blocks that they lie in are
    all that is read.
    """
    dtype = np.dtype(data.dtype).newbyteorder("<")
    digest = hashlib.sha256(f"samples {dtype.str} {tuple(data.shape)} {source}".encode())
    for number in range(_SAMPLES):
        where = []
        for size, step in zip(reversed(data.shape), _STEPS, strict=False):
            side = _SAMPLE_SIDE if size > _SAMPLE_SIDE else 1
            start = int((number + 0.5) * step % 1 * (size - side + 1))
            where.append(slice(start, start + side))
        digest.update(np.ascontiguousarray(data[tuple(reversed(where))], dtype=dtype).tobytes())
    return digest.hexdigest()
