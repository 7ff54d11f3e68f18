"""What counts as reviewed, and how a mask of it is changed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_unet.core.base.errors import InputError
from napari_unet.core.review.review import (
    Patch,
    Review,
    changed_box,
    flip,
    ignore_crumbs,
    mark,
    unmark,
)

SHAPES = st.sampled_from([(6,), (5, 7), (1, 1), (12, 9), (2, 6, 5), (2, 2, 4, 4)])


def binary_arrays(shape: tuple[int, ...]) -> st.SearchStrategy[np.ndarray]:
    return hnp.arrays(np.int32, shape, elements=st.integers(0, 1))


@given(st.data(), SHAPES)
@settings(deadline=None)
def test_changed_box_is_the_bounding_box_of_the_differences(
    data: st.DataObject, shape: tuple[int, ...]
) -> None:
    before = data.draw(binary_arrays(shape))
    after = data.draw(binary_arrays(shape))
    where = np.nonzero(before != after)
    expected = tuple((int(axis.min()), int(axis.max()) + 1) for axis in where) if where[0].size else None
    assert changed_box(before, after) == expected


def test_changed_box_of_a_stroke_in_an_image_of_many_blocks() -> None:
    before = np.zeros((3000, 700), np.int32)
    after = before.copy()
    after[1000:1900, 30] = 1
    after[1500, 20:600] = 1
    assert changed_box(before, after) == ((1000, 1900), (20, 600))
    assert changed_box(before, before.copy()) is None


def test_changed_box_of_different_shapes_is_refused() -> None:
    with pytest.raises(InputError, match="one shape"):
        changed_box(np.zeros((3, 4)), np.zeros((4, 3)))


def test_arrays_that_are_no_review_are_refused() -> None:
    labels = np.zeros((4, 4), np.int32)
    with pytest.raises(InputError, match="one shape"):
        Review(labels, labels[:2], np.zeros((4, 4), bool))
    with pytest.raises(InputError, match="whole numbers"):
        Review(labels.astype(float), labels, np.zeros((4, 4), bool))
    with pytest.raises(InputError, match="too large"):
        Review(labels, np.full((4, 4), 2**40), np.zeros((4, 4), bool))


def test_reviewed_is_what_was_changed_or_marked(two_cells: Review) -> None:
    two_cells.labels[0, 0] = 3
    assert mark(two_cells, ((10, 12), (0, 5))).box == ((10, 12), (0, 5))
    expected = np.zeros((40, 80), bool)
    expected[0, 0] = expected[10:12, :5] = True
    np.testing.assert_array_equal(two_cells.reviewed(), expected)


def test_mark_and_unmark_tell_which_pixels_changed(two_cells: Review) -> None:
    first = mark(two_cells, two_cells.labels == 1)
    assert first.box == ((8, 33), (8, 33))
    np.testing.assert_array_equal(first.pixels, two_cells.labels[8:33, 8:33] == 1)
    assert mark(two_cells, ((16, 24), (16, 40))).box == ((16, 24), (32, 40))
    assert mark(two_cells, ((16, 24), (16, 40))) is None
    assert unmark(two_cells, ((0, 12), (0, 80))).box == ((8, 12), (13, 28))
    assert unmark(two_cells, np.ones((40, 80), bool)).box == ((12, 33), (8, 40))
    assert not two_cells.marked.any()


def test_what_was_marked_can_be_flipped_back_and_forth(two_cells: Review) -> None:
    mark(two_cells, ((0, 20), (0, 40)))
    states = [two_cells.marked.copy()]
    steps = [
        mark(two_cells, Patch(((8, 33), (8, 33)), two_cells.labels[8:33, 8:33] == 1)),
        unmark(two_cells, ((0, 40), (10, 15))),
        mark(two_cells, two_cells.labels > 0),
    ]
    for step in reversed(steps):
        states.append(two_cells.marked.copy())
        flip(two_cells, step)
    np.testing.assert_array_equal(two_cells.marked, states[0])
    for step, state in zip(steps, [None, None, states[1]], strict=True):
        flip(two_cells, step)
        if state is not None:
            np.testing.assert_array_equal(two_cells.marked, state)


def test_counts_follow_what_the_user_does(two_cells: Review) -> None:
    counts = two_cells.counts()
    assert (counts.cells, counts.changed_cells, counts.reviewed_cells, counts.reviewed_fraction) == (
        2,
        0,
        0,
        0,
    )
    mark(two_cells, two_cells.labels == 1)
    two_cells.labels[two_cells.labels == 2] = 0  # deleted
    two_cells.labels[:4, :4] = 2_000_000_000  # drawn, under whatever number the user likes
    two_cells.labels[4, 0] = -1
    counts = two_cells.counts()
    assert (counts.cells, counts.changed_cells, counts.reviewed_cells) == (3, 3, 3)
    assert counts.reviewed_pixels == two_cells.reviewed().sum() == 2 * (two_cells.prediction == 1).sum() + 17
    assert counts.total_pixels == 40 * 80


def test_a_cell_is_accepted_when_it_is_marked_and_was_not_changed(two_cells: Review) -> None:
    mark(two_cells, two_cells.labels > 0)
    assert two_cells.counts().accepted_cells == 2
    two_cells.labels[20, 60] = 0
    counts = two_cells.counts()
    assert (counts.changed_cells, counts.accepted_cells, counts.cells) == (1, 1, 2)


def test_a_cell_counts_as_reviewed_when_most_of_it_is(two_cells: Review) -> None:
    mark(two_cells, ((0, 20), (0, 40)))
    assert two_cells.counts().reviewed_cells == 0
    mark(two_cells, ((20, 21), (0, 40)))
    assert two_cells.counts().reviewed_cells == 1


def test_crumbs_of_the_brush_are_not_taken_for_cells() -> None:
    labels = np.zeros((60, 60), np.int32)
    labels[5:25, 5:25] = 1
    labels[30:50, 30:50] = 2
    labels[40, 10] = 3
    labels[55, 55:57] = 2
    reviewed = ignore_crumbs(labels, np.ones(labels.shape, np.bool_))
    assert not reviewed[40, 10]
    assert not reviewed[55, 55:57].any()
    assert reviewed.sum() == labels.size - 3
    assert not ignore_crumbs(labels, np.zeros(labels.shape, np.bool_)).any()
    assert ignore_crumbs(np.zeros((4, 4), np.int32), np.ones((4, 4), np.bool_)).all()
