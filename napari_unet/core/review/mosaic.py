"""Some boxes of a plane, side by side in a smaller one: what looks at them all takes less time there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.base import Box, slices

Scalar = TypeVar("Scalar", bound=np.generic)

_GAP = 4  # px between two boxes


@dataclass(frozen=True, slots=True)
class Mosaic:
    """Boxes (rows, columns) of a plane, and where they lie in a plane of `shape` (Y, X)."""

    shape: tuple[int, int]
    boxes: tuple[Box, ...]
    places: tuple[Box, ...]

    @classmethod
    def pack(cls, boxes: Sequence[Box]) -> Mosaic:
        """Lay boxes in shelves, the highest first, that are together about as wide as high."""
        order = sorted(boxes, key=lambda box: box[0][0] - box[0][1])
        sides = [tuple(stop - start + _GAP for start, stop in box) for box in order]
        widest = max((width for _, width in sides), default=0)
        limit = max(widest, round(sum(height * width for height, width in sides) ** 0.5))
        places: list[Box] = []
        top = left = shelf = 0
        for height, width in sides:
            if left + width > limit:
                top, left, shelf = top + shelf, 0, 0
            places.append(((top, top + height - _GAP), (left, left + width - _GAP)))
            left, shelf = left + width, max(shelf, height)
        return cls((top + shelf, limit), tuple(order), tuple(places))

    def cut(self, plane: NDArray[Scalar]) -> NDArray[Scalar]:
        """Return the boxes of a plane (Y, X, ...), with 0 between them."""
        made: NDArray[Any] = np.zeros((*self.shape, *plane.shape[2:]), plane.dtype)
        for box, place in zip(self.boxes, self.places, strict=True):
            made[slices(place)] = plane[slices(box)]
        return made

    def number(self) -> NDArray[np.int32]:
        """Return which box, 1, 2, ..., each pixel (Y, X) is of; 0 between them."""
        made = np.zeros(self.shape, np.int32)
        for number, place in enumerate(self.places, start=1):
            made[slices(place)] = number
        return made

    def locate(self, number: int, box: Box, shape: Sequence[int]) -> tuple[Box, Box] | None:
        """Return a box of the mosaic, which lies in box `number`, and where that is in a plane of `shape`.

        What leaves the plane is cut off. None where it leaves that box and not the plane.
        """
        inner, outer = [], []
        sides = zip(box, self.places[number], self.boxes[number], shape, strict=True)
        for (start, stop), (first, last), (origin, end), size in sides:
            if (start < first and origin > 0) or (stop > last and end < size):
                return None
            start, stop = max(start, first), min(stop, last)
            inner.append((start, stop))
            outer.append((start - first + origin, stop - first + origin))
        return tuple(inner), tuple(outer)
