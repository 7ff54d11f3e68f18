"""What suggested fixes are worth to somebody who knows the truth."""

import numpy as np
import pytest

from napari_unet.bench.annotator import Task
from napari_unet.bench.suggestions import judge_suggestions
from napari_unet.core.review.doubt import Doubts
from napari_unet.core.review.suggestions import Suggestion

BOX = ((8, 42), (8, 62))


@pytest.fixture
def pair():
    """Two cells side by side, numbered 1 and 2."""
    labels = np.zeros((50, 70), np.int32)
    labels[10:40, 10:35], labels[10:40, 35:60] = 1, 2
    return labels


def judge(prediction, truth, after):
    here = tuple(slice(*side) for side in BOX)
    doubts = Doubts(np.array([(0, 20, 20)], np.int32), *(np.full(1, at, np.float32) for at in (0.9, 0, 0)))
    fix = Suggestion(BOX, (prediction > 0)[here].astype(np.int32), after[here].astype(np.int32), 0.5)
    if (prediction > 1).any():
        fix = Suggestion(BOX, prediction[here], fix.after, 0.5)
    verdict = judge_suggestions([Task(prediction, truth, doubts.suggest([fix], prediction))])
    return {name: count for name, count in verdict.model_dump().items() if count}


def test_a_place_that_is_wrong_is_mended_by_the_truth(pair):
    merged = (pair > 0).astype(np.int32)
    assert judge(merged, pair, pair) == {"places": 1, "wrong": 1, "suggested": 1, "mended": 1}


def test_a_place_that_is_right_is_harmed_by_anything_else(pair):
    merged = (pair > 0).astype(np.int32)
    assert judge(merged, merged, pair) == {"places": 1, "needless": 1, "harmed": 1}


def test_half_a_truth_leaves_fewer_errors(pair):
    merged, three = (pair > 0).astype(np.int32), pair.copy()
    three[10:40, 47:60] = 3
    four = three.copy()
    four[10:40, 22:35] = 4
    found = judge(merged, four, three)
    assert found["improved"] == 1
    assert "mended" not in found


def test_a_place_without_a_suggestion_is_only_counted(pair):
    merged = (pair > 0).astype(np.int32)
    doubts = Doubts(np.array([(0, 20, 20)], np.int32), *(np.full(1, at, np.float32) for at in (0.9, 0, 0)))
    verdict = judge_suggestions([Task(merged, pair, doubts)])
    assert (verdict.places, verdict.wrong, verdict.suggested) == (1, 1, 0)
