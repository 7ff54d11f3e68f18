"""How sure a network is of the cells that it has drawn, and where it may have missed one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.core.base import Float32, Float64, Labels
from napari_unet.core.review.suggestions import Suggestion

MAYBE = 0.25
"""Foreground probability from which a network that drew nothing is undecided."""
SMALLEST_MISSED = 0.25
"""A missed cell has at least this part of a typical cell's area."""
_SMOOTHING = 1.5  # px, as where cells are drawn: a ripple of the transposed convolutions is no middle
_RIM = 1 / 8  # of a typical cell's diameter; a thinner piece is the blurred rim of a cell that was drawn


@dataclass(frozen=True, slots=True)
class Doubts:
    """What a network is unsure of, one row per cell drawn in a plane or missed there.

    A row is found again by a pixel and not by an id, since ids change when cells are linked or corrected.
    `points`: (N, 3) int32, the number of the plane, row, column. `faint`, `seam` and `missed`: (N,) float32
    in [0, 1]; the last is 0 for cells that were drawn, and the others for those that were not. `fixes`: (N,)
    what is suggested for a place, None for most; its box is counted from the row's point.
    """

    points: NDArray[np.int32]
    faint: Float32
    seam: Float32
    missed: Float32
    fixes: NDArray[Any] = field(default_factory=lambda: np.empty(0, object))

    def __post_init__(self) -> None:
        if len(self.fixes) != len(self.points):
            object.__setattr__(self, "fixes", np.full(len(self.points), None, object))

    @classmethod
    def join(cls, parts: Sequence[Doubts]) -> Doubts:
        """Return the rows of all `parts`, none where there are none."""
        nothing = cls(np.empty((0, 3), np.int32), *(np.empty(0, np.float32) for _ in range(3)))
        every = [nothing, *parts]
        return cls(*(np.concatenate([getattr(part, each.name) for part in every]) for each in fields(cls)))

    def select(self, rows: NDArray[np.bool_]) -> Doubts:
        """Return the rows where `rows`, (N,), is true."""
        return Doubts(*(getattr(self, each.name)[rows] for each in fields(self)))

    def move(self, planes: Sequence[int]) -> Doubts:
        """Return the same rows where plane number n is called `planes[n]`."""
        points = self.points.copy()
        points[:, 0] = np.asarray(planes, np.int32)[points[:, 0]]
        return replace(self, points=points)

    def suggest(self, suggestions: Sequence[Suggestion], labels: Labels) -> Doubts:
        """Return these doubts, as measured about cells `labels` (Y, X), with suggestions for fixes.

        Each is that of the row of its largest cell, or of a place where one may be missing; where there is
        none a row is added.
        """
        fixes, added = self.fixes.copy(), []
        drawn = np.flatnonzero(self.missed == 0)
        row_of = dict(zip(labels[tuple(self.points[drawn, 1:].T)].tolist(), drawn.tolist(), strict=True))
        for each in suggestions:
            inside = np.argwhere((each.before == 1) if each.before.any() else (each.after > 0))
            inside += [start for start, _ in each.box]
            cell = int(labels[tuple(inside[0])])
            row = row_of.get(cell) if cell else self._find_missed(inside)
            if row is None:
                point = inside[len(inside) // 2]
                added.append((point, each.move(*(-point).tolist())))
            else:
                fixes[row] = each.move(*(-self.points[row, 1:]).tolist())
        plane = int(self.points[0, 0]) if len(self.points) else 0
        none = np.zeros(len(added), np.float32)
        rest = Doubts(
            points=np.array([(plane, *point) for point, _ in added], np.int32).reshape(-1, 3),
            faint=none,
            seam=none,
            missed=np.array([each.chance for _, each in added], np.float32),
            fixes=_as_objects([each for _, each in added]),
        )
        return Doubts.join([replace(self, fixes=fixes), rest])

    def _find_missed(self, pixels: NDArray[np.intp]) -> int | None:
        """Return the row of a missed cell whose point is among some pixels (row, column)."""
        rows = np.flatnonzero(self.missed > 0)
        here = (self.points[rows, None, 1:] == pixels).all(axis=2).any(axis=1)
        return int(rows[here][0]) if here.any() else None


def measure_doubts(
    maps: Float32,
    outputs: tuple[str, ...],
    labels: Labels,
    *,
    plane: int = 0,
    object_size: float | None = None,
) -> Doubts:
    """Measure the doubts about cells `labels` (Y, X; 1, 2, ...) drawn by output maps (Y, X, maps).

    The landscape is the predicted distance map, or without one the foreground's probability: near 1 in the
    middle of a cell, lower towards its edge. `faint` is 1 minus the cell's highest point: what is no cell,
    or half of one, has a low middle. `seam` is the highest saddle to a cell that it touches, as a part of
    the lower of the two tops: near 1 where one cell may have been cut in two. `missed` is the mean
    probability of foreground in a region without label where it exceeds `MAYBE` and that is no thinner than
    the rim of a cell. `object_size` is a typical cell's diameter in px. `plane` is the plane's number.
    """
    foreground = maps[..., outputs.index("foreground")]
    middle = maps[..., outputs.index("distance")] if "distance" in outputs else foreground
    landscape = ndimage.gaussian_filter(middle, _SMOOTHING)
    tops, points = _find_tops(landscape, labels)
    regions = _find_missed(foreground, labels, object_size)
    areas = np.bincount(regions.ravel())[1:]
    missed = np.bincount(regions.ravel(), foreground.ravel())[1:] / areas
    points = np.concatenate([points, _find_tops(foreground, regions)[1]])
    none, drawn = np.zeros(areas.size), np.zeros(tops.size)
    return Doubts(
        np.insert(points, 0, plane, axis=1).astype(np.int32),
        *(
            np.clip(np.concatenate(columns), 0, 1).astype(np.float32)
            for columns in ((1 - tops, none), (_find_saddles(landscape, labels, tops), none), (drawn, missed))
        ),
    )


def _as_objects(suggestions: Sequence[Suggestion]) -> NDArray[Any]:
    objects = np.empty(len(suggestions), object)
    objects[:] = suggestions
    return objects


def _find_tops(landscape: Float32, labels: Labels) -> tuple[Float64, NDArray[np.intp]]:
    """Return the highest value in each label and a pixel (row, column) that has it."""
    inside = np.flatnonzero(labels)
    ids, values = labels.ravel()[inside] - 1, landscape.ravel()[inside]
    tops = np.full(int(labels.max(initial=0)), -np.inf)
    np.maximum.at(tops, ids, values)
    where = np.zeros(tops.size, np.intp)
    highest = values == tops[ids]
    where[ids[highest]] = inside[highest]
    return tops, np.stack(np.unravel_index(where, labels.shape), axis=1)


def _find_saddles(landscape: Float32, labels: Labels, tops: Float64) -> Float64:
    """Return the highest saddle of each label to a neighbour, as a part of the lower top; 0 without one."""
    saddles = np.zeros(tops.size)
    for cells, heights in ((labels, landscape), (labels.T, landscape.T)):
        first, second = cells[:-1], cells[1:]
        touching = (first != second) & (first > 0) & (second > 0)
        one, other = first[touching] - 1, second[touching] - 1
        height = np.minimum(heights[:-1][touching], heights[1:][touching])
        parts = height / np.maximum(np.minimum(tops[one], tops[other]), 1e-6)
        np.maximum.at(saddles, one, parts)
        np.maximum.at(saddles, other, parts)
    return saddles


def _find_missed(foreground: Float32, labels: Labels, object_size: float | None) -> Labels:
    """Return the regions, numbered 1, 2, ..., in which a cell may have been missed."""
    size = object_size or 2 / _RIM
    undecided = (foreground > MAYBE) & (labels == 0)
    thick = ndimage.binary_opening(undecided, iterations=max(1, round(_RIM * size)))
    regions, _ = ndimage.label(thick)
    large = np.bincount(regions.ravel()) >= SMALLEST_MISSED * np.pi / 4 * size**2
    large[0] = False
    return np.asarray((np.cumsum(large) * large)[regions], np.int32)
