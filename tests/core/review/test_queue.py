"""Which places are worth a look, and in which order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_unet.core.image.axes import PlaneGrid
from napari_unet.core.review.doubt import Doubts
from napari_unet.core.review.queue import MOST, WORTH, Place, Reason, is_settled, rank_places
from napari_unet.core.review.rebasing import rebase
from napari_unet.core.review.review import Review, mark

GRID = PlaneGrid("YX", (200, 240))


def squares(shape: tuple[int, int] = (200, 240)) -> np.ndarray:
    """Cells 1 to 30, squares 20 px wide, 40 px apart."""
    rows, columns = np.indices(shape)
    cells = rows // 40 * (shape[1] // 40) + columns // 40 + 1
    return np.where(
        (rows % 40 >= 10) & (rows % 40 < 30) & (columns % 40 >= 10) & (columns % 40 < 30), cells, 0
    )


def doubt(point: tuple[int, int, int], faint: float = 0, seam: float = 0, missed: float = 0) -> Doubts:
    columns = (np.array([value], np.float32) for value in (faint, seam, missed))
    return Doubts(np.array([point], np.int32), *columns)


@pytest.fixture
def review() -> Review:
    return Review.of(squares().astype(np.int32))


def cell(review: Review, label: int) -> tuple[slice, slice]:
    rows, columns = np.nonzero(review.labels == label)
    return slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)


def replace(review: Review, label: int, drawn: np.ndarray) -> Review:
    """Return a review whose prediction draws a cell in another way."""
    labels = np.where(review.labels == label, 0, review.labels)
    labels[drawn] = label
    return Review.of(labels.astype(np.int32))


def test_cells_that_are_all_alike_are_not_worth_a_look(review: Review) -> None:
    assert rank_places(review, GRID) == []


def test_the_most_doubtful_cell_comes_first(review: Review) -> None:
    doubts = Doubts.join([doubt((0, 60, 60), faint=0.5, seam=0.9), doubt((0, 60, 100), faint=0.8)])
    first, second = rank_places(review, GRID, doubts)
    assert (first.label, first.reason) == (9, Reason.FAINT)
    assert (second.label, second.reason) == (8, Reason.SEAM)
    assert 1 > first.chance > second.chance >= WORTH
    assert first.box == ((50, 70), (90, 110))
    assert first.plane == ()


@pytest.mark.parametrize(
    ("drawn", "reason"),
    [
        ((slice(50, 53), slice(50, 53)), Reason.SMALL),
        ((slice(42, 78), slice(42, 158)), Reason.LARGE),
    ],
)
def test_a_cell_of_another_size_is_odd(review: Review, drawn: tuple[slice, slice], reason: Reason) -> None:
    where = np.zeros(review.shape, bool)
    where[drawn] = True
    (place,) = rank_places(replace(review, 8, where), GRID)
    assert (place.label, place.reason) == (8, reason)


def test_a_crescent_is_odd(review: Review) -> None:
    y, x = np.ogrid[:200, :240]
    crescent = (np.hypot(y - 60, x - 60) < 17) & (np.hypot(y - 60, x - 66) > 15)
    (place,) = rank_places(replace(review, 8, crescent), GRID)
    assert (place.label, place.reason) == (8, Reason.FORM)


def test_what_the_edge_cuts_is_not_odd(review: Review) -> None:
    corner = np.zeros(review.shape, bool)
    corner[:3, :3] = True
    assert rank_places(replace(review, 1, corner), GRID) == []


def test_few_cells_do_not_say_what_is_usual() -> None:
    labels = np.zeros((60, 60), np.int32)
    labels[5:8, 5:8], labels[20:50, 20:50] = 1, 2
    assert rank_places(Review.of(labels), PlaneGrid("YX", labels.shape)) == []


def test_corrected_accepted_and_reviewed_cells_are_left_out(review: Review) -> None:
    doubts = Doubts.join([doubt((0, 60, column), faint=0.9) for column in (60, 100, 140, 180)])
    before = rank_places(review, GRID, doubts)
    assert {place.label for place in before} == {8, 9, 10, 11}
    review.labels[50:52, 50:60] = 0
    mark(review, ((45, 75), (85, 115)))
    review.labels[cell(review, 10)] = 0
    assert [place.label for place in rank_places(review, GRID, doubts)] == [11]
    settled = [is_settled(review, GRID, place) for place in before]
    assert settled == [place.label != 11 for place in before]


def test_a_missed_cell_is_a_place_until_one_is_drawn_there(review: Review) -> None:
    doubts = Doubts.join([doubt((0, 80, 80), missed=0.6), doubt((0, 120, 80), missed=0.1)])
    (place,) = rank_places(review, GRID, doubts)
    assert (place.label, place.reason, place.chance) == (0, Reason.MISSED, pytest.approx(0.6))
    assert not is_settled(review, GRID, place)
    review.labels[74:86, 74:86] = 99
    assert is_settled(review, GRID, place)
    assert rank_places(review, GRID, doubts) == []


def test_doubts_find_their_cell_after_it_got_another_id(review: Review) -> None:
    prediction = np.where(review.labels > 0, 31 - review.labels, 0).astype(np.int32)
    review.labels[12:14, 12:14] = 0
    mark(review, ((50, 70), (50, 70)))
    carried = rebase(review, prediction)
    (place,) = rank_places(carried, GRID, doubt((0, 60, 100), faint=0.9))
    assert place.label == carried.labels[60, 100]


def test_in_depth_a_cell_is_one_place_in_its_worst_plane_and_caps_are_not_odd() -> None:
    plane = squares()
    cap = np.where((np.indices(plane.shape) % 40 // 18 == 1).all(axis=0), plane, 0)
    review = Review.of(np.stack([cap, plane, plane]).astype(np.int32))
    grid = PlaneGrid("ZYX", review.shape)
    assert rank_places(review, grid) == []
    doubts = Doubts.join([doubt((1, 60, 60), faint=0.7), doubt((2, 60, 60), faint=0.9)])
    (place,) = rank_places(review, grid, doubts)
    assert (place.plane, place.label) == ((2,), 8)
    mark(review, ((2, 3), (50, 70), (50, 70)))
    (other,) = rank_places(review, grid, doubts)
    assert other.plane == (1,)
    assert is_settled(review, grid, place)
    assert not is_settled(review, grid, other)


def test_over_time_each_frame_has_its_own_places() -> None:
    review = Review.of(np.stack([squares()] * 3).astype(np.int32))
    doubts = Doubts.join([doubt((frame, 60, 60), faint=0.9) for frame in (0, 2)])
    places = rank_places(review, PlaneGrid("TYX", review.shape), doubts)
    assert [place.plane for place in places] == [(0,), (2,)]


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_any_labels_and_doubts_give_an_ordered_queue_of_open_places(data: st.DataObject) -> None:
    axes, shape = data.draw(st.sampled_from([("YX", (9, 12)), ("TZYX", (2, 2, 6, 7)), ("YXZ", (5, 6, 2))]))
    arrays = hnp.arrays(np.int32, shape, elements=st.integers(-1, 6))
    review = Review(data.draw(arrays), data.draw(arrays), data.draw(hnp.arrays(np.bool_, shape)))
    grid = PlaneGrid(axes, shape)
    count, sides = len(list(grid.indices())), review.labels[grid.select(next(grid.indices()))].shape
    point = st.tuples(*(st.integers(0, size - 1) for size in (count, *sides)))
    value = st.floats(0, 1)
    parts = data.draw(st.lists(st.builds(doubt, point, value, value, value), max_size=5))
    places = rank_places(review, grid, Doubts.join(parts))
    chances = [place.chance for place in places]
    assert chances == sorted(chances, reverse=True)
    assert all(WORTH <= chance <= 1 for chance in chances)
    assert len(places) <= MOST
    for place in places:
        assert isinstance(place, Place)
        assert not is_settled(review, grid, place)
        part = review.labels[grid.select(place.plane)][tuple(slice(*side) for side in place.box)]
        assert place.label == 0 or (part == place.label).any()
