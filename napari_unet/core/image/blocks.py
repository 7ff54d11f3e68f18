"""A plane too large for memory: the parts that it is seen in, and pieces that lie in several."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse.csgraph import connected_components

from napari_unet.core.base import PlaneBox, slices

Shape = tuple[int, int]
Reader = Callable[[PlaneBox], NDArray[np.float32]]
"""Returns the pixels (y, x, C) of a box."""
Number = TypeVar("Number", bound=np.generic)


def plan_blocks(shape: Shape, side: int) -> Iterator[PlaneBox]:
    """Cut a plane of ``shape`` (Y, X) into boxes of at most ``side`` px, row by row; the last are smaller."""
    for top in range(0, shape[0], side):
        for left in range(0, shape[1], side):
            yield (top, min(top + side, shape[0])), (left, min(left + side, shape[1]))


def grow_box(box: PlaneBox, margin: int, shape: Shape) -> PlaneBox:
    """Return the box with ``margin`` px more on every side, as far as the plane goes."""
    (top, bottom), (left, right) = box
    return (max(top - margin, 0), min(bottom + margin, shape[0])), (
        max(left - margin, 0),
        min(right + margin, shape[1]),
    )


def within(box: PlaneBox, window: PlaneBox) -> tuple[slice, slice]:
    """Return the indexing expression of a box in an array that shows ``window``, which contains it."""
    (top, _), (left, _) = window
    return slice(box[0][0] - top, box[0][1] - top), slice(box[1][0] - left, box[1][1] - left)


def read_boxes(array: NDArray[Number]) -> Callable[[PlaneBox], NDArray[Number]]:
    """Return a reader of an array (Y, X, C) in memory."""
    return lambda box: array[slices(box)]


class Components:
    """The 4-connected pieces of a mask that is seen block by block.

    `add` every block once, in the order of `plan_blocks`; it gives ids that no other block uses. `join` then
    tells which ids are one piece. The pieces are those of the whole mask, and so are their numbers.
    """

    def __init__(self, shape: Shape) -> None:
        self.count = 0
        self._width = shape[1]
        self._first = [np.full(1, -1)]
        self._starts: dict[PlaneBox, int] = {}
        self._pairs: list[NDArray[np.int32]] = []
        self._edges: dict[tuple[str, int, int], NDArray[np.int32]] = {}

    def add(self, mask: NDArray[np.bool_], box: PlaneBox) -> NDArray[np.int32]:
        """Return ids (y, x) of the pieces of a block, 0 outside of the mask."""
        self._starts[box] = self.count
        labels, count = self._number(mask, box)
        (top, bottom), (left, right) = box
        rows, columns = np.divmod(_first_pixels(labels, self.count, count), right - left)
        self._first.append((rows + top) * self._width + columns + left)
        self.count += count
        self._meet(("row", top, left), labels[0])
        self._meet(("column", left, top), labels[:, 0])
        self._edges["row", bottom, left] = labels[-1].copy()
        self._edges["column", right, top] = labels[:, -1].copy()
        return labels

    def find(self, mask: NDArray[np.bool_], box: PlaneBox) -> NDArray[np.int32]:
        """Return the ids (y, x) that `add` gave for the same mask of a block."""
        return self._number(mask, box)[0]

    def join(self) -> NDArray[np.int32]:
        """Return the piece that each id is of: an array to index by id.

        Pieces are numbered 1, 2, ... in the order of their first pixels, row by row, as ndimage.label does.
        """
        before, after = np.concatenate([np.zeros((2, 0), np.int32), *self._pairs], axis=1)
        size = self.count + 1
        graph = sparse.coo_array((np.ones(len(before), bool), (before, after)), shape=(size, size))
        groups, group = connected_components(graph, directed=False)
        first = np.full(groups, np.iinfo(np.int64).max)
        np.minimum.at(first, group, np.concatenate(self._first))
        number = np.empty(groups, np.int32)
        number[np.argsort(first)] = np.arange(groups)
        return number[group]

    def _number(self, mask: NDArray[np.bool_], box: PlaneBox) -> tuple[NDArray[np.int32], int]:
        labels = np.empty(mask.shape, np.int32)
        count = ndimage.label(mask, output=labels)
        labels[mask] += self._starts[box]
        return labels, count

    def _meet(self, edge: tuple[str, int, int], here: NDArray[np.int32]) -> None:
        """Note which ids touch across the edge of a block, if there is a block on the other side."""
        there = self._edges.pop(edge, None)
        if there is not None:
            touching = (here > 0) & (there > 0)
            self._pairs.append(np.unique(np.stack([there[touching], here[touching]]), axis=1))


def _first_pixels(labels: NDArray[np.int32], start: int, count: int) -> NDArray[np.int64]:
    """Return the flat index of the first pixel of each of ``count`` labels after ``start``."""
    candidates = labels > 0
    candidates[1:] &= labels[:-1] == 0
    candidates[:, 1:] &= labels[:, :-1] == 0
    where = np.flatnonzero(candidates)[::-1]
    first = np.zeros(count, np.int64)
    first[labels.ravel()[where] - start - 1] = where  # of several, the last one written stays
    return first
