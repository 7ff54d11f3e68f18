"""Image planes to the network's input: finite, grey or multi-channel float32, about 0 to 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.base import CLIP, HIGH, LOW, Float32, InputError

Limits = tuple[float, float]

_SAMPLE = 1 << 20
_LUMINANCE = np.array([0.2125, 0.7154, 0.0721], np.float32)  # ITU-R BT.709


def check_pixels(image: NDArray[np.generic]) -> None:
    """Raise InputError if ``image`` (any shape) is not real numbers, is empty, constant or not finite."""
    if image.dtype.kind not in "buif":
        raise InputError(f"The image has pixels of type {image.dtype}: convert them to numbers first.")
    if image.size == 0:
        raise InputError(f"The image is empty (shape {image.shape}): open an image with at least one pixel.")
    if image.dtype.kind == "f":
        bad = image.size - int(np.count_nonzero(np.isfinite(image)))
        if bad:
            raise InputError(
                f"The image has {bad} pixels that are NaN or infinite: replace them by numbers first."
            )
    if image.min() == image.max():
        raise InputError(
            f"The image is constant (every pixel is {image.flat[0]}): there is nothing to segment."
        )


def to_grey(rgb: NDArray[np.generic]) -> Float32:
    """Return the luminance (Y, X) of an RGB or RGBA plane (Y, X, 3 or 4); alpha is ignored."""
    luminance: Float32 = rgb[..., :3].astype(np.float32) @ _LUMINANCE
    return luminance


def percentiles(plane: NDArray[np.generic]) -> tuple[float, float]:
    """Return the 1st and 99.8th percentile of a plane, from at most a million evenly spread pixels."""
    flat = plane.reshape(-1)
    return percentiles_of(flat[:: sample_step(flat.size)])


def sample_step(pixels: int) -> int:
    """Return how far apart the pixels of a plane, row after row, lie of which percentiles are taken."""
    return max(1, pixels // _SAMPLE)


def percentiles_of(sample: NDArray[np.generic]) -> Limits:
    """Return the 1st and 99.8th percentile of the pixels given."""
    low, high = np.percentile(sample.astype(np.float64), [LOW, HIGH])
    return float(low), float(high)


def normalise(plane: NDArray[np.generic]) -> Float32:
    """Scale each channel of a plane (Y, X, C) so that its 1st percentile is 0 and its 99.8th is 1.

    Values outside are clipped to [-1, 3]. A constant channel becomes 0.
    """
    return rescale(plane, [find_limits(plane[..., channel]) for channel in range(plane.shape[-1])])


def find_limits(values: NDArray[np.generic]) -> Limits:
    """Return the values of a plane that become 0 and 1; both are the same where it is constant."""
    low, high = percentiles(values)
    return (low, high) if high > low else (float(values.min()), float(values.max()))


def rescale(plane: NDArray[np.generic], limits: Sequence[Limits]) -> Float32:
    """Scale each channel of a plane (Y, X, C), or of a part of it, so that its limits become 0 and 1."""
    result = np.zeros(plane.shape, np.float32)
    for channel, (low, high) in enumerate(limits):
        values = plane[..., channel]
        if high > low:
            # Subtract in float64 where float32 would lose the signal under a large offset.
            precision = np.float64 if values.dtype.itemsize > 2 else np.float32
            wide: NDArray[np.floating] = values.astype(precision)
            result[..., channel] = np.clip((wide - low) / (high - low), *CLIP)
    return result
