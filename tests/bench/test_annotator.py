"""A simulated user: what it corrects is right, what it has reviewed it has seen, and it keeps count."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_unet.bench.annotator import GOOD, WALKS, Annotator, Task, Work, drop_crumbs, visit
from napari_unet.core.cells.metrics import evaluate
from napari_unet.core.review.doubt import Doubts
from napari_unet.core.review.queue import Place, Reason
from napari_unet.core.review.review import Review


def squares(rows=3, columns=4):
    """Cells 1, 2, ... of 20 x 20 px, 40 px apart."""
    y, x = np.indices((40 * rows, 40 * columns))
    inside = (y % 40 >= 10) & (y % 40 < 30) & (x % 40 >= 10) & (x % 40 < 30)
    return np.where(inside, y // 40 * columns + x // 40 + 1, 0).astype(np.int32)


@pytest.fixture
def wrong():
    """Of `squares`: 1 and 2 merged, 4 in two halves, 6 missed, 8 half as wide, something false."""
    labels = squares()
    labels[15:25, 10:70] = 1
    labels[labels == 2] = 1
    labels[10:20, 130:150] = 40
    labels[labels == 6] = 0
    labels[112:118, 32:38] = 50
    labels[50:70, 140:150] = 0
    return labels


def place(labels, label):
    rows, columns = np.nonzero(labels == label)
    return Place(
        (),
        ((rows.min(), rows.max() + 1), (columns.min(), columns.max() + 1)),
        int(label),
        0.5,
        Reason.FAINT,
    )


@pytest.mark.parametrize(
    ("label", "cells", "corrected"), [(1, (1, 2), 2), (4, (4,), 1), (40, (4,), 1), (50, (), 1), (8, (8,), 1)]
)
def test_looking_at_a_wrong_cell_makes_it_right_and_leaves_the_others(wrong, label, cells, corrected):
    review = Review.of(wrong)
    done = visit(review, squares(), place(wrong, label), around=1, most=10)
    assert done == Work(corrected=corrected)
    for cell in cells:
        (name,) = np.unique(review.labels[squares() == cell])
        assert name > wrong.max()
        np.testing.assert_array_equal(review.labels == name, squares() == cell)
    others = (squares() > 0) & ~np.isin(squares(), cells)
    np.testing.assert_array_equal(review.labels[others], wrong[others])
    assert not (review.labels == 50).any() or label != 50
    assert review.reviewed()[np.isin(squares(), cells)].all()
    assert not review.reviewed()[others].any()


def test_a_right_cell_is_accepted_with_its_rim_and_the_view_up_to_its_neighbours(wrong):
    review = Review.of(wrong)
    assert visit(review, squares(), place(wrong, 11), around=1, most=10) == Work(right=1)
    np.testing.assert_array_equal(review.labels, wrong)
    seen = np.argwhere(review.marked)
    assert (seen.min(axis=0) == [70, 70]).all()  # where the cells above and to the left end
    assert (seen.max(axis=0) == [119, 129]).all()
    assert visit(review, squares(), place(wrong, 11), around=1, most=10) == Work(right=1), "a wasted look"


def test_a_missed_cell_is_drawn_and_a_look_at_nothing_counts(wrong):
    review = Review.of(wrong)
    there = Place((), ((52, 68), (52, 68)), 0, 0.5, Reason.MISSED)
    assert visit(review, squares(), there, around=1, most=1) == Work(corrected=1)
    assert review.labels[60, 60] > wrong.max()
    nothing = Place((), ((70, 80), (70, 80)), 0, 0.5, Reason.MISSED)
    assert visit(review, squares(), nothing, around=0, most=1) == Work(right=1)


def test_never_more_than_allowed_is_looked_at_and_the_rest_of_a_merged_cell_stays(wrong):
    review = Review.of(wrong)
    assert visit(review, squares(), place(wrong, 1), around=5, most=1) == Work(corrected=1)
    first, second = (review.labels[20, column] for column in (20, 60))
    assert {first, second} & {1}
    assert first != second


def test_neighbours_are_looked_at_too_and_the_whole_square_between_is_reviewed(wrong):
    review = Review.of(wrong)
    done = visit(review, squares(), place(wrong, 8), around=4, most=10)
    assert done.looked == 4
    assert review.marked[squares() == 8].all()
    assert review.marked[60, 130]


def test_crumbs_are_no_cells():
    truth = squares()
    truth[0, :3] = 99
    np.testing.assert_array_equal(drop_crumbs(truth), squares())
    assert not drop_crumbs(np.zeros((4, 4), np.int32)).any()


def test_the_queue_leads_to_what_is_wrong_first(wrong):
    tops = {1: 0.9, 4: 0.65, 8: 0.75}
    points = np.array([(0, *np.argwhere(wrong == label)[0]) for label in tops], np.int32)
    none = np.zeros(len(tops), np.float32)
    task = Task(wrong, squares(), Doubts(points, np.array(list(tops.values()), np.float32), none, none))
    annotator = Annotator([task], WALKS["queue"])
    for cells in ((1, 2), (8,), (4,)):
        before = annotator.reviews[0].labels.copy()
        annotator.work(len(cells))
        assert set(np.unique(squares()[annotator.reviews[0].labels != before])) >= set(cells)
    assert annotator.done == Work(corrected=4)


def test_images_take_turns():
    task = Task(np.zeros_like(squares()), squares())
    annotator = Annotator([task, task], WALKS["rows"], per_image=3)
    found = []
    for _ in range(4):
        annotator.work(3)
        found.append([len(np.unique(review.labels)) - 1 for review in annotator.reviews])
    assert found == [[3, 0], [3, 3], [6, 3], [6, 6]]
    assert annotator.work(100).looked == 12


SCENES = hnp.arrays(np.int32, (9, 11), elements=st.integers(0, 5))


HALF_IN_EACH = np.full((2, 9, 11), 2, np.int32)
HALF_IN_EACH[0, 0, :2] = HALF_IN_EACH[1, 0, [0, 2, 3]] = 1


@example(*HALF_IN_EACH, "queue", 1, 1, 0)
@given(SCENES, SCENES, st.sampled_from(list(WALKS)), st.integers(1, 6), st.integers(1, 30), st.integers(0, 3))
@settings(deadline=None, max_examples=100)
def test_what_is_changed_is_true_what_is_seen_is_right_and_the_budget_holds(
    prediction, truth, walk, per_place, objects, seed
):
    task = Task(prediction, truth)
    twice = [Annotator([task], WALKS[walk], per_place=per_place, seed=seed) for _ in range(2)]
    for annotator in twice:
        assert annotator.work(objects).looked <= objects
    annotator = twice[0]
    (review,), truth = annotator.reviews, drop_crumbs(truth)
    np.testing.assert_array_equal(review.labels, twice[1].reviews[0].labels)
    np.testing.assert_array_equal(review.marked, twice[1].reviews[0].marked)
    changed = review.changed()
    np.testing.assert_array_equal(review.labels[changed] > 0, truth[changed] > 0)
    for label in np.unique(review.labels[changed & (review.labels > 0)]):
        assert len(np.unique(truth[changed & (review.labels == label)])) == 1
    annotator.work(10_000)
    final = evaluate(review.labels, truth)
    assert final.missed == final.false == 0
    assert all(ap == 1 for threshold, ap in final.ap.items() if float(threshold) <= GOOD)
