"""What suggested fixes are worth, judged by somebody who knows the truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from napari_unet.bench.annotator import Task, drop_crumbs
from napari_unet.core.base import Labels, Mask, slices
from napari_unet.core.image import PlaneGrid
from napari_unet.core.review import Place, Review, rank_places


class Verdict(BaseModel):
    """How many places of queues are wrong, and what would become of them by what is suggested there.

    A place is wrong unless each cell that it is about and each true one there are matched, with an IoU > 0.5.
    """

    model_config = ConfigDict(frozen=True)

    places: int = Field(0, description="Places in the queues.")
    wrong: int = Field(0, description="Of these, places that are wrong.")
    suggested: int = Field(0, description="Wrong places where a fix is suggested.")
    mended: int = Field(0, description="Of these, places that it makes right.")
    improved: int = Field(0, description="Others that it leaves with fewer errors.")
    worsened: int = Field(0, description="Others that it leaves with more errors.")
    needless: int = Field(0, description="Right places where a fix is suggested.")
    harmed: int = Field(0, description="Of these, places that it makes wrong.")


def judge_suggestions(tasks: Sequence[Task]) -> Verdict:
    """Judge each place of each task's queue as it is before anything is corrected."""
    counts = dict.fromkeys(Verdict.model_fields, 0)
    for task in tasks:
        truth = drop_crumbs(task.truth)
        review = Review.of(task.prediction)
        for place in rank_places(review, PlaneGrid("YX", review.shape), task.doubts):
            for what in _judge(place, review.labels, truth):
                counts[what] += 1
    return Verdict(**counts)


def _judge(place: Place, labels: Labels, truth: Labels) -> Iterator[str]:
    """Yield what a place counts as."""
    yield "places"
    before, after = _find_cells(place, labels)
    concerned = (before > 0) | (after > 0)
    scene = _Truth.around(truth, concerned, before, after)
    errors = scene.count_errors(before) if concerned.any() else _misses(place, labels, truth)
    if errors:
        yield "wrong"
    if place.suggestion is None:
        return
    left = scene.count_errors(after)
    yield "suggested" if errors else "needless"
    if not errors:
        yield from ["harmed"] * (left > 0)
    elif left < errors:
        yield "improved" if left else "mended"
    elif left > errors:
        yield "worsened"


def _find_cells(place: Place, labels: Labels) -> tuple[Labels, Labels]:
    """Return the cells of a place as they are and as suggested, (Y, X), alike where nothing is suggested."""
    fix = place.suggestion
    before, after = np.zeros_like(labels), np.zeros_like(labels)
    if fix is not None:
        before[slices(fix.box)], after[slices(fix.box)] = fix.before, fix.after
    else:
        before[:] = after[:] = labels == place.label if place.label else 0
    return before, after


def _misses(place: Place, labels: Labels, truth: Labels) -> int:
    """Return how many cells are missing, none or one, in the middle of a place."""
    here = truth[tuple((start + stop) // 2 for start, stop in place.box)]
    cell = truth == here
    return int(here > 0 and not _Truth([cell]).count_matches(labels))


@dataclass(frozen=True, slots=True)
class _Truth:
    """The true cells that a place has to do with."""

    cells: list[Mask]

    @classmethod
    def around(cls, truth: Labels, concerned: Mask, before: Labels, after: Labels) -> _Truth:
        """Find those of which more than half is concerned, or in which more than half of a cell lies."""
        found = []
        for label in np.unique(truth[concerned]):
            cell = truth == label
            parts = [(part[cell], part) for part in (before, after)]
            holds = any(
                2 * np.count_nonzero(inside == one) > np.count_nonzero(part == one)
                for inside, part in parts
                for one in np.unique(inside[inside > 0])
            )
            if label and (holds or 2 * np.count_nonzero(cell & concerned) > np.count_nonzero(cell)):
                found.append(cell)
        return cls(found)

    def count_errors(self, labels: Labels) -> int:
        """Return how many true cells have no match among some cells, and how many of these have none."""
        cells = int(np.count_nonzero(np.unique(labels)))
        return len(self.cells) + cells - 2 * self.count_matches(labels)

    def count_matches(self, labels: Labels) -> int:
        """Return how many of the true cells have a match among some cells."""
        matched = 0
        for cell in self.cells:
            for one in np.unique(labels[cell & (labels > 0)]):
                other = labels == one
                matched += int(2 * np.count_nonzero(cell & other) > np.count_nonzero(cell | other))
        return matched
