"""A box of a plane: new cells for it among those that are there, and its cells among those around it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.base.arrays import Labels, Mask
from napari_unet.core.cells.ids import match_cells, measure_cells, rename_cells
from napari_unet.core.image.blocks import Box, Shape, grow_box, slices, within
from napari_unet.core.review.rebase import rebase
from napari_unet.core.review.review import Review

Ids = NDArray[np.int64]


def merge_box(review: Review, labels: Labels, box: Box, window: Box, first: int) -> Review:
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


def insert_cells(around: Labels, cells: Labels, box: Box, window: Box, first: int) -> tuple[Labels, int]:
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


def frame(box: Box, shape: Shape) -> Box:
    """Return the box with a pixel more on every side, as far as the plane goes."""
    return grow_box(box, 1, shape)


def _find_leaving(labels: Labels, window: Box, shape: tuple[int, ...]) -> Ids:
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
