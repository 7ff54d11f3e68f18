import numpy as np
import pytest
from skimage.measure import label

from napari_unet.core.base.arrays import slices
from napari_unet.core.image.blocks import grow_box, within
from napari_unet.core.review.merge import find_reaching, frame, insert_cells, merge_box
from napari_unet.core.review.review import Review

SHAPE = (120, 140)
ROWS, COLUMNS = np.indices(SHAPE)
CELLS = label((ROWS % 20 >= 8) & (COLUMNS % 20 >= 8)).astype(np.int32)  # 12 px wide, 20 px apart
QUARTERS = [((top, top + 60), (left, left + 70)) for top in (0, 60) for left in (0, 70)]


def predict(box, cells=CELLS):
    """What a network finds in a box and around it, numbered from 1 as it always does."""
    window = grow_box(box, 24, SHAPE)
    return label(cells[slices(window)], background=0).astype(np.int32), window


def merge(review, box, cells=CELLS):
    labels, window = predict(box, cells)
    return merge_box(review, labels, box, window, int(review.labels.max()))


def empty():
    return Review.of(np.zeros(SHAPE, np.int32))


@pytest.mark.parametrize("boxes", [QUARTERS, QUARTERS[::-1]])
def test_views_side_by_side_make_the_cells_of_the_whole(boxes):
    review = empty()
    for box in boxes:
        review = merge(review, box)
    pairs = np.unique(np.stack([review.labels.ravel(), CELLS.ravel()]), axis=1)
    assert pairs.shape[1] == len(np.unique(CELLS))
    assert not review.reviewed().any()


def test_cells_at_the_edge_are_there_and_whole():
    review = merge(empty(), ((0, 33), (0, 140)))  # the edge goes through the second row of cells, at 28 to 39
    drawn = np.unique(CELLS[review.labels > 0])
    assert set(drawn) == set(np.unique(CELLS[:40])) - {0}
    np.testing.assert_array_equal(review.labels > 0, np.isin(CELLS, drawn) & (CELLS > 0))


def test_a_cell_that_shrinks_out_of_the_box_is_not_lost():
    review = Review.of(CELLS.copy())
    smaller = np.where((ROWS % 20 >= 10) & (COLUMNS % 20 >= 8), CELLS, 0)
    after = merge(review, ((0, 29), (0, 140)), smaller)  # rows 28 and 29 of the second row are no cells now
    assert set(np.unique(after.labels)) == set(np.unique(CELLS))
    np.testing.assert_array_equal(after.labels[28:40], smaller[28:40])


def test_segmenting_the_same_again_changes_nothing():
    whole = Review.of(CELLS * 3)
    again = merge(whole, ((25, 93), (31, 100)))
    np.testing.assert_array_equal(again.labels, whole.labels)
    np.testing.assert_array_equal(again.prediction, whole.prediction)


def test_labels_elsewhere_and_what_was_reviewed_stay():
    review = Review.of(CELLS.copy())
    box = ((40, 80), (40, 80))
    review.labels[50:54, 50:54] = 99
    review.marked[48:60, 68:80] = True
    nothing = np.zeros(SHAPE, np.int32)
    after = merge(review, box, nothing)
    reviewed = review.reviewed()
    np.testing.assert_array_equal(after.labels[reviewed], review.labels[reviewed])
    np.testing.assert_array_equal(after.reviewed(), reviewed)
    inside = np.zeros(SHAPE, bool)
    inside[slices(box)] = True
    np.testing.assert_array_equal(after.labels[~inside], review.labels[~inside])
    assert not after.labels[inside & ~reviewed].any()


def test_a_new_cell_keeps_the_id_of_the_one_that_it_replaces():
    review = Review.of(CELLS * 2)
    moved = np.roll(CELLS, 1, 0)
    after = merge(review, ((40, 80), (40, 80)), moved)
    changed = after.labels != review.labels
    assert changed.any()
    assert set(np.unique(after.labels)) == set(np.unique(review.labels))


def test_of_a_giant_only_what_is_seen_gives_way():
    review = Review.of(np.full(SHAPE, 7, np.int32))
    box = ((40, 80), (40, 80))
    after = merge(review, box)
    assert len(np.unique(after.labels[slices(box)])) == 1 + 4
    outside = np.ones(SHAPE, bool)
    outside[slices(box)] = False
    assert (after.labels[outside] == 7).all()


def test_what_reaches_into_a_part():
    labels = np.zeros((10, 10), np.int32)
    labels[2:5, 2:9], labels[9, 9] = 4, 900
    found = find_reaching(labels, (slice(0, 3), slice(0, 3)))
    np.testing.assert_array_equal(found, (labels == 4) | ((np.indices(labels.shape) < 3).all(0)))


def insert(cells, box, around=CELLS, first=1000):
    window = frame(box, SHAPE)
    return insert_cells(around[slices(window)], cells, box, window, first)


@pytest.mark.parametrize("box", [((30, 75), (35, 110)), ((0, 33), (0, 50)), ((90, 120), (130, 140))])
def test_cells_put_back_unchanged_are_the_same(box):
    cells = label(CELLS[slices(box)]).astype(np.int32)
    named, last = insert(cells, box)
    np.testing.assert_array_equal(named, CELLS[slices(box)])
    assert last == 1000


def test_cells_at_the_edge_continue_those_outside_and_new_ones_get_new_ids():
    box = ((30, 75), (35, 110))
    cells = np.zeros((45, 75), np.int32)
    cells[0:9, 11:20] = 5  # another shape of the cell cut by the upper edge, rows 28 to 39, columns 48 to 59
    cells[21:23, 31:33] = 6  # a new one
    named, last = insert(cells, box)
    assert named[0, 11] == CELLS[29, 50]
    assert named[21, 31] == last == 1001


def test_an_id_that_goes_on_outside_is_given_to_nobody_else():
    """The part in the box of a cell that crosses its edge was replaced by one that does not reach it."""
    box = ((30, 75), (35, 110))
    outside = CELLS[29, 50]
    cells = np.where(CELLS[slices(box)] == outside, 1, 0).astype(np.int32)
    cells[0] = 0
    named, _ = insert(cells, box)
    assert set(np.unique(named)) == {0, 1001}


def test_of_two_parts_that_meet_one_cell_outside_the_larger_continues_it():
    box = ((30, 75), (35, 110))
    cells = np.zeros((45, 75), np.int32)
    cells[0:5, 13:20], cells[0:5, 20:25] = 1, 2  # side by side under the cell in columns 48 to 59
    named, _ = insert(cells, box)
    assert named[0, 14] == CELLS[29, 50]
    assert named[0, 22] > 1000


def test_windows_are_where_they_are_asked_for():
    box = ((0, 10), (130, 140))
    assert frame(box, SHAPE) == ((0, 11), (129, 140))
    assert within(box, frame(box, SHAPE)) == (slice(0, 10), slice(1, 11))
