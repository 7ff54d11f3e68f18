"""What counts as reviewed, and what a new prediction may and may not do to it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_unet.core.corrections import (
    Patch,
    Review,
    changed_box,
    flip,
    ignore_crumbs,
    mark,
    rebase,
    toggle,
    unmark,
)
from napari_unet.core.errors import InputError

SHAPES = st.sampled_from([(6,), (5, 7), (1, 1), (12, 9), (2, 6, 5), (2, 2, 4, 4)])
PLANES = st.sampled_from([(5, 7), (12, 9), (2, 6, 5)])


def label_arrays(shape: tuple[int, ...], cells: int = 5) -> st.SearchStrategy[np.ndarray]:
    return hnp.arrays(np.int32, shape, elements=st.integers(0, cells))


@st.composite
def reviews(draw: st.DrawFn) -> tuple[Review, np.ndarray]:
    shape = draw(PLANES)
    prediction = draw(label_arrays(shape))
    labels = prediction.copy()
    for _ in range(draw(st.integers(0, 3))):
        corner = tuple(draw(st.integers(0, length - 1)) for length in shape)
        labels[tuple(slice(at, at + 3) for at in corner)] = draw(st.integers(0, 8))
    marked = draw(hnp.arrays(np.bool_, shape, elements=st.booleans()))
    return Review(prediction, labels, marked), draw(label_arrays(shape, 9))


def disc(shape: tuple[int, int], centre: tuple[int, int], radius: float) -> np.ndarray:
    y, x = np.ogrid[: shape[0], : shape[1]]
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2


@pytest.fixture
def two_cells() -> Review:
    prediction = np.zeros((40, 80), np.int32)
    prediction[disc((40, 80), (20, 20), 12)] = 1
    prediction[disc((40, 80), (20, 60), 12)] = 2
    return Review.of(prediction)


@given(st.data(), SHAPES)
@settings(deadline=None)
def test_changed_box_is_the_bounding_box_of_the_differences(
    data: st.DataObject, shape: tuple[int, ...]
) -> None:
    before = data.draw(label_arrays(shape, 1))
    after = data.draw(label_arrays(shape, 1))
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
        toggle(two_cells, Patch(((8, 33), (8, 33)), two_cells.labels[8:33, 8:33] == 1)),
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


def test_toggle_goes_by_what_most_of_the_pixels_are(two_cells: Review) -> None:
    cell = Patch(((8, 33), (8, 33)), two_cells.labels[8:33, 8:33] == 1)
    mark(two_cells, ((8, 12), (0, 80)))
    toggle(two_cells, cell)
    assert two_cells.marked[two_cells.labels == 1].all()
    rest = two_cells.marked & (two_cells.labels != 1)
    toggle(two_cells, cell)
    np.testing.assert_array_equal(two_cells.marked, rest)
    assert toggle(two_cells, Patch(((0, 2), (0, 2)), np.zeros((2, 2), bool))) is None


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


@given(reviews())
@settings(max_examples=300, deadline=None)
def test_rebase_keeps_the_users_word(case: tuple[Review, np.ndarray]) -> None:
    review, prediction = case
    kept, before = review.reviewed(), review.labels.copy()
    rebased = rebase(review, prediction)
    np.testing.assert_array_equal(rebased.labels[kept], before[kept])
    np.testing.assert_array_equal(rebased.changed(), review.changed())
    np.testing.assert_array_equal(rebased.marked, review.marked)
    np.testing.assert_array_equal(rebased.reviewed(), kept)
    assert rebased.counts().changed_cells == review.counts().changed_cells
    assert not (rebased.labels[~kept & (prediction == 0)]).any()


@given(reviews())
@settings(max_examples=300, deadline=None)
def test_rebase_gives_no_new_cell_the_id_of_a_kept_one(case: tuple[Review, np.ndarray]) -> None:
    review, prediction = case
    kept = review.reviewed()
    rebased = rebase(review, prediction)
    for cell in set(np.unique(rebased.labels[~kept])) & set(np.unique(review.labels[kept])) - {0}:
        old = review.labels == cell
        assert (old & ~kept).any(), "a cell that was reviewed as a whole has grown"
        sources = np.unique(prediction[(rebased.labels == cell) & ~kept])
        assert len(sources) == 1, "two predicted cells became one"
        new = prediction == sources[0]
        alike = [2 * (old & new & part).sum() > ((old | new) & part).sum() for part in (kept | True, kept)]
        assert any(alike), "the id went to another cell"


@given(reviews())
@settings(deadline=None)
def test_rebase_never_merges_predicted_cells(case: tuple[Review, np.ndarray]) -> None:
    review, prediction = case
    rebased = rebase(review, prediction)
    taken = ~review.reviewed()
    pairs = np.unique(np.stack([rebased.prediction[taken], prediction[taken]]), axis=1)
    named = pairs[:, pairs[0] != 0]
    assert len(set(named[0])) == named.shape[1]


def test_without_corrections_a_new_prediction_is_taken_as_it_is(two_cells: Review) -> None:
    prediction = np.roll(two_cells.prediction, 7, axis=1) * 5
    rebased = rebase(two_cells, prediction)
    np.testing.assert_array_equal(rebased.labels, prediction)
    assert not rebased.reviewed().any()


def test_a_new_prediction_corrects_nothing_in_the_users_name(two_cells: Review) -> None:
    mark(two_cells, two_cells.labels == 1)
    two_cells.labels[two_cells.labels == 2] = 0
    rebased = rebase(two_cells, np.full((40, 80), 4, np.int32))  # disagrees with all that was reviewed
    assert rebased.counts().changed_cells == 1
    unmark(rebased, ((0, 40), (0, 80)))
    np.testing.assert_array_equal(rebased.reviewed(), two_cells.changed())


def test_a_reviewed_cell_gets_no_rim_from_a_larger_prediction(two_cells: Review) -> None:
    mark(two_cells, two_cells.labels == 1)
    prediction = np.where(disc((40, 80), (20, 20), 14), 2, 0).astype(np.int32)
    rebased = rebase(two_cells, prediction)
    np.testing.assert_array_equal(rebased.labels, np.where(two_cells.labels == 1, 1, 0))


def test_a_deleted_cell_does_not_come_back_as_a_rim(two_cells: Review) -> None:
    two_cells.labels[two_cells.labels == 1] = 0
    prediction = np.where(disc((40, 80), (20, 20), 13), 6, 0).astype(np.int32)
    assert not rebase(two_cells, prediction).labels.any()


def test_a_cell_corrected_in_part_stays_one_cell(two_cells: Review) -> None:
    grown = disc((40, 80), (20, 20), 13)
    two_cells.labels[grown & (np.arange(80) > 25)] = 1  # a stroke along one side
    rebased = rebase(two_cells, np.where(grown, 9, 0).astype(np.int32))
    np.testing.assert_array_equal(rebased.labels, np.where(grown, 1, 0))


def test_a_cell_at_the_edge_of_a_reviewed_view_goes_on_outside() -> None:
    before, after = np.zeros((20, 60), np.int32), np.zeros((20, 60), np.int32)
    before[5:15, 13:40] = 1  # two cells taken for one; the first lies across the edge of what was reviewed
    after[5:15, 13:26], after[5:15, 27:40] = 5, 6
    review = Review.of(before)
    mark(review, ((0, 20), (0, 20)))
    labels = rebase(review, after).labels
    np.testing.assert_array_equal(labels == 1, after == 5)
    np.testing.assert_array_equal(labels > 1, after == 6)


def test_a_neighbour_merged_by_the_new_prediction_survives_under_an_id_of_its_own(two_cells: Review) -> None:
    mark(two_cells, two_cells.labels == 1)
    prediction = (two_cells.labels > 0).astype(np.int32)  # both cells as one, under the kept id
    rebased = rebase(two_cells, prediction)
    first, second = rebased.labels[20, 20], rebased.labels[20, 60]
    assert first == 1
    assert second not in (0, 1)
    np.testing.assert_array_equal(rebased.labels == second, two_cells.labels == 2)


def test_a_cell_followed_through_time_is_not_taken_for_slivers() -> None:
    track = np.zeros((8, 30, 90), np.int32)
    for time in range(8):
        track[time][disc((30, 90), (15, 8 + 10 * time), 5)] = 3
    review = Review.of(track)
    review.labels[2][review.labels[2] == 3] = 0
    rebased = rebase(review, track)
    expected = track.copy()
    expected[2] = 0
    np.testing.assert_array_equal(rebased.labels, expected)


def test_a_prediction_of_another_shape_is_refused_and_changes_nothing(two_cells: Review) -> None:
    before = two_cells.labels.copy()
    with pytest.raises(InputError, match="one shape"):
        rebase(two_cells, np.zeros((40, 81), np.int32))
    np.testing.assert_array_equal(two_cells.labels, before)


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
