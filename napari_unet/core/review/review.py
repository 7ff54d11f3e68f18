"""What the user has looked at: a prediction, the labels made of it by hand, and the pixels marked as right.

A pixel is *changed* where the labels differ from the prediction, *marked* where the user said that it is
right as it is, and *reviewed* where it is either. Only reviewed pixels count as truth. Where a later model
predicts something else, a reviewed pixel keeps the prediction that the user saw, so that what was changed and
what was marked stay what they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from skimage.measure import label as label_pieces

from napari_unet.core.base import Box, Ids, InputError, Labels, Mask, as_labels, slices
from napari_unet.core.cells import measure_cells

_BLOCK = 1 << 18  # elements compared at a time: they stay in the processor's cache
CRUMB = 0.05
"""A piece of a label smaller than this part of a typical cell is a slip of the brush, not a cell."""


@dataclass(frozen=True, slots=True)
class ReviewCounts:
    """How far a review has come.

    `changed_cells` counts ids that gained or lost a pixel, deleted ones included; `reviewed_cells` counts
    cells most of whose pixels are reviewed; `accepted_cells` those not changed most of whose pixels are
    marked; `cells` counts the cells there are now, `predicted_cells` those that the network made.
    """

    changed_cells: int
    reviewed_pixels: int
    total_pixels: int
    cells: int
    reviewed_cells: int
    accepted_cells: int
    predicted_cells: int

    @property
    def reviewed_fraction(self) -> float:
        """Part of the pixels that is reviewed, 0 to 1."""
        return self.reviewed_pixels / self.total_pixels if self.total_pixels else 0.0


@dataclass(frozen=True, slots=True)
class Patch:
    """Some of the pixels in a box: where `pixels`, bool of the box's shape, is true."""

    box: Box
    pixels: Mask


@dataclass(slots=True)
class Review:
    """One image's prediction and the user's word on it.

    The three arrays have one shape (..., Y, X): `prediction` and `labels` int32 with 0 as background,
    `marked` bool. Arrays of the right dtype are kept, not copied. Raises InputError where they do not fit.
    """

    prediction: Labels
    labels: Labels
    marked: Mask

    def __post_init__(self) -> None:
        self.prediction = as_labels(self.prediction)
        self.labels = as_labels(self.labels)
        self.marked = np.asarray(self.marked, dtype=np.bool_)
        require_shape(self.labels, self.prediction.shape)
        require_shape(self.marked, self.prediction.shape)

    @classmethod
    def of(cls, prediction: Labels) -> Review:
        """Return the review of a fresh `prediction`: nothing changed, nothing marked."""
        return cls(prediction, prediction.copy(), np.zeros(prediction.shape, np.bool_))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all three arrays."""
        return self.prediction.shape

    def changed(self) -> Mask:
        """Return where the labels differ from the prediction."""
        return np.not_equal(self.labels, self.prediction)

    def reviewed(self) -> Mask:
        """Return where the labels are the user's word: changed or marked."""
        return self.changed() | self.marked

    def counts(self) -> ReviewCounts:
        """Count cells and reviewed pixels (25 ms for 2048 x 2048 pixels and 2000 cells)."""
        changed = self.changed()
        reviewed = changed | self.marked
        ids, sizes = measure_cells(self.labels)

        def find_mostly(where: Mask) -> Ids:
            found, parts = measure_cells(self.labels[where])
            return found[2 * parts > sizes[np.searchsorted(ids, found)]]

        touched = np.union1d(
            measure_cells(self.labels[changed])[0],
            measure_cells(self.prediction[changed])[0],
        )
        return ReviewCounts(
            changed_cells=touched.size,
            reviewed_pixels=int(np.count_nonzero(reviewed)),
            total_pixels=reviewed.size,
            cells=ids.size,
            reviewed_cells=find_mostly(reviewed).size,
            accepted_cells=np.setdiff1d(find_mostly(self.marked), touched).size,
            predicted_cells=measure_cells(self.prediction)[0].size,
        )


def changed_box(before: npt.NDArray[Any], after: npt.NDArray[Any]) -> Box | None:
    """Return the smallest box in which two arrays of one shape differ, None where they are equal.

    Rows first, then columns of those rows only, so that a brush stroke costs one pass over the arrays.
    """
    require_shape(after, before.shape)
    box = [(0, length) for length in before.shape]
    for axis in range(before.ndim):
        hits = np.flatnonzero(_differs_along(before[slices(tuple(box))], after[slices(tuple(box))], axis))
        if not hits.size:
            return None
        start = box[axis][0]
        box[axis] = (start + int(hits[0]), start + int(hits[-1]) + 1)
    return tuple(box)


def mark(review: Review, where: Box | Mask | Patch) -> Patch | None:
    """Mark some pixels as right, in place; return those that were not marked before, if any."""
    return _set_marked(review, where, value=True)


def unmark(review: Review, where: Box | Mask | Patch) -> Patch | None:
    """Take the mark off some pixels, in place; return those that were marked before, if any.

    Changed pixels stay reviewed: the user's labels say so.
    """
    return _set_marked(review, where, value=False)


def flip(review: Review, patch: Patch) -> Patch:
    """Mark what is unmarked of a patch and unmark what is marked, in place: the way back, and forth again."""
    review.marked[slices(patch.box)] ^= patch.pixels
    return patch


def ignore_crumbs(labels: Labels, reviewed: Mask) -> Mask:
    """Return `reviewed` (Y, X) without the crumbs that a brush leaves beside cells of `labels` (Y, X).

    A crumb is a connected piece of a label with less than `CRUMB` of the median piece's area.
    """
    pieces = label_pieces(labels, background=0, connectivity=2)
    areas = np.bincount(pieces.ravel())
    if areas.size < 2:
        return reviewed
    crumbs = areas < CRUMB * np.median(areas[1:])
    crumbs[0] = False
    return reviewed & ~crumbs[pieces]


def require_shape(array: npt.NDArray[Any], shape: tuple[int, ...]) -> None:
    """Raise InputError if an array has not the shape of the others of a review."""
    if array.shape != shape:
        raise InputError(
            f"The arrays of a review must have one shape, not {array.shape} and {shape}: "
            "use the labels of this image."
        )


def _differs_along(before: npt.NDArray[Any], after: npt.NDArray[Any], axis: int) -> Mask:
    """Return, for each index along `axis`, whether the arrays differ anywhere there."""
    hits = np.zeros(before.shape[axis], np.bool_)
    others = tuple(other for other in range(before.ndim) if other != axis)
    rows = max(1, _BLOCK * len(before) // max(before.size, 1))
    for start in range(0, len(before), rows):
        block = slice(start, start + rows)
        found = (before[block] != after[block]).any(axis=others)
        if axis == 0:
            hits[block] = found
        else:
            hits |= found
    return hits


def _set_marked(review: Review, where: Box | Mask | Patch, *, value: bool) -> Patch | None:
    if isinstance(where, np.ndarray):
        require_shape(where, review.shape)
        where = Patch(tuple((0, length) for length in where.shape), where)
    box = where.box if isinstance(where, Patch) else where
    marked = review.marked[slices(box)]
    changing = (marked != value) & where.pixels if isinstance(where, Patch) else marked != value
    found = changed_box(np.zeros_like(changing), changing)
    if found is None:
        return None
    moved = tuple((at + start, at + stop) for (at, _), (start, stop) in zip(box, found, strict=True))
    return flip(review, Patch(moved, changing[slices(found)].copy()))
