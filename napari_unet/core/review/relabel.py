"""New labels for an image under review: what a prediction brings, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_unet.core.base.arrays import Labels
from napari_unet.core.image.axes import Index, PlaneGrid
from napari_unet.core.image.blocks import Box
from napari_unet.core.review.merge import merge_box
from napari_unet.core.review.rebase import rebase
from napari_unet.core.review.review import Review


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
    grid: PlaneGrid, review: Review | None, labels: Labels, plane: Index, box: Box, window: Box
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
