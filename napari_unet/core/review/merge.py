"""New cells among those that are there: in an image under review, in some of its planes, or in a box of one.

What the user has reviewed stays; and the way back to what was there before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_unet.core.base import Ids, Index, Labels, Mask, PlaneBox, slices
from napari_unet.core.cells import match_cells, measure_cells, rename_cells
from napari_unet.core.image import PlaneGrid, Shape, grow_box, within
from napari_unet.core.review.rebasing import rebase
from napari_unet.core.review.review import Review


def merge_box(review: Review, labels: Labels, box: PlaneBox, window: PlaneBox, first: int) -> Review:
    """Return a review (Y, X) of a plane after a `box` of it was predicted anew.

    `labels` (y, x) are the new cells of `window`, which contains the box and all cells that reach into it.
    Old cells that reach into the box give way to new ones that do, whole, and all others stay as they are: no
    cell is cut at the box's edge, and none is missing there. Of an old cell that even leaves the window, the
    pixels in the box give way. A new cell keeps the id of an old one that it replaces (IoU > 0.5); other new
    ids begin behind `first`. Reviewed pixels stay, as in `rebase`.
    """
    where = slices(window)
    part = Review(review.prediction[where], review.labels[where], review.marked[where])
    inner = within(box, window)
    old = measure_cells(part.labels[inner])[0]
    leaving = np.intersect1d(old, _find_leaving(part.labels, window, review.shape[-2:]))
    foreign = (part.labels != 0) & ~np.isin(part.labels, old)
    outside = np.ones(foreign.shape, np.bool_)
    outside[inner] = False
    foreign |= outside & np.isin(part.labels, leaving)
    kept, matched = match_cells(part.labels, np.setdiff1d(old, leaving), labels)
    new = np.union1d(measure_cells(labels[inner])[0], matched)
    fresh = np.where(np.isin(labels, new), labels + np.int32(first), np.int32(0))
    order = np.argsort(matched)
    drawn = rename_cells(fresh, matched[order] + first, kept[order])
    merged = rebase(Review(part.prediction, part.labels, part.marked | foreign), drawn)
    result = Review(review.prediction.copy(), review.labels.copy(), review.marked.copy())
    result.prediction[where], result.labels[where] = merged.prediction, merged.labels
    return result


def insert_cells(
    around: Labels, cells: Labels, box: PlaneBox, window: PlaneBox, first: int
) -> tuple[Labels, int]:
    """Return `cells` (y, x) of a `box` under the ids that they get in a larger label image, and the last id.

    `around` are the labels (y, x) there now, of `window`: the box and a pixel more on every side. A cell that
    meets the edge of the box continues, under its id, the cell on the other side with which it shares most
    of the edge, if that shares most with it. Another one keeps the id of the cell that it replaces (IoU >
    0.5), unless that goes on outside. New ids begin behind `first`.
    """
    inner = within(box, window)
    ids = measure_cells(cells)[0]
    names = np.zeros(ids.size, np.int64)
    inside, outside = _find_contacts(around, cells, inner)
    names[np.searchsorted(ids, inside)] = outside
    beyond = around.copy()
    beyond[inner] = 0
    taken = np.union1d(measure_cells(beyond)[0], outside)
    before = around[inner]
    kept, matched = match_cells(before, np.setdiff1d(measure_cells(before)[0], taken), cells)
    at = np.searchsorted(ids, matched)
    names[at] = np.where(names[at] > 0, names[at], kept)
    fresh = np.flatnonzero(names == 0)
    names[fresh] = first + 1 + np.arange(fresh.size)
    return rename_cells(cells, ids, names), first + fresh.size


def find_reaching(labels: Labels, where: tuple[slice, slice]) -> Mask:
    """Return the pixels (Y, X) of a part of labels and of the cells that reach into it."""
    reaching: Mask = np.isin(labels, measure_cells(labels[where])[0])
    reaching[where] = True
    return reaching


def frame(box: PlaneBox, shape: Shape) -> PlaneBox:
    """Return the box with a pixel more on every side, as far as the plane goes."""
    return grow_box(box, 1, shape)


def _find_leaving(labels: Labels, window: PlaneBox, shape: tuple[int, ...]) -> Ids:
    """Return the ids of cells that go on beyond the window, as far as can be seen."""
    (top, bottom), (left, right) = window
    rim: Mask = np.zeros(labels.shape, np.bool_)
    rim[0], rim[-1] = top > 0, bottom < shape[0]
    rim[:, 0] |= left > 0
    rim[:, -1] |= right < shape[1]
    return measure_cells(labels[rim])[0]


def _find_contacts(around: Labels, cells: Labels, inner: tuple[slice, slice]) -> tuple[Ids, Ids]:
    """Return the ids of cells inside and outside of a box that share most of its edge with one another."""
    rows, columns = inner
    sides = [
        (cells[0], around[: rows.start, columns]),
        (cells[-1], around[rows.stop :, columns]),
        (cells[:, 0], around[rows, : columns.start].T),
        (cells[:, -1], around[rows, columns.stop :].T),
    ]
    pairs = [np.stack([own, other[0]]) for own, other in sides if len(other)]
    inside, outside = np.concatenate([np.empty((2, 0), np.int64), *pairs], axis=1).astype(np.int64)
    both = (inside > 0) & (outside > 0)
    (ones, others), counts = np.unique(np.stack([inside[both], outside[both]]), axis=1, return_counts=True)
    best = np.lexsort((others, -counts))
    first_of_one = best[np.unique(ones[best], return_index=True)[1]]
    first_of_other = best[np.unique(others[best], return_index=True)[1]]
    chosen = np.intersect1d(first_of_one, first_of_other)
    return ones[chosen], others[chosen]


def merge_labels(
    grid: PlaneGrid, review: Review | None, labels: Labels, planes: Sequence[Index] | None
) -> Review:
    """Return `review` carried over to new labels of some `planes`, None for all of them.

    Labels of the whole image have one id per cell, in all its planes and frames. Labels of several planes are
    stacked along their first axis; their cells get ids that no other plane has: nobody said that they are the
    same. Reviewed pixels keep their labels.
    """
    if review is None:
        review = Review.of(np.zeros(grid.label_shape, np.int32))
    if planes is None:
        return rebase(review, labels)
    where = [grid.select(plane) for plane in planes]
    largest = max(int(review.labels.max()), int(review.prediction.max()))
    stack = labels.reshape(len(planes), *labels.shape[-2:])
    part = rebase(
        Review(
            np.stack([review.prediction[at] for at in where]),
            np.stack([review.labels[at] for at in where]),
            np.stack([review.marked[at] for at in where]),
        ),
        _number_apart(stack, [(number,) for number in range(len(planes))], largest),
    )
    result = Review(review.prediction.copy(), review.labels.copy(), review.marked.copy())
    for number, at in enumerate(where):
        result.prediction[at] = part.prediction[number]
        result.labels[at] = part.labels[number]
        result.marked[at] = part.marked[number]
    return result


def merge_view(
    grid: PlaneGrid, review: Review | None, labels: Labels, plane: Index, box: PlaneBox, window: PlaneBox
) -> Review:
    """Return `review` with new cells in a `box` of one plane; `labels` (y, x) are those of a `window` of it.

    Which cells are in the box, and which ids they get, is said at `merge_box`.
    """
    if review is None:
        review = Review.of(np.zeros(grid.label_shape, np.int32))
    largest = max(int(review.labels.max()), int(review.prediction.max()))
    at = grid.select(plane)
    part = merge_box(cut_review(review, at), labels, box, window, largest)
    result = Review(review.prediction.copy(), review.labels.copy(), review.marked.copy())
    result.prediction[at], result.labels[at] = part.prediction, part.labels
    return result


def cut_review(review: Review, where: tuple[Any, ...]) -> Review:
    """Return the part of a review that an indexing expression selects."""
    return Review(review.prediction[where], review.labels[where], review.marked[where])


def restore_review(before: Review, start: Review, now: Review) -> Review:
    """Return the review `before` a new prediction with what the user did between its `start` and `now`."""
    edited = now.labels != start.labels
    unmarked = start.marked & ~now.marked
    return Review(
        prediction=before.prediction,
        labels=np.where(edited, now.labels, before.labels),
        marked=(before.marked & ~unmarked) | (now.marked & ~start.marked) | edited,
    )


def _number_apart(labels: Labels, where: Sequence[tuple[Any, ...]], first: int) -> Labels:
    """Return labels whose ids go up from plane to plane, starting behind `first`."""
    result = labels.copy()
    for index in where:
        plane = result[index]
        largest = int(plane.max(initial=0))
        plane[plane > 0] += first
        first += largest
    return result
