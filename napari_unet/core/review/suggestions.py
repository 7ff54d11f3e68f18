"""Suggested fixes: where a network's own maps hold a better reading of a place than what was drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse.csgraph import connected_components

from napari_unet.core.base import Box, Float32, Float64, InstanceParams, Labels, slices
from napari_unet.core.cells import distance, fill_ellipse, label_instances, number_cells
from napari_unet.core.review.edits import Change
from napari_unet.core.review.mosaic import Mosaic
from napari_unet.core.review.review import Review

LEAST = 0.4
"""Chance of being better from which another reading is suggested."""
MOST = 500
"""Most suggestions for one plane."""
SHARE = 0.2
"""Part of a plane that is looked at, at most."""

_LEAST_AREA, _LEAST_RIM = 512 * 512, 8  # px, of what is looked at, and around a box
_MEET = 0.15  # of the smaller of two cells: less of an overlap is a matter of their outlines
_FLATTER, _STEEPER, _STRICT, _LOOSE, _DOUBTFUL = 0.1, 0.15, 0.7, 0.35, 0.5


class Fix(StrEnum):
    """What a suggestion does to the cells of a place."""

    SPLIT = "split"
    MERGE = "merge"
    DRAW = "draw"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, eq=False)
class Suggestion:
    """Other cells for a place of a plane.

    `box` are the rows and columns of two int32 arrays: `before` has the cells concerned as they were drawn,
    1, 2, ..., the largest first, `after` those suggested in their place; 0 is all else. `chance` is how
    likely these are better, 0 to 1.
    """

    box: Box
    before: Labels
    after: Labels
    chance: float

    @property
    def fix(self) -> Fix:
        """What taking it does."""
        return _name_fix(int(self.before.max(initial=0)), int(self.after.max(initial=0)))

    def describe(self) -> str:
        """Say in a few words what taking it does."""
        count, gone = int(self.after.max(initial=0)), int(self.before.max(initial=0))
        return {
            Fix.SPLIT: f"split into {count}",
            Fix.MERGE: "merge them" if count == 1 else f"make {count} of these {gone}",
            Fix.DRAW: "draw it",
            Fix.DELETE: "delete it" if gone == 1 else "delete them",
        }[self.fix]

    def move(self, rows: int, columns: int) -> Suggestion:
        """Return the same for a place so many rows and columns further on."""
        sides = zip(self.box, (rows, columns), strict=True)
        return replace(self, box=tuple((start + by, stop + by) for (start, stop), by in sides))

    def find_cells(self, plane: Labels) -> list[int] | None:
        """Return the ids that cells 1, 2, ... of `before` have in a plane (Y, X), None if it has others."""
        labels = plane[slices(self.box)]
        ids = np.zeros(int(self.before.max(initial=0)) + 1, labels.dtype)
        ids[self.before.ravel()] = np.where(self.before > 0, labels, 0).ravel()
        known = ids[1:]
        are_those = np.array_equal(ids[self.before], np.where(np.isin(labels, known), labels, 0))
        is_free = not labels[(self.after > 0) & (self.before == 0)].any()
        are_several = np.unique(known).size == known.size and bool(known.all())
        return known.tolist() if are_those and is_free and are_several else None

    def is_open(self, review: Review, where: tuple[slice | int, ...]) -> bool:
        """Whether plane `where` of a review has these cells as they were, and nothing there is reviewed."""
        labels, here = review.labels[where], slices(self.box)
        reviewed = (labels[here] != review.prediction[where][here]) | review.marked[where][here]
        concerned = (self.before > 0) | (self.after > 0)
        return not reviewed[concerned].any() and self.find_cells(labels) is not None

    def plan(self, plane: Labels, ids: Iterator[int]) -> Change | None:
        """Return the change of a plane (Y, X) that takes the suggestion, None where its cells are others.

        The cell that has most of an old one keeps its id; the others take the next of `ids`.
        """
        cells = self.find_cells(plane)
        if cells is None:
            return None
        names = [0] * (int(self.after.max(initial=0)) + 1)
        shared = np.bincount(
            (self.before * len(names) + self.after).ravel(), minlength=len(names) * (len(cells) + 1)
        ).reshape(-1, len(names))
        shared[0], shared[:, 0] = 0, 0
        while shared.any():
            old, new = np.unravel_index(shared.argmax(), shared.shape)
            names[new] = cells[old - 1]
            shared[old], shared[:, new] = 0, 0
        names[1:] = [name or next(ids) for name in names[1:]]
        labels = plane[slices(self.box)].copy()
        labels[self.before > 0] = 0
        labels[self.after > 0] = np.asarray(names, labels.dtype)[self.after[self.after > 0]]
        return Change.between(plane, self.box, labels)


def suggest(
    maps: Float32,
    outputs: tuple[str, ...],
    labels: Labels,
    params: InstanceParams,
    boxes: Sequence[Box],
    *,
    object_size: float | None = None,
) -> list[Suggestion]:
    """Suggest fixes for cells `labels` (Y, X; 1, 2, ...) that `params` drew from output maps (Y, X, maps).

    Looked at are the surroundings of `boxes`, those named first, as long as they are no more than `SHARE` of
    the plane. There the maps are read in other ways, too: with cores of less and of more prominence, with
    a high and a low threshold of the foreground, both believing less certain cells, and with the depth
    lowered along predicted borders. Where cells meet whose number differs, these may be better. How likely a
    cell is right follows from two things, with log-odds -1.5 + 6.5 steady - 17.7 misfit: `steady` is its mean
    IoU with its like in the other readings, `misfit` the mean difference between the depth that it would have
    and the one predicted. By that, and pieces of a cell by how full and how steady they are, `_judge` says
    how likely other cells are better. All weights were fitted by logistic regression on train images of
    nuclei, stained tissue, DIC and membranes, as they are and blurred.

    `object_size` is a typical cell's diameter in px. Without a depth map, or cells, there are none. At most
    `MOST` are returned, the likeliest; no two concern the same cell. 1.8 s for 2048 x 2048 pixels.
    """
    mosaic = Mosaic.pack(_choose_surroundings(boxes, labels.shape, object_size))
    if "distance" not in outputs or not mosaic.boxes:
        return []
    parts, numbers = mosaic.cut(maps), mosaic.number()
    depth = parts[..., outputs.index("distance")]
    here = mosaic.cut(labels).astype(np.int64)
    apart = np.where(here > 0, here + numbers * (here.max() + 1), 0)  # a cell may be in several boxes
    drawn = _Reading(number_cells(apart), depth)
    readings = [drawn]
    readings += [_Reading(cells, depth) for cells in _read_otherwise(parts, outputs, params, object_size)]
    tables = [one.compare(other) for one, other in combinations(readings, 2)]
    pairs = zip(readings[1:], tables, strict=False)  # the first reading is compared first
    found = [better for other, table in pairs for better in _find_better(drawn, other, table)]
    found.sort(key=lambda better: -better.chance)
    return list(_pick(mosaic, labels.shape, drawn, found))


def _choose_surroundings(boxes: Sequence[Box], shape: Sequence[int], object_size: float | None) -> list[Box]:
    """Return the boxes, with a rim in which their neighbours are seen, as long as they are not too large.

    Left out are those that are seen with others, and half of their rim, too.
    """
    chosen: list[Box] = []
    left = max(_LEAST_AREA, SHARE * shape[0] * shape[1])
    for box in boxes:
        rim = round(max(object_size or 0, _LEAST_RIM, *(0.5 * (stop - start) for start, stop in box)))
        near, wide = _widen(box, rim // 2, shape), _widen(box, rim, shape)
        if any(_holds(other, near) for other in chosen):
            continue
        left -= (wide[0][1] - wide[0][0]) * (wide[1][1] - wide[1][0])
        if left < 0:
            break
        chosen.append(wide)
    return chosen


def _widen(box: Box, rim: int, shape: Sequence[int]) -> Box:
    return tuple((max(0, a - rim), min(size, b + rim)) for (a, b), size in zip(box, shape, strict=True))


def _holds(box: Box, other: Box) -> bool:
    sides = zip(box, other, strict=True)
    return all(start <= first and last <= stop for (start, stop), (first, last) in sides)


def _name_fix(before: int, after: int) -> Fix:
    if not before or not after:
        return Fix.DELETE if before else Fix.DRAW
    return Fix.SPLIT if after > before else Fix.MERGE


def _read_otherwise(
    maps: Float32, outputs: tuple[str, ...], params: InstanceParams, object_size: float | None
) -> Iterator[Labels]:
    certainty = min(params.certainty, _DOUBTFUL)
    for changed in (
        {"prominence": max(params.prominence - _FLATTER, 0.1)},
        {"prominence": min(params.prominence + _STEEPER, 0.9)},
        {"foreground": max(params.foreground, _STRICT), "certainty": certainty},
        {"foreground": min(params.foreground, _LOOSE), "certainty": certainty},
    ):
        yield label_instances(maps, outputs, params.model_copy(update=changed), object_size=object_size)
    if "border" in outputs:
        lowered = maps.copy()
        lowered[..., outputs.index("distance")] *= 1 - maps[..., outputs.index("border")]
        yield label_instances(lowered, outputs, params, object_size=object_size)


class _Reading:
    """Cells (Y, X) drawn from maps in one way, and what speaks for each; index 0 is background."""

    def __init__(self, labels: Labels, depth: Float32) -> None:
        self.labels, self.boxes = labels, ndimage.find_objects(labels)
        self.count = len(self.boxes)
        where = np.flatnonzero(labels)
        cell = labels.ravel()[where]
        self.areas = np.bincount(cell, minlength=self.count + 1)
        wrong = np.abs(distance(labels).ravel()[where] - depth.ravel()[where])
        self.misfit = np.bincount(cell, wrong, self.count + 1) / np.maximum(self.areas, 1)
        self.filled = np.ones(self.count + 1)
        if self.count:
            self.filled[1:] = fill_ellipse(*np.divmod(where, labels.shape[1]), cell - 1, self.areas[1:])
        self._likeness: list[Float64] = []

    @property
    def steady(self) -> Float64:
        """The mean IoU of each cell with its like in the readings that this one was compared with."""
        return np.mean(self._likeness, axis=0)

    @property
    def worth(self) -> Float64:
        """How much more likely each cell is right than wrong, -1 to 1: the errors that it spares."""
        return np.tanh((-1.5 + 6.5 * self.steady - 17.7 * self.misfit) / 2)

    def compare(self, other: _Reading) -> sparse.coo_array:
        """Return how many pixels each cell shares with each of another reading."""
        both = np.flatnonzero((self.labels > 0) & (other.labels > 0))
        pairs = self.labels.ravel()[both], other.labels.ravel()[both]
        shape = (self.count + 1, other.count + 1)
        shared = sparse.coo_array((np.ones(both.size), pairs), shape=shape).tocsr().tocoo()
        rows, columns = shared.coords
        ious = shared.data / (self.areas[rows] + other.areas[columns] - shared.data)
        for reading, cells in ((self, rows), (other, columns)):
            best = np.zeros(reading.count + 1)
            np.maximum.at(best, cells, ious)
            reading._likeness.append(best)
        return shared


@dataclass(frozen=True, slots=True)
class _Better:
    """Cells of one reading that may stand in the place of others; how likely they are better."""

    reading: _Reading
    old: NDArray[np.intp]
    new: NDArray[np.intp]
    chance: float


def _find_better(drawn: _Reading, other: _Reading, shared: sparse.coo_array) -> Iterator[_Better]:
    """Yield where cells of another reading are likely to be better than those drawn."""
    rows, columns = shared.coords
    meet = shared.data > _MEET * np.minimum(drawn.areas[rows], other.areas[columns])
    size = drawn.count + other.count
    edges = (np.ones(np.count_nonzero(meet)), (rows[meet] - 1, drawn.count + columns[meet] - 1))
    count, group = connected_components(sparse.coo_array(edges, shape=(size, size)), directed=False)
    sides = [
        _Side(reading, cells, count)
        for reading, cells in ((drawn, group[: drawn.count]), (other, group[drawn.count :]))
    ]
    old, new = sides
    chances = _judge(old, new)
    for at in np.flatnonzero((chances >= LEAST) & (old.counts != new.counts)):
        yield _Better(other, old.find(at), new.find(at), float(chances[at]))


class _Side:
    """The cells of a reading in `count` groups, and what those of each group are worth."""

    def __init__(self, reading: _Reading, groups: NDArray[np.int32], count: int) -> None:
        self.counts = np.bincount(groups, minlength=count)
        self.worth = np.bincount(groups, reading.worth[1:], count)
        self.filled = np.bincount(groups, reading.filled[1:], count) / np.maximum(self.counts, 1)
        self.steady = np.ones(count)
        np.minimum.at(self.steady, groups, reading.steady[1:])
        order = np.argsort(groups, kind="stable")
        self._members = np.split(order + 1, np.cumsum(self.counts)[:-1])

    def find(self, group: np.intp) -> NDArray[np.intp]:
        """Return the cells in a group."""
        return self._members[group]


def _judge(old: _Side, new: _Side) -> Float64:
    """Return how likely the new cells of each group are better than the old ones."""
    gain = new.worth - old.worth
    odds = 10.6 + 1.0 * gain - 11.0 * old.filled  # fewer cells
    split = (new.counts > old.counts) & (old.counts > 0)
    odds[split] = (24.7 * new.filled + 4.6 * (new.steady - old.steady) - 23.1)[split]
    odds[new.counts == 0] = (2.2 * gain - 0.1)[new.counts == 0]
    odds[old.counts == 0] = (5.2 * gain + 4.0)[old.counts == 0]
    return np.asarray(1 / (1 + np.exp(-odds)))


def _pick(
    mosaic: Mosaic, shape: Sequence[int], drawn: _Reading, found: Sequence[_Better]
) -> Iterator[Suggestion]:
    """Yield suggestions for a plane of `shape`, the first ones first, that have no pixel in common."""
    taken, numbers, left = np.zeros(shape, np.bool_), mosaic.number(), MOST
    for better in found:
        parts = [drawn.boxes[cell - 1] for cell in better.old]
        parts += [better.reading.boxes[cell - 1] for cell in better.new]
        piece = int(numbers[parts[0][0].start, parts[0][1].start]) - 1
        around = tuple(
            (min(part[axis].start for part in parts) - 1, max(part[axis].stop for part in parts) + 1)
            for axis in range(2)
        )  # what reaches into the rim of a pixel is another cell
        located = mosaic.locate(piece, around, shape)
        if located is None:  # something there is cut off
            continue
        inner, box = located
        before = _number(drawn.labels[slices(inner)], better.old[np.argsort(-drawn.areas[better.old])])
        after = _number(better.reading.labels[slices(inner)], better.new)
        after[(drawn.labels[slices(inner)] > 0) & (before == 0)] = 0
        concerned = (before > 0) | (after > 0)
        is_whole = np.unique(after[after > 0]).size == better.new.size
        if left and is_whole and not (taken[slices(box)] & concerned).any():
            taken[slices(box)] |= concerned
            left -= 1
            yield Suggestion(box, before, after, better.chance)


def _number(labels: Labels, cells: NDArray[np.intp]) -> Labels:
    """Return some cells as 1, 2, ... and the rest as 0."""
    numbers = np.zeros(labels.shape, np.int32)
    for number, cell in enumerate(cells, start=1):
        numbers[labels == cell] = number
    return numbers
