"""The image that labels are read for, and what was read."""

from __future__ import annotations

from dataclasses import dataclass

from napari_unet.core.base import Labels
from napari_unet.core.image import Place, default_axes


@dataclass(frozen=True, slots=True)
class Target:
    """The labels that an image needs: their shape, their axes out of TZYX, and its pixel size in µm."""

    shape: tuple[int, ...]
    axes: str
    pixel_size: float | None = None

    @classmethod
    def of(cls, shape: tuple[int, ...], axes: str | None = None, pixel_size: float | None = None) -> Target:
        """Return a target whose axes, where None, are the last letters of TZYX."""
        return cls(tuple(shape), axes or default_axes(len(shape)), pixel_size)

    @property
    def sizes(self) -> dict[str, int]:
        """Length of each axis."""
        return dict(zip(self.axes, self.shape, strict=True))

    @property
    def plane(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.sizes["Y"], self.sizes["X"]

    def place(self, frame: int, plane: int) -> Place:
        """Return where a frame and a plane, from 0, lie; of an image with one slider, either moves it."""
        sliders = [axis for axis in self.axes if axis in "TZ"]
        if len(sliders) == 1 and 0 in (frame, plane):
            return {sliders[0]: frame or plane}
        return {"T": frame, "Z": plane}

    def describe(self) -> str:
        """Return the size in words, as in '5 planes of 512 x 400 px'."""
        return describe_shape(self.shape, self.axes)


@dataclass(frozen=True, slots=True)
class LabelFile:
    """Labels that were read for an image.

    `labels` is int32 of the target's shape, 0 is background; `origin` says what kind of file they come from;
    `notes` are sentences about what had to be decided, such as pixels that two cells shared.
    """

    labels: Labels
    origin: str
    notes: tuple[str, ...] = ()


def describe_shape(shape: tuple[int, ...], axes: str) -> str:
    """Return the size of labels in words, as in '5 planes of 512 x 400 px'."""
    sizes = dict(zip(axes, shape, strict=True))
    words = [
        f"{sizes[axis]} {word}{'s' * (sizes[axis] != 1)}"
        for axis, word in (("T", "frame"), ("Z", "plane"))
        if axis in sizes
    ]
    size = f"{sizes['X']} x {sizes['Y']} px"
    return " of ".join([" x ".join(words), size]) if words else size
