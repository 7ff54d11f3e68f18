"""A region of an image that is too large to be corrected as a whole: a box of one plane, cut out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from napari_unet.core.base import Index, InputError, PlaneBox
from napari_unet.store.project import ImageRecord

WIDEST = 4096
"""Pixels of a region's longest side: what can be painted, compared and saved without a wait."""
_SAME = 0.5  # of what either covers, from which a region is the one that was cut before
_COVERED = 0.9  # of what is seen, from which a larger region will do


class Region(BaseModel):
    """A `box` (rows, columns) of one plane, `plane` along T and Z, of the project's image `image`."""

    model_config = ConfigDict(frozen=True)

    image: str
    plane: Index
    box: PlaneBox

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in px."""
        (top, bottom), (left, right) = self.box
        return bottom - top, right - left

    def describe(self) -> str:
        """Return the region as Python would cut it, such as '[0:512, 100:612]'."""
        spans = [*map(str, self.plane), *(f"{start}:{stop}" for start, stop in self.box)]
        return f"[{', '.join(spans)}]"

    def select(self, axes: str) -> tuple[slice, ...]:
        """Return the index that cuts the region out of an array with these axes, of which none is lost."""
        steps, spans = iter(self.plane), iter(self.box)
        return tuple(
            slice(at := next(steps), at + 1)
            if axis in "TZ"
            else (slice(*next(spans)) if axis in "YX" else slice(None))
            for axis in axes
        )

    def corner(self, axes: str) -> tuple[float, ...]:
        """Return where the region's first pixel lies in an array with these axes."""
        return tuple(float(span.start or 0) for span in self.select(axes))

    def cut(self, data: Any, axes: str) -> NDArray[Any]:
        """Return the pixels of the region; only they are read. InputError where that fails."""
        try:
            return np.ascontiguousarray(data[self.select(axes)])
        except (InputError, MemoryError):
            raise
        except Exception as error:
            raise InputError(
                f"The image cannot be read at {self.describe()}: it is damaged, copy it again."
            ) from error


def read_region(record: ImageRecord) -> Region | None:
    """Return what an image of the project was cut from, None where it was not."""
    known = record.context.get("region")
    try:
        return Region.model_validate(known) if known else None
    except ValueError:
        return None


def check_size(box: PlaneBox) -> None:
    """Raise InputError where a box is too large for a region."""
    (top, bottom), (left, right) = box
    if max(bottom - top, right - left) > WIDEST:
        raise InputError(
            f"What you see is {right - left} x {bottom - top} px: zoom in until it is no more than {WIDEST} "
            f"x {WIDEST} px."
        )


def find_known(known: Iterable[Region], wanted: Region) -> Region | None:
    """Return the region that was cut before where `wanted` is, the one that fits best; None if there is none.

    It fits if it shows nearly all that is wanted, or if most of both is the same.
    """

    def fit(region: Region) -> float:
        spans = zip(region.box, wanted.box, strict=True)
        shared = _area(tuple((max(one[0], other[0]), min(one[1], other[1])) for one, other in spans))
        if shared >= _COVERED * _area(wanted.box):
            return 1 + shared / _area(region.box)
        return shared / (_area(region.box) + _area(wanted.box) - shared)

    same_plane = [region for region in known if (region.image, region.plane) == (wanted.image, wanted.plane)]
    best = max(same_plane, key=fit, default=None)
    return best if best is not None and fit(best) > _SAME else None


def _area(box: tuple[tuple[int, int], ...]) -> float:
    (top, bottom), (left, right) = box
    return float(max(bottom - top, 0) * max(right - left, 0))
