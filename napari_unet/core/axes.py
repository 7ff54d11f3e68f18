"""Which axis of an image is what: the planes to segment, and the shape of the labels that come back.

Axes are named by one letter each: T time, Z depth, C channels, Y rows, X columns, S the samples of an
RGB(A) image. Labels keep all axes but C and S, in the image's own order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import InputError
from napari_unet.core.normalise import to_grey

KNOWN = "TZCYXS"
_MOST_CHANNELS = 4
_WORDS = {"T": "frame", "Z": "plane", "C": "channel"}
Index = tuple[int, ...]


def guess_axes(shape: tuple[int, ...], *, rgb: bool | None = None) -> str:
    """Return the likely axes of an image of ``shape``; InputError if it has fewer than 2 axes or over 6.

    A last axis of 3 or 4 behind two longer ones is taken for RGB unless ``rgb`` says otherwise; one short
    leading axis (2 to 4) for channels; then Z, then T.
    """
    if rgb is None:
        rgb = len(shape) > 2 and shape[-1] in (3, 4) and min(shape[-3:-1]) > _MOST_CHANNELS
    tail = "YXS" if rgb else "YX"
    leading = shape[: len(shape) - len(tail)]
    if len(shape) < len(tail) or len(leading) > 3:
        raise InputError(
            f"An image of shape {shape} has {len(shape)} axes: give one with rows and columns, and at most "
            "time, depth and channels besides."
        )
    short = [i for i, size in enumerate(leading) if 2 <= size <= _MOST_CHANNELS]
    if not rgb and (len(leading) == 3 or len(short) == 1):
        channel = short[-1] if short else 2
        others = iter("TZ"[-(len(leading) - 1) :] if len(leading) > 1 else "")
        return "".join("C" if i == channel else next(others) for i in range(len(leading))) + tail
    if len(leading) > 2:
        raise InputError(f"An RGB image of shape {shape} has too many axes: say which is which with axes.")
    return "TZ"[2 - len(leading) :] + tail


@dataclass(frozen=True, slots=True)
class PlaneGrid:
    """The planes of an image with known axes."""

    axes: str
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        _check(self.axes, self.shape)

    @property
    def label_axes(self) -> str:
        """Axes of the labels: those of the image but C and S."""
        return "".join(a for a in self.axes if a not in "CS")

    @property
    def label_shape(self) -> tuple[int, ...]:
        """Shape of the labels."""
        return tuple(n for a, n in zip(self.axes, self.shape, strict=True) if a not in "CS")

    @property
    def channels(self) -> int:
        """Size of C or S, or 1."""
        return next((n for a, n in zip(self.axes, self.shape, strict=True) if a in "CS"), 1)

    @property
    def stack_shape(self) -> tuple[int, ...]:
        """Sizes of the axes over which planes are counted (T and Z), in the image's order."""
        return tuple(n for a, n in zip(self.axes, self.shape, strict=True) if a in "TZ")

    def indices(self) -> Iterator[Index]:
        """Return the index of every plane along ``stack_shape``."""
        return np.ndindex(self.stack_shape)

    def select(self, index: Index) -> tuple[slice | int, ...]:
        """Return the indexing expression of the plane's labels within the labels array."""
        steps = iter(index)
        return tuple(next(steps) if a in "TZ" else slice(None) for a in self.label_axes)

    def plane(
        self, image: NDArray[np.generic], index: Index, channel: int | None = None
    ) -> NDArray[np.generic]:
        """Return one plane as (Y, X, C): a single channel, or grey from RGB, unless the image has more.

        ``channel`` picks one; None takes the luminance of RGB and all of C. InputError if there is no such
        channel. Y and X come in the order of the image's axes.
        """
        steps = iter(index)
        plane = image[tuple(next(steps) if a in "TZ" else slice(None) for a in self.axes)]
        plane = np.asarray(plane)
        samples = next((a for a in self.axes if a in "CS"), None)
        if samples is None:
            return plane[..., None]
        left = [a for a in self.axes if a not in "TZ"]
        plane = np.moveaxis(plane, left.index(samples), -1)
        if channel is not None:
            if not 0 <= channel < plane.shape[-1]:
                raise InputError(
                    f"There is no channel {channel}: the image has channels 0 to {plane.shape[-1] - 1}."
                )
            return plane[..., channel : channel + 1]
        if samples == "S" and plane.shape[-1] >= 3:
            return to_grey(plane)[..., None]
        return plane

    def describe(self) -> str:
        """Return the image's make-up in words, such as '10 frames x 1 plane, 2 channels, 512 x 400 px'."""
        sizes = dict(zip(self.axes, self.shape, strict=True))
        parts = [f"{sizes[a]} {_WORDS[a]}{'s' * (sizes[a] != 1)}" for a in "TZ" if a in sizes]
        words = [" x ".join(parts)] if parts else []
        if "C" in sizes:
            words.append(f"{sizes['C']} channel{'s' * (sizes['C'] != 1)}")
        if "S" in sizes:
            words.append("colour")
        return ", ".join([*words, f"{sizes['X']} x {sizes['Y']} px"])


def _check(axes: str, shape: tuple[int, ...]) -> None:
    unknown = sorted(set(axes) - set(KNOWN))
    if unknown:
        raise InputError(f"'{unknown[0]}' in axes '{axes}' is unknown: use the letters {', '.join(KNOWN)}.")
    if len(set(axes)) != len(axes):
        raise InputError(f"Axes '{axes}' name an axis twice: name each once.")
    if len(axes) != len(shape):
        raise InputError(
            f"Axes '{axes}' name {len(axes)} axes, but the image has {len(shape)} (shape {shape})."
        )
    if not {"Y", "X"} <= set(axes):
        raise InputError(f"Axes '{axes}' lack Y or X: name the rows and the columns.")
    if {"C", "S"} <= set(axes):
        raise InputError(f"Axes '{axes}' name both channels and RGB samples: use C for one of them only.")


def plan_planes(shape: tuple[int, ...], axes: str | None = None, *, rgb: bool | None = None) -> PlaneGrid:
    """Return the planes of an image of ``shape``, guessing ``axes`` (upper or lower case) when None."""
    return PlaneGrid(axes.upper() if axes else guess_axes(shape, rgb=rgb), tuple(shape))
