"""A walk through the places of an image that are worth a look, from one to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from napari_unet.core.image.axes import Index, PlaneGrid
from napari_unet.core.review.doubt import Doubts
from napari_unet.core.review.queue import Place, is_settled
from napari_unet.core.review.review import Review


@dataclass(slots=True)
class Tour:
    """The `place` that is looked at, None at the end, those `coming`, and those `passed` over unsettled."""

    coming: list[Place]
    place: Place | None = None
    passed: list[Place] = field(default_factory=list)

    def advance(self, review: Review, grid: PlaneGrid) -> None:
        """Go on to the next place that the user has not settled meanwhile."""
        seen = [*self.passed, self.place] if self.place is not None else self.passed
        self.passed = [place for place in seen if not is_settled(review, grid, place)]
        coming = [place for place in self.coming if not is_settled(review, grid, place)]
        self.place, self.coming = (coming[0], coming[1:]) if coming else (None, [])

    def is_settled(self, review: Review, grid: PlaneGrid) -> bool:
        """Whether nothing is left to do in the place that is looked at."""
        return self.place is None or is_settled(review, grid, self.place)


def merge_doubts(
    grid: PlaneGrid, known: Doubts | None, new: Doubts | None, planes: Sequence[Index] | None
) -> Doubts | None:
    """Return the doubts `known` about an image after some `planes` were segmented anew, None for all of them.

    Planes are numbered in the order of the grid; those of `new` in the order of `planes`.
    """
    if planes is None:
        return new
    numbers = [int(np.ravel_multi_index(plane, grid.stack_shape)) if plane else 0 for plane in planes]
    parts = [new.move(numbers)] if new is not None else []
    if known is not None:
        parts.append(known.select(~np.isin(known.points[:, 0], numbers)))
    return Doubts.join(parts)
