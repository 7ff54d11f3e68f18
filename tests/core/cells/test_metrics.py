import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_unet.core.base.errors import InputError
from napari_unet.core.cells.metrics import average_precision, evaluate

label_images = arrays(np.int32, (12, 12), elements=st.integers(0, 5))


def cells(*boxes, shape=(40, 40)):
    image = np.zeros(shape, np.int32)
    for number, (top, bottom, left, right) in enumerate(boxes, start=1):
        image[top:bottom, left:right] = number
    return image


def brute_force_ap(prediction, truth, threshold):
    """Maximum one-to-one matching by trying, on IoUs computed mask by mask."""
    true = [truth == i for i in np.unique(truth) if i]
    predicted = [prediction == i for i in np.unique(prediction) if i]
    allowed = [[(t & p).sum() / (t | p).sum() >= threshold for p in predicted] for t in true]

    def best(row, used):
        if row == len(true):
            return 0
        options = [best(row + 1, used)]
        options += [
            1 + best(row + 1, used | {c}) for c, ok in enumerate(allowed[row]) if ok and c not in used
        ]
        return max(options)

    found = best(0, frozenset())
    total = len(true) + len(predicted) - found
    return found / total if total else 1.0


@given(prediction=label_images, truth=label_images, threshold=st.sampled_from([0.1, 0.3, 0.5, 0.75]))
def test_average_precision_equals_brute_force(prediction, truth, threshold):
    assert average_precision(prediction, truth, threshold) == pytest.approx(
        brute_force_ap(prediction, truth, threshold)
    )


@given(truth=label_images)
def test_the_truth_scores_one_whatever_its_numbers(truth):
    scores = evaluate(np.where(truth > 0, 1000 - truth, 0), truth)
    assert scores.ap50 == scores.ap90 == scores.dice == 1
    assert scores.missed == scores.false == 0


def test_a_merged_pair():
    truth = cells((0, 10, 0, 10), (0, 10, 10, 20), (20, 30, 20, 30))
    scores = evaluate(cells((0, 10, 0, 20), (20, 30, 20, 30)), truth)
    assert (scores.merged, scores.split, scores.missed, scores.false) == (1, 0, 0, 0)
    assert scores.ap["0.50"] == pytest.approx(2 / 3)  # IoU of the pair with either half is exactly 0.5
    assert scores.ap["0.55"] == pytest.approx(1 / 4)


def test_a_split_a_missed_and_a_false_cell():
    truth = cells((0, 10, 0, 20), (20, 30, 0, 10))
    scores = evaluate(cells((0, 10, 0, 9), (0, 10, 11, 20), (30, 39, 30, 39)), truth)
    assert (scores.merged, scores.split, scores.missed, scores.false) == (0, 1, 1, 1)


def test_mean_iou_counts_cells_not_covered_by_half_as_zero():
    truth = cells((0, 10, 0, 10), (20, 30, 20, 30))
    scores = evaluate(cells((0, 10, 0, 8), (20, 30, 20, 24)), truth)
    assert scores.mean_iou == pytest.approx((0.8 + 0) / 2)


def test_scores_are_pooled_over_images():
    truth = cells((0, 10, 0, 10))
    scores = evaluate([truth, np.zeros_like(truth)], [truth, truth])
    assert scores.objects == 2
    assert scores.ap50 == 0.5
    assert evaluate(np.zeros((4, 4), int), np.zeros((4, 4), int)).ap50 == 1


def test_images_that_do_not_belong_together_are_refused():
    with pytest.raises(InputError, match="shape"):
        evaluate(np.zeros((4, 4), int), np.zeros((4, 5), int))
    with pytest.raises(InputError, match="compared"):
        evaluate([np.zeros((4, 4), int)], [])
