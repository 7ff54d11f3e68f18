"""Images at another size, window by window: a pixel is the same, whichever window it is asked for in.

What comes out is that of scikit-image's ``resize`` of order 1 with anti-aliasing: linear interpolation, after
a Gaussian filter along the axes that shrink, mirrored at the edges. Each new pixel is a weighted sum of old
ones along Y, then along X.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from napari_unet.core.base import Float32, PlaneBox, Span
from napari_unet.core.image.blocks import Reader, Shape
from napari_unet.core.image.tiling import mirror

_TRUNCATE = 4.0  # standard deviations


def resampled(read: Reader, shape: Shape, new_shape: Shape) -> Reader:
    """Return a reader of windows (y, x, C) of an image of ``shape`` that is resized to ``new_shape`` (Y, X).

    ``read`` gives float32 windows of the image as it is.
    """
    if shape == new_shape:
        return read

    def read_resized(box: PlaneBox) -> Float32:
        rows, down = _weigh(box[0], shape[0], new_shape[0])
        columns, across = _weigh(box[1], shape[1], new_shape[1])
        pixels = read((rows, columns))
        height, width, channels = pixels.shape
        pixels = (down @ pixels.reshape(height, -1)).reshape(-1, width, channels)
        pixels = pixels.transpose(1, 0, 2).reshape(width, -1)
        result = (across @ pixels).reshape(-1, down.shape[0], channels).transpose(1, 0, 2)
        return np.ascontiguousarray(result)

    return read_resized


def _weigh(span: Span, size: int, new_size: int) -> tuple[Span, sparse.csr_array]:
    """Return the old pixels that the new ones of ``span`` are made of, and their weights (new, old)."""
    factor = size / new_size
    kernel = _blur(max(0.0, (factor - 1) / 2))
    reach = len(kernel) // 2
    positions = (np.arange(*span) + 0.5) * factor - 0.5
    lower = np.floor(positions).astype(np.intp)
    share = (positions - lower)[:, None]
    weights = (1 - share) * np.append(kernel, 0) + share * np.append(0, kernel)
    indices = mirror(lower[:, None] + np.arange(-reach, reach + 2), size)
    first, last = int(indices.min()), int(indices.max()) + 1
    matrix = sparse.csr_array(
        (
            weights.astype(np.float32).ravel(),
            (indices - first).ravel(),
            np.arange(len(weights) + 1) * weights.shape[1],
        ),
        shape=(len(weights), last - first),
    )
    return (first, last), matrix


def _blur(sigma: float) -> NDArray[np.float64]:
    if sigma == 0:
        return np.ones(1)
    reach = int(_TRUNCATE * sigma + 0.5)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return np.asarray(kernel / kernel.sum())
