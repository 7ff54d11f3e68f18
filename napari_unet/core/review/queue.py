"""What to fix next: the places of an image in the order in which looking at them is worth the time.

A tour leads from one to the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.base import Box, Float64, Index, slices
from napari_unet.core.cells import fill_ellipse
from napari_unet.core.image import PlaneGrid
from napari_unet.core.review.doubt import Doubts
from napari_unet.core.review.review import Review
from napari_unet.core.review.suggestions import Suggestion

Table = dict[str, NDArray[Any]]

WORTH = 0.25
"""Chance of being wrong from which a place is worth a look: one look in four finds something to fix."""
MOST = 500
"""Most places in one queue."""
LEAST_CELLS = 5
"""Fewer cells than this do not say what is usual."""

_BASE, _FAINT, _SEAM, _SIZE, _FORM = -4.6, 9.0, 2.4, 0.35, 12.0
_TYPICAL_FAINT = 0.3
_ALIKE = 0.25  # standard deviation of the logarithm of areas, at least
_MOST_SIZE, _MOST_FORM = 4.0, 0.3  # what is odder than this is no more likely to be wrong
_FILLED = 0.25  # of the box of a missed cell


class Reason(StrEnum):
    """Why a place is worth a look."""

    FAINT = "The network is unsure of this cell"
    SEAM = "May be one cell with its neighbour"
    SMALL = "Much smaller than the others"
    LARGE = "Much larger than the others"
    FORM = "Oddly shaped"
    MISSED = "A cell may be missing here"


@dataclass(frozen=True, slots=True)
class Place:
    """A cell in a plane, or where one may be missing: then `label` is 0.

    `plane` is its index along T and Z, `box` its rows and columns in that plane, `chance` how likely
    something is wrong there, 0 to 1, and `reason` what speaks for that most. `suggestion` is what may mend
    it, and `box` goes round that then.
    """

    plane: Index
    box: Box
    label: int
    chance: float
    reason: Reason
    suggestion: Suggestion | None = field(default=None, compare=False)


def rank_places(review: Review, grid: PlaneGrid, doubts: Doubts | None = None) -> list[Place]:
    """Return the places of an image that are worth a look, the most likely wrong first, at most `MOST`.

    Before all others come those where a fix is suggested: one key may mend them. Fixing a place corrects one
    cell, whichever it is, so that the expected gain is the chance that the place is wrong. For a cell of a
    plane that is, with log-odds x,

        chance = 1 / (1 + exp(-x)),  x = -4.6 + 9 faint + 2.4 seam + 0.35 size + 12 form

    `faint` and `seam` are the network's own doubts (see `core.doubt`; 0.3 and 0 where they are not known).
    `size` is how far the log of the area is from the median one, in robust standard deviations of at least
    0.25; at most 4. `form` is how much less the cell fills of the ellipse of its own second moments than the
    median cell does, at most 0.3: cells grown together, crescents and branches fill little of theirs. The
    weights were chosen on 9640 cells that the bundled models predict in images that they were trained on: by
    a logistic regression of "no true cell has an IoU > 0.5 with it", with more weight on size and form, which
    are all there is where the doubts are not known and tell cells grown together, and by the corrections that
    a simulated user needs (`bench.annotator`). For a missed cell the chance is the mean probability of
    foreground that the network gave it. Where a fix is suggested, it is at least midway between 1 and the
    chance that this is better: of those that are not, half stand where something else is wrong.

    Left out are cells that were changed or are mostly reviewed. A cell that the image's edge cuts is not odd
    for being small or of a strange form. In depth a cell is one place, in the plane where it is most likely
    wrong, and only its largest section is compared with others. 0.4 s for 2048 x 2048 pixels, 2000 cells.
    """
    every = Doubts.join([doubts] if doubts is not None else [])
    tables = [
        _measure_cells(review, grid, number, index, every.select(every.points[:, 0] == number))
        for number, index in enumerate(grid.indices())
    ]
    cells = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    places = _rank_cells(cells, grid) + _rank_missed(review, grid, every, cells["area"])
    return sorted(places, key=lambda place: (place.suggestion is None, -place.chance))[:MOST]


def is_settled(review: Review, grid: PlaneGrid, place: Place) -> bool:
    """Whether the user has changed, or reviewed, what there was to look at in a place."""
    where, box = grid.select(place.plane), slices(place.box)
    labels, prediction = review.labels[where][box], review.prediction[where][box]
    changed, marked = labels != prediction, review.marked[where][box]
    if place.suggestion is not None:
        return not place.suggestion.is_open(review, where)
    if place.label == 0:
        middle = tuple(side // 2 for side in labels.shape)
        reviewed = changed | marked
        return bool(reviewed[middle] or labels[middle] or reviewed.mean() > _FILLED)
    cell = labels == place.label
    touched = changed & (cell | (prediction == place.label))
    return bool(touched.any() or not cell.any() or 2 * np.count_nonzero(cell & marked) > cell.sum())


def _expect(fix: Suggestion) -> float:
    """Return how likely something is wrong where a fix is suggested."""
    return (1 + fix.chance) / 2


def _measure_cells(review: Review, grid: PlaneGrid, number: int, index: Index, doubts: Doubts) -> Table:
    """Measure the cells of one plane, one row each."""
    where = grid.select(index)
    labels = review.labels[where].copy()  # the user may draw on meanwhile
    prediction = review.prediction[where]
    rows, columns = np.nonzero(labels)
    ids, cell = np.unique(labels[rows, columns], return_inverse=True)
    changed = labels != prediction
    reviewed = (changed | review.marked[where])[rows, columns]
    area = np.bincount(cell, minlength=ids.size)
    touched = np.isin(ids, np.union1d(labels[changed], prediction[changed]))
    box = _bound(rows, columns, cell, ids.size)
    faint, seam = np.full(ids.size, _TYPICAL_FAINT), np.zeros(ids.size)
    under = labels[tuple(doubts.points[:, 1:].T)]
    known = (under != 0) & (doubts.missed == 0)
    at = np.searchsorted(ids, under[known])
    faint[at], seam[at] = doubts.faint[known], doubts.seam[known]
    fix = np.full(ids.size, None, object)
    fix[at] = [_find_open(review, where, doubts, row) for row in np.flatnonzero(known)]
    stacked = [axis for axis in grid.axes if axis in "TZ"]
    return {
        "plane": np.full(ids.size, number),
        "frame": np.full(ids.size, index[stacked.index("T")] if "T" in stacked else 0),
        "label": ids,
        "area": area,
        "hollow": 1 - fill_ellipse(rows, columns, cell, area),
        "cut": (box[:, :, 0] == 0).any(axis=1) | (box[:, :, 1] == labels.shape).any(axis=1),
        "settled": touched | (2 * np.bincount(cell, reviewed, ids.size) > area),
        "faint": faint,
        "seam": seam,
        "box": box,
        "fix": fix,
    }


def _find_open(
    review: Review, where: tuple[slice | int, ...], doubts: Doubts, row: int | np.intp
) -> Suggestion | None:
    """Return what is suggested in a row, where the user has not seen to that place."""
    fix: Suggestion | None = doubts.fixes[row]
    if fix is not None:
        fix = fix.move(*doubts.points[row, 1:].tolist())
    return fix if fix is not None and fix.is_open(review, where) else None


def _bound(rows: NDArray[Any], columns: NDArray[Any], cell: NDArray[Any], count: int) -> NDArray[np.intp]:
    """Return (count, 2, 2): of rows, then columns, where each cell starts and stops."""
    box = np.zeros((count, 2, 2), np.intp)
    for axis, places in enumerate((rows, columns)):
        first, last = np.full(count, np.iinfo(np.intp).max), np.zeros(count, np.intp)
        np.minimum.at(first, cell, places)
        np.maximum.at(last, cell, places)
        box[:, axis] = np.stack([first, last + 1], axis=1)
    return box


def _rank_cells(cells: Table, grid: PlaneGrid) -> list[Place]:
    """Return the cells, one row each in `cells`, that are worth a look."""
    compared = _largest_sections(cells) if "Z" in grid.axes else np.ones(cells["area"].size, np.bool_)
    size, form = _compare(cells, compared)
    reasons = (Reason.FAINT, Reason.SEAM, Reason.SMALL, Reason.LARGE, Reason.FORM)
    parts = np.stack(
        [
            _FAINT * (cells["faint"] - _TYPICAL_FAINT),
            _SEAM * cells["seam"],
            _SIZE * np.maximum(-size, 0),
            _SIZE * np.maximum(size, 0),
            _FORM * form,
        ]
    )
    chance = 1 / (1 + np.exp(-(_BASE + _FAINT * _TYPICAL_FAINT + parts.sum(axis=0))))
    chance = np.maximum(chance, [_expect(fix) if fix else 0 for fix in cells["fix"]])
    rows = np.flatnonzero((chance >= WORTH) & ~cells["settled"])
    rows = rows[np.argsort(-chance[rows], kind="stable")]
    if "Z" in grid.axes:
        whole = np.stack([cells["frame"][rows], cells["label"][rows]], axis=1)
        rows = rows[np.sort(np.unique(whole, axis=0, return_index=True)[1])]
    planes = list(grid.indices())
    return [
        Place(
            plane=planes[cells["plane"][row]],
            box=cells["fix"][row].box if cells["fix"][row] else _as_box(cells["box"][row]),
            label=int(cells["label"][row]),
            chance=float(chance[row]),
            reason=reasons[int(parts[:, row].argmax())],
            suggestion=cells["fix"][row],
        )
        for row in rows[:MOST]
    ]


def _as_box(sides: NDArray[np.intp]) -> Box:
    return tuple((int(start), int(stop)) for start, stop in sides)


def _largest_sections(cells: Table) -> NDArray[np.bool_]:
    """Return which rows are the largest of a cell in depth."""
    order = np.lexsort((-cells["area"], cells["label"], cells["frame"]))
    whole = np.stack([cells["frame"][order], cells["label"][order]])
    largest = np.zeros(order.size, np.bool_)
    largest[order[np.append(True, (whole[:, 1:] != whole[:, :-1]).any(axis=0))[: order.size]]] = True
    return largest


def _compare(cells: Table, compared: NDArray[np.bool_]) -> tuple[Float64, Float64]:
    """Return how odd the size, negative for small, and the form of each cell is; 0 for those not compared."""
    size, form = np.zeros(compared.size), np.zeros(compared.size)
    if np.count_nonzero(compared) >= LEAST_CELLS:
        logs = np.log(cells["area"])
        distance = logs - np.median(logs[compared])
        deviation = max(1.4826 * float(np.median(np.abs(distance[compared]))), _ALIKE)
        whole = compared & ~cells["cut"]
        size[whole] = np.clip(distance[whole] / deviation, -_MOST_SIZE, _MOST_SIZE)
        large = compared & cells["cut"]
        size[large] = np.clip(distance[large] / deviation, 0, _MOST_SIZE)
        usual = np.median(cells["hollow"][compared])
        form[whole] = np.clip(cells["hollow"][whole] - usual, 0, _MOST_FORM)
    return size, form


def _rank_missed(review: Review, grid: PlaneGrid, doubts: Doubts, areas: NDArray[Any]) -> list[Place]:
    """Return where a cell may be missing, in boxes of a typical cell's size."""
    half = max(4, round(float(np.sqrt(np.median(areas) / np.pi)))) if areas.size else 8
    planes = list(grid.indices())
    places = []
    for row in np.flatnonzero(doubts.missed >= WORTH):
        number, *point = (int(at) for at in doubts.points[row])
        where = grid.select(planes[number])
        sides = review.labels[where].shape
        box = tuple(
            (max(0, at - half), min(side, at + half + 1)) for at, side in zip(point, sides, strict=True)
        )
        fix, chance = _find_open(review, where, doubts, row), float(doubts.missed[row])
        place = Place(planes[number], box, 0, chance, Reason.MISSED)
        if fix is not None:
            place = replace(place, box=fix.box, chance=max(chance, _expect(fix)), suggestion=fix)
        if not is_settled(review, grid, place):
            places.append(place)
    return places


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
