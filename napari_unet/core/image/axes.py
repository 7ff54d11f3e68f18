"""Which axis of an image is what: the planes to segment, and the shape of the labels that come back.

Axes are named by one letter each: T time, Z depth, C channels, Y rows, X columns, S the samples of an
RGB(A) image. Labels keep all axes but C and S, in the image's own order. Planes come one by one,
whatever that order is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.base import Index, InputError
from napari_unet.core.image.normalisation import normalise, to_grey

KNOWN = "TZCYXS"
_MOST_CHANNELS = 4
_MOST_LAST = 8
_WORDS = {"T": "frame", "Z": "plane", "C": "channel"}
Channels = int | Sequence[int] | None
"""A channel by its number, which Python counts from 0, several, or None for what the image has.

Of several the mean is taken. People count from 1: `parse_channels` and `PlaneGrid.describe` translate.
"""
Place = dict[str, int]
"""Where a plane lies in its stack: index by axis, for those of T and Z that there are."""


def guess_axes(shape: tuple[int, ...], *, rgb: bool | None = None) -> str:
    """Return the likely axes of an image of ``shape``; InputError if it has fewer than 2 axes or over 6.

    A last axis of 3 or 4 behind two longer ones is taken for RGB unless ``rgb`` says otherwise, and one of up
    to 8 behind two that are much longer for channels; else one short leading axis (2 to 4) for channels; then
    Z, then T.
    """
    if rgb is None:
        rgb = len(shape) > 2 and shape[-1] in (3, 4) and min(shape[-3:-1]) > _MOST_CHANNELS
    tail = "YXS" if rgb else "YXC" if ends_in_channels(shape) else "YX"
    leading = shape[: len(shape) - len(tail)]
    if len(shape) < len(tail) or len(leading) > 3:
        raise InputError(
            f"An image of shape {shape} has {len(shape)} axes: give one with rows and columns, and at most "
            "time, depth and channels besides."
        )
    short = [i for i, size in enumerate(leading) if 2 <= size <= _MOST_CHANNELS]
    if tail == "YX" and (len(leading) == 3 or len(short) == 1):
        channel = short[-1] if short else 2
        others = iter("TZ"[-(len(leading) - 1) :] if len(leading) > 1 else "")
        return "".join("C" if i == channel else next(others) for i in range(len(leading))) + tail
    if len(leading) > 2:
        raise InputError(f"An RGB image of shape {shape} has too many axes: say which is which with axes.")
    return "TZ"[2 - len(leading) :] + tail


def ends_in_channels(shape: tuple[int, ...]) -> bool:
    """Whether the last axis is too short for rows of pixels, 2 to 8 behind two much longer ones."""
    return len(shape) > 2 and 2 <= shape[-1] <= _MOST_LAST and min(shape[-3:-1]) >= 4 * shape[-1]


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
    def channel_axis(self) -> int | None:
        """Position of C or S, the axis that labels lack; None where there is none."""
        return next((position for position, a in enumerate(self.axes) if a in "CS"), None)

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
        self, image: NDArray[np.generic], index: Index, channel: Channels = None
    ) -> NDArray[np.generic]:
        """Return one plane as (Y, X, C): a single channel, or grey from RGB, unless the image has more.

        ``channel`` picks one, or several, of which the mean is returned, each normalised before, so that a
        faint one counts as much as a bright one. None takes the luminance of RGB and all of C. InputError if
        there is no such channel. Y and X come in the order of the image's axes.
        """
        steps = iter(index)
        plane = np.asarray(image[tuple(next(steps) if a in "TZ" else slice(None) for a in self.axes)])
        left = [a for a in self.axes if a not in "TZ"]
        samples = next((position for position, a in enumerate(left) if a in "CS"), None)
        plane = plane[..., None] if samples is None else np.moveaxis(plane, samples, -1)
        picked = self.pick_channels(channel)
        if len(picked) > 1:
            return normalise(plane[..., picked]).mean(-1, keepdims=True)
        if picked:
            return plane[..., picked[0] : picked[0] + 1]
        return to_grey(plane)[..., None] if "S" in self.axes and plane.shape[-1] >= 3 else plane

    def pick_channels(self, channel: Channels) -> list[int]:
        """Return the numbers of the channels to look at, empty for None; InputError if one is not there."""
        picked = [] if channel is None else np.atleast_1d(np.asarray(channel)).tolist()
        if channel is not None and not picked:
            raise InputError("There is no channel to look at: name at least one.")
        missing = [number for number in picked if number not in range(self.channels)]
        if missing and self.channel_axis is None:
            raise InputError(
                f"The image, of axes {self.axes}, has no channels to choose from: if one of its axes holds "
                "channels, call it C."
            )
        if missing:
            raise InputError(f"The image has only {_count(self.channels, 'channel')}: choose one of them.")
        return sorted(set(picked))

    def describe(self, channel: Channels = None, pixel_size: float | None = None) -> str:
        """Return the image's make-up in words, such as '10 frames x 1 plane, channel 2 of 3, 512 x 400 px'.

        ``channel`` are those that are looked at, ``pixel_size`` is in µm.
        """
        sizes = dict(zip(self.axes, self.shape, strict=True))
        parts = [_count(sizes[a], _WORDS[a]) for a in "TZ" if a in sizes]
        picked = [str(number + 1) for number in self.pick_channels(channel)]
        words = [" x ".join(parts)] if parts else []
        if "S" in sizes:
            words.append("colour")
        if picked and self.channel_axis is not None:
            names = " and ".join([*([", ".join(picked[:-1])] if picked[:-1] else []), picked[-1]])
            words.append(f"channel{'s' * (len(picked) > 1)} {names} of {self.channels}")
        elif "C" in sizes:
            words.append(_count(sizes["C"], "channel"))
        words.append(f"{sizes['X']} x {sizes['Y']} px")
        if pixel_size is not None:
            words.append(f"{pixel_size:.3g} µm per px")
        return ", ".join(words)


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' * (number != 1)}"


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


def format_channels(channel: Channels) -> str:
    """Return channels, counted from 0, as people read them: counted from 1, as in "2" or "1,3"."""
    numbers = [] if channel is None else [channel] if isinstance(channel, int) else channel
    return ",".join(str(number + 1) for number in numbers)


def parse_channels(text: str) -> int | tuple[int, ...] | None:
    """Return the channels that a user counts from 1, as in "2" or "1, 3", counted from 0; None for none.

    Raises InputError for anything else.
    """
    words = [word.strip() for word in text.split(",")] if text.strip() else []
    if not all(word.isascii() and word.isdigit() and int(word) > 0 for word in words):
        raise InputError(f"'{text}' is no channel: give its number, 1 for the first, or several as in 1,3.")
    numbers = tuple(int(word) - 1 for word in words)
    return numbers[0] if len(numbers) == 1 else numbers or None


def plan_planes(shape: tuple[int, ...], axes: str | None = None, *, rgb: bool | None = None) -> PlaneGrid:
    """Return the planes of an image of ``shape``, guessing ``axes`` (upper or lower case) when None."""
    return PlaneGrid(axes.upper() if axes else guess_axes(shape, rgb=rgb), tuple(shape))


def default_axes(ndim: int) -> str:
    """Return the axes of labels that do not name theirs: the last letters of TZYX."""
    return "TZYX"[-ndim:]


def iterate_planes(array: Any, axes: str) -> Iterator[tuple[Place, Any]]:
    """Return the place and a view of every plane of `array`: (Y, X), or (Y, X, C) where it has C or S.

    Works for lazy arrays too. Raises InputError where the letters of `axes` do not fit the shape.
    """
    grid = PlaneGrid(axes, tuple(array.shape))
    stacked = [axis for axis in axes if axis in "TZ"]
    inside = [axis for axis in axes if axis not in "TZ"]
    order = [inside.index(axis) for axis in "YXCS" if axis in inside]
    for index in np.ndindex(grid.stack_shape):
        place = dict(zip(stacked, index, strict=True))
        yield place, array[tuple(place.get(axis, slice(None)) for axis in axes)].transpose(order)
