"""A simulated user, who knows the truth: visits places, corrects what is wrong there, marks what was seen.

Benchmarks measure by it how much work of a user's a result costs. What it reviews is what the window's tools
would have reviewed: cells that it drew, deleted or accepted, and views in which all is right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.core.base import Float64, Labels, Mask, slices
from napari_unet.core.cells import measure_cells
from napari_unet.core.image import PlaneGrid
from napari_unet.core.review import CRUMB, Doubts, Place, Reason, Review, Tour, mark, rank_places, surround

GOOD = 0.8
"""IoU with a true cell from which a user leaves a cell as it is."""
VIEW = 5.0
"""Sides of a place that the canvas shows, as when the window goes to it."""
_LEAST_SIDE = 16  # px, as in the window


@dataclass(frozen=True, slots=True)
class Task:
    """A plane to correct: what was predicted and what is true (Y, X), and the network's doubts if known."""

    prediction: Labels
    truth: Labels
    doubts: Doubts | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """Objects that were looked at: those corrected (drawn, redrawn, deleted) and those right as they were.

    An object is a true cell, or a predicted one that is none. A look at nothing counts as one that was right.
    """

    corrected: int = 0
    right: int = 0

    @property
    def looked(self) -> int:
        """All objects that were looked at."""
        return self.corrected + self.right

    def __add__(self, other: Work) -> Work:
        return Work(self.corrected + other.corrected, self.right + other.right)


Walk = Callable[[Review, Task, np.random.Generator], Iterator[Place]]
"""The places of an image in some order, each seen to before the next is asked for."""


class Annotator:
    """Corrects images, one after the other, until so many objects were looked at.

    A `walk` leads from place to place. Its own cell is looked at, and so are others around it, `per_place`
    objects in all. After `per_image` objects in one image comes the next one, after the last the first again.
    The same seed does the same.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        walk: Walk,
        *,
        per_place: int = 1,
        per_image: int | None = None,
        seed: int = 0,
    ) -> None:
        self.reviews = [Review.of(task.prediction) for task in tasks]
        self.done = Work()
        self._per_place, self._per_image = per_place, per_image
        rng, seen = np.random.default_rng(seed), [replace(t, truth=drop_crumbs(t.truth)) for t in tasks]
        self._open = [
            (review, task, walk(review, task, rng)) for review, task in zip(self.reviews, seen, strict=True)
        ]
        self._here = 0  # objects looked at since this image was turned to

    def work(self, objects: int) -> Work:
        """Look at so many objects more, or at all that are left; return what was done."""
        done = Work()
        while done.looked < objects and self._open:
            review, task, walk = self._open[0]
            budget = objects - done.looked
            if self._per_image is not None:
                budget = min(budget, self._per_image - self._here)
            place = next(walk, None)
            if place is not None:
                step = visit(review, task.truth, place, around=self._per_place, most=budget)
                done += step
                self._here += step.looked
            if place is None or self._here == self._per_image:
                turned = self._open.pop(0)
                self._open += [turned] if place is not None else []
                self._here = 0
        self.done += done
        return done


def walk_queue(review: Review, task: Task, rng: np.random.Generator) -> Iterator[Place]:
    """Go where "Next to fix" leads, and at its end over what is left as one reads."""
    grid = PlaneGrid("YX", review.shape)
    tour = Tour(rank_places(review, grid, task.doubts))
    tour.advance(review, grid)
    while tour.place is not None:
        yield tour.place
        tour.advance(review, grid)
    yield from walk_rows(review, task, rng)


def walk_at_random(review: Review, task: Task, rng: np.random.Generator) -> Iterator[Place]:
    """Go to cells, predicted and missed, in random order."""
    spots = _find_spots(review.labels, task.truth)
    return _pass_over_settled(review, [spots[at] for at in rng.permutation(len(spots))])


def walk_rows(review: Review, task: Task, _rng: np.random.Generator) -> Iterator[Place]:
    """Go to cells, predicted and missed, as one reads: in rows as high as a typical cell."""
    spots = _find_spots(review.labels, task.truth)
    height = np.median([bottom - top for (top, bottom), _ in (s.place.box for s in spots)]) if spots else 1

    def read(spot: _Spot) -> tuple[int, int]:
        (top, bottom), (left, right) = spot.place.box
        return int((top + bottom) / 2 // height), left + right

    return _pass_over_settled(review, sorted(spots, key=read))


WALKS: dict[str, Walk] = {"queue": walk_queue, "random": walk_at_random, "rows": walk_rows}


def visit(review: Review, truth: Labels, place: Place, *, around: int, most: int) -> Work:
    """Look at a place and make all that right which was looked at, in place; `review` and truth are (Y, X).

    Looked at are the cells that have to do with the place's own, then the nearest in view, `around` objects,
    and never more than `most`. A cell with an IoU of `GOOD` with a true one stays as it is; the others are
    replaced by the true ones. Where a cell is cut off from others that were not looked at, these keep the
    rest. Reviewed are then all cells looked at, with a rim, and the largest square around the place, within
    the view, in which there is nothing else.
    """
    scene = _Scene(review.labels, truth)
    distance, reach = _measure_distance(review.shape, place)
    nearest = scene.measure_nearest(distance)
    costs = ~scene.find_done(review.reviewed())
    own = scene.find_own(place)
    first = _take_nearest(np.where(own, nearest, np.inf), costs, most)
    rest = np.where(first, -1, np.where(nearest <= reach, nearest, np.inf))
    spent = int(costs[first].sum())
    chosen = first | _take_nearest(rest, costs, min(spent + max(0, around - max(1, spent)), most))
    view = distance < min(reach + 1, nearest[~chosen].min(initial=np.inf))
    names = scene.correct(review, chosen, view)
    mark(review, view | scene.surround(review.labels, names, chosen))
    right = int((chosen & costs & scene.right).sum())
    work = Work(int((chosen & ~scene.right).sum()), right)
    return work if work.looked else Work(right=1)


def drop_crumbs(truth: Labels) -> Labels:
    """Return true labels without cells so much smaller than a typical one that nobody would draw them."""
    ids, areas = measure_cells(truth)
    if not ids.size:
        return truth
    return np.where(np.isin(truth, ids[areas < CRUMB * np.median(areas)]), 0, truth).astype(np.int32)


def count_objects(prediction: Labels, truth: Labels) -> int:
    """Return how many objects there are to look at: true cells, and what was predicted besides."""
    return int(_Scene(prediction, truth).right.size)


class _Scene:
    """The objects of a plane: all true cells, then what was predicted besides.

    A predicted cell and a true one have to do with each other if half or more of the smaller lies in the
    larger. One is predicted besides if it has to do with none, or only with such as are right without it.
    """

    def __init__(self, labels: Labels, truth: Labels) -> None:
        self._ids, self._predicted = _number(labels)
        true_ids, self._true = _number(truth)
        pairs = self._true.ravel() * self._ids.size + self._predicted.ravel()
        table = np.bincount(pairs, minlength=true_ids.size * self._ids.size)
        table = table.reshape(true_ids.size, self._ids.size)
        rows, columns = table.sum(axis=1, keepdims=True), table.sum(axis=0, keepdims=True)
        fits = table >= GOOD * np.maximum(rows + columns - table, 1)
        related = (2 * table >= rows) | (2 * table >= columns)
        for those in (fits, related):
            those[0], those[:, 0] = False, False
        self._fits, self._related = fits, related
        is_right = fits.any(axis=1)
        is_missed = ~is_right & ~related[:, ~fits.any(axis=0)].any(axis=1)
        is_missed[0] = False
        self.missed = np.where(is_missed[self._true], truth, 0).astype(np.int32)
        self._false = np.flatnonzero(~fits.any(axis=0) & ~related[~is_right].any(axis=0))[1:]
        self._true_count = true_ids.size - 1
        self.right = np.append(is_right[1:], np.zeros(self._false.size, np.bool_))

    def measure_nearest(self, distance: Float64) -> Float64:
        """Return the least distance of each object."""
        least = [np.full(size, np.inf) for size in (self._true_count + 1, self._ids.size)]
        for nearest, array in zip(least, (self._true, self._predicted), strict=True):
            np.minimum.at(nearest, array.ravel(), distance.ravel())
        return np.concatenate([least[0][1:], least[1][self._false]])

    def find_done(self, reviewed: Mask) -> Mask:
        """Return which objects are right and mostly reviewed."""
        areas = np.bincount(self._true.ravel(), minlength=self._true_count + 1)
        seen = np.bincount(self._true.ravel(), reviewed.ravel(), self._true_count + 1)
        mostly = (2 * seen > areas)[1:]
        return self.right & np.append(mostly, np.zeros(self._false.size, np.bool_))

    def find_own(self, place: Place) -> Mask:
        """Return the objects that a place is about."""
        own = np.zeros(self.right.size, np.bool_)
        if place.label:
            column = int(np.searchsorted(self._ids, place.label))
            own[: self._true_count] = self._related[1:, column]
            own[self._true_count :] = self._false == column
        else:
            wrong = np.append(False, ~self.right[: self._true_count])[self._true]
            middle = tuple((start + stop) // 2 for start, stop in place.box)
            here = np.zeros_like(wrong)
            here[middle if wrong[middle] else slices(place.box)] = True
            counts = np.bincount(self._true[here & wrong], minlength=self._true_count + 1)[1:]
            own[: self._true_count] = (counts > 0) & (counts == counts.max(initial=0))
        return own

    def correct(self, review: Review, chosen: Mask, view: Mask) -> list[int]:
        """Make the chosen objects right, and the background in view, in which no others lie.

        Return the labels that the chosen cells have then.
        """
        cells, labels = np.append(False, chosen[: self._true_count]), review.labels
        names = np.where(self._fits.any(axis=1), self._ids[self._fits.argmax(axis=1)], 0)
        drawn, wrong = cells & (names == 0), ~self._fits.any(axis=0)
        gone = self._related[drawn].any(axis=0)
        gone[self._false[chosen[self._true_count :]]] = True
        others = np.append(False, ~chosen[: self._true_count])
        gone_here = (gone & wrong)[self._predicted] & ~others[self._true]
        gone_here |= view & (self._true == 0) & wrong[self._predicted]
        labels[gone_here] = names[self._true[gone_here]]
        first = max(int(labels.max()), int(review.prediction.max())) + 1
        names[drawn] = np.arange(first, first + np.count_nonzero(drawn))
        here = drawn[self._true]
        labels[here] = names[self._true[here]]
        return [int(name) for name in names[cells]]

    def surround(self, labels: Labels, names: Sequence[int], chosen: Mask) -> Mask:
        """Return the chosen cells, which have such `names` in `labels`, with a rim of background."""
        seen = np.zeros(labels.shape, np.bool_)
        patch = surround(labels, names)
        if patch is not None:
            others = np.append(False, ~chosen[: self._true_count])
            seen[slices(patch.box)] = patch.pixels & ~others[self._true[slices(patch.box)]]
        return seen


def _number(labels: Labels) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the ids in labels and 0, ascending, and for each pixel the number of its id."""
    there = np.bincount(labels.ravel()) > 0
    there[0] = True
    return np.flatnonzero(there), (np.cumsum(there) - 1)[labels]


@dataclass(frozen=True, slots=True)
class _Spot:
    """A place with the pixels, in its box, of the cell that was predicted or missed there."""

    place: Place
    cell: Mask

    def is_settled(self, review: Review) -> bool:
        """Whether most of the cell, or of what is left of it, is reviewed."""
        where = slices(self.place.box)
        left = self.cell
        if self.place.label:
            left = left & (review.labels[where] == self.place.label)
        reviewed = review.marked[where] | (review.labels[where] != review.prediction[where])
        return bool(2 * np.count_nonzero(left & reviewed) >= np.count_nonzero(left))


def _find_spots(labels: Labels, truth: Labels) -> list[_Spot]:
    """Return every cell that is predicted, and every true one that has to do with none of the wrong ones."""
    missed = _Scene(labels, truth).missed
    spots = []
    for array, reason in ((labels, Reason.FAINT), (missed, Reason.MISSED)):
        boxes: Sequence[tuple[slice, ...] | None] = ndimage.find_objects(array)
        for label, where in enumerate(boxes, start=1):
            if where is not None:
                box = tuple((side.start, side.stop) for side in where)
                name = label if reason is Reason.FAINT else 0
                spots.append(_Spot(Place((), box, name, 0.0, reason), array[where] == label))
    return spots


def _pass_over_settled(review: Review, spots: Sequence[_Spot]) -> Iterator[Place]:
    for spot in spots:
        reviewed = -1
        while not spot.is_settled(review) and np.count_nonzero(review.reviewed()) > reviewed:
            reviewed = int(np.count_nonzero(review.reviewed()))
            yield spot.place  # again where time ran out before all was right


def _measure_distance(shape: tuple[int, ...], place: Place) -> tuple[Float64, float]:
    """Return how far each pixel is from a place's middle, along the farther axis, and how far one sees."""
    rows, columns = (
        np.abs(np.arange(size) - (start + stop - 1) / 2)
        for size, (start, stop) in zip(shape, place.box, strict=True)
    )
    side = max(_LEAST_SIDE, *(stop - start for start, stop in place.box))
    return np.maximum(rows[:, None], columns[None]), VIEW / 2 * side


def _take_nearest(distances: Float64, costs: Mask, most: int) -> Mask:
    """Return the nearest objects that cost `most` at most; those infinitely far are never among them."""
    order = np.argsort(distances, kind="stable")
    order = order[np.isfinite(distances[order])]
    taken = np.zeros(distances.size, np.bool_)
    taken[order[np.cumsum(costs[order]) <= most]] = True
    return taken
