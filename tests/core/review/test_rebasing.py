"""What a new prediction may and may not do to what was reviewed."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_unet.core.base.errors import InputError
from napari_unet.core.review.rebasing import rebase
from napari_unet.core.review.review import Review, mark, unmark

from ..conftest import disc

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


def is_cut_off(cell: np.ndarray, kept: np.ndarray) -> bool:
    """Whether in some plane a cell meets what was not reviewed in one row, one column or both."""

    def in_plane(cell: np.ndarray, kept: np.ndarray) -> bool:
        lines: Counter[tuple[int, int, int]] = Counter()
        for pixel in np.argwhere(cell & kept):
            for axis, by in product((0, 1), (-1, 1)):
                beside = pixel.copy()
                beside[axis] += by
                if 0 <= beside[axis] < kept.shape[axis] and not kept[tuple(beside)]:
                    lines[axis, by, int(pixel[axis])] += 1
        longest = [max((n for (of, *_), n in lines.items() if of == axis), default=0) for axis in (0, 1)]
        edge = np.ones(cell.shape, np.bool_)
        edge[1:-1, 1:-1] = False
        return bool(lines) and sum(longest) >= 0.8 * lines.total() and not (cell & edge).any()

    return any(in_plane(cell[plane], kept[plane]) for plane in np.ndindex(cell.shape[:-2]))


@given(reviews())
@settings(max_examples=300, deadline=None)
def test_rebase_gives_no_new_cell_the_id_of_a_kept_one(case: tuple[Review, np.ndarray]) -> None:
    review, prediction = case
    kept = review.reviewed()
    rebased = rebase(review, prediction)
    for cell in set(np.unique(rebased.labels[~kept])) & set(np.unique(review.labels[kept])) - {0}:
        old = review.labels == cell
        assert (old & ~kept).any() or is_cut_off(old, kept), "a cell that was reviewed as a whole has grown"
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


@pytest.mark.parametrize("turn", range(4))
def test_a_cell_drawn_up_to_the_edge_of_a_view_goes_on_where_it_could_not_be_seen(turn: int) -> None:
    review = Review.of(np.zeros((40, 80), np.int32))
    cell = disc((40, 80), (20, 30), 10)
    view = np.zeros((40, 80), np.bool_)
    view[:, :33] = True
    review.labels[cell & np.roll(view, 1, axis=1)] = 7  # the brush went a pixel too far
    review = Review(*(np.rot90(each, turn) for each in (review.prediction, review.labels, view)))
    cell = np.rot90(cell, turn)
    seen_by_itself = Review(review.prediction, review.labels, np.zeros_like(review.marked))
    prediction = np.where(cell, 3, 0).astype(np.int32)
    np.testing.assert_array_equal(rebase(review, prediction).labels == 7, cell)
    np.testing.assert_array_equal(rebase(seen_by_itself, prediction).labels, review.labels)


def test_of_a_cell_at_the_border_of_a_plane_too_little_is_seen_to_make_it_grow() -> None:
    review = Review.of(np.zeros((20, 40), np.int32))
    review.labels[0, 10:30] = 7  # the last row of a cell of which no more is in this plane
    prediction = np.zeros((20, 40), np.int32)
    prediction[:12, 10:30] = 3
    labels = rebase(review, prediction).labels
    np.testing.assert_array_equal(labels == 7, review.labels == 7)
    assert labels[5, 20] not in (0, 7)


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
