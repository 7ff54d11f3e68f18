"""What has to be known of a whole plane before any part of it is segmented, found window by window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.base import InputError, PlaneBox
from napari_unet.core.image.blocks import Shape, plan_blocks
from napari_unet.core.image.normalisation import Limits, percentiles_of, sample_step

RawReader = Callable[[PlaneBox], NDArray[Any]]
"""Returns the pixels (y, x, C) of a box, of any type of numbers."""

WINDOW = 1024


@dataclass(frozen=True, slots=True)
class Survey:
    """Limits of every channel for `rescale`, those of `normalise`, and the contrast in each window."""

    limits: list[Limits]
    contrast: dict[PlaneBox, float]

    def choose_sample(self) -> list[list[PlaneBox]]:
        """Return two rows of two windows that stand for the plane: of most contrast in each quarter."""
        bottom, right = (max(box[axis][1] for box in self.contrast) for axis in (0, 1))

        def pick(low: bool, far: bool) -> PlaneBox:
            there = [
                box for box in self.contrast if (sum(box[0]) > bottom) == low and (sum(box[1]) > right) == far
            ]
            return max(there or self.contrast, key=lambda box: self.contrast[box])

        return [[pick(low, far) for far in (False, True)] for low in (False, True)]


@dataclass(slots=True)
class _Channel:
    sample: list[NDArray[Any]] = field(default_factory=list)
    lowest: float = np.inf
    highest: float = -np.inf


def survey_plane(
    read: RawReader, shape: Shape, on_window: Callable[[int, int], object] = lambda done, total: None
) -> Survey:
    """Look at every pixel of a plane of ``shape`` (Y, X) once.

    ``on_window`` is called with the finished and all windows. Raises InputError for NaN and infinite pixels.
    """
    step = sample_step(shape[0] * shape[1])
    boxes = list(plan_blocks(shape, WINDOW))
    contrast: dict[PlaneBox, float] = {}
    channels: list[_Channel] = []
    for number, box in enumerate(boxes, start=1):
        pixels = read(box)
        _check_numbers(pixels)
        channels = channels or [_Channel() for _ in range(pixels.shape[-1])]
        rows, columns = (np.arange(*span) for span in box)
        sampled = (rows[:, None] * shape[1] + columns) % step == 0
        for channel, values in zip(channels, np.moveaxis(pixels, -1, 0), strict=True):
            channel.sample.append(values[sampled])
            channel.lowest = min(channel.lowest, float(values.min()))
            channel.highest = max(channel.highest, float(values.max()))
        contrast[box] = float(np.std(pixels[..., 0], dtype=np.float64))
        on_window(number, len(boxes))
    return Survey([_find_limits(channel) for channel in channels], contrast)


def _find_limits(channel: _Channel) -> Limits:
    low, high = percentiles_of(np.concatenate(channel.sample))
    return (low, high) if high > low else (channel.lowest, channel.highest)


def _check_numbers(pixels: NDArray[Any]) -> None:
    if pixels.dtype.kind == "f":
        bad = pixels.size - int(np.count_nonzero(np.isfinite(pixels)))
        if bad:
            raise InputError("The image has pixels that are NaN or infinite: replace them by numbers first.")
