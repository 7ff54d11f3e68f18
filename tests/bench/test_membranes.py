import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_unet.bench.membranes import (
    evaluate_interiors,
    evaluate_segments,
    label_interior,
    part_interior,
    score_segments,
    thin_borders,
)
from napari_unet.core.base.errors import InputError
from napari_unet.core.synthetic.scenes import render_membranes

planes = arrays(np.int32, (6, 7), elements=st.integers(0, 3))


def brute_force(segments, truth):
    """The scores from all ordered pairs of true pixels, with no table."""
    places = [tuple(place) for place in np.argwhere(truth)]
    n = len(places)

    def together(labels, a, b):
        return a == b or (labels[a] == labels[b] != 0)

    pairs = list(product(places, places))
    both = sum(together(segments, *pair) and together(truth, *pair) for pair in pairs)
    predicted = sum(together(segments, *pair) for pair in pairs)
    true = sum(together(truth, *pair) for pair in pairs)
    split, merge = both / true, both / predicted

    def entropy(*sides):
        mates = [sum(all(together(side, a, b) for side in sides) for b in places) for a in places]
        return -sum(math.log(mate / n) for mate in mates) / n

    ours, theirs = entropy(segments), entropy(truth)
    shared = ours + theirs - entropy(segments, truth)
    if ours + theirs == 0:
        return 2 * split * merge / (split + merge), 1.0
    return 2 * split * merge / (split + merge), 2 * shared / (ours + theirs)


@given(segments=planes, truth=planes.filter(lambda labels: labels.any()))
def test_scores_equal_brute_force_over_pixel_pairs(segments, truth):
    assert score_segments(segments, truth) == pytest.approx(brute_force(segments, truth), abs=1e-9)


def quarters():
    """Four segments of 16 pixels, parted by a membrane of one pixel."""
    labels = np.zeros((9, 9), np.int32)
    for number, (top, left) in enumerate(product((0, 5), (0, 5)), start=1):
        labels[top : top + 4, left : left + 4] = number
    return labels


def large_quarters():
    """The same, 8 times as large."""
    return np.kron(quarters(), np.ones((8, 8), np.int32))


def test_the_truth_scores_one():
    truth = quarters()
    assert score_segments(truth * 7, truth) == pytest.approx((1, 1))
    assert evaluate_segments([truth], [truth]).v_rand == pytest.approx(1)


def test_all_merged():
    # Joint and true parts are 1/4 each: 2 * 4/16 / (1 + 4/16); one predicted segment tells nothing.
    assert score_segments(np.ones((9, 9), int), quarters()) == pytest.approx((0.4, 0), abs=1e-12)


def test_all_singletons():
    # 64 true pixels: 2/64 / (1/64 + 1/4), and log 4 nats of log 64 + log 4 on both sides.
    nothing = np.zeros((9, 9), int)
    expected = 2 / 64 / (1 / 64 + 1 / 4), 2 * math.log(4) / (math.log(64) + math.log(4))
    assert score_segments(nothing, quarters()) == pytest.approx(expected)
    every = np.arange(1, 82).reshape(9, 9)
    assert score_segments(every, quarters()) == pytest.approx(expected)


def test_two_merged_of_four():
    truth = quarters()
    segments = np.where(truth == 2, 1, truth)
    # Predicted parts 1/2, 1/4, 1/4, with 1.5 log 2 * ... = H = 1.5 bits of the truth's 2.
    assert score_segments(segments, truth) == pytest.approx((2 * 0.25 / (0.375 + 0.25), 2 * 1.5 / 3.5))


def test_what_is_drawn_on_the_membrane_does_not_count():
    truth = quarters()
    segments = truth.copy()
    segments[truth == 0] = 9
    assert score_segments(segments, truth) == pytest.approx((1, 1))


def test_one_undivided_segment_is_right_if_that_is_the_truth():
    assert score_segments(np.ones((5, 5), int), np.ones((5, 5), int)) == (1, 1)


def test_borders_become_one_pixel_wide():
    segments = np.zeros((7, 20), np.int32)
    segments[:, :4], segments[:, 15:] = 1, 2
    thin = thin_borders(segments)
    assert np.all((thin == 0).sum(axis=1) == 1)
    assert set(np.unique(thin)) == {0, 1, 2}
    assert not thin_borders(np.zeros((5, 5), np.int32)).any()


def test_pieces_that_meet_at_a_corner_are_two():
    assert label_interior(np.eye(2, dtype=bool)).max() == 2


def test_the_width_of_a_membrane_makes_no_difference():
    scene = render_membranes((128, 128), objects=12)
    truth = label_interior(scene.labels > 0)
    thick = truth * (np.pad(truth > 0, 1)[2:, 1:-1] & np.pad(truth > 0, 1)[:-2, 1:-1])
    found = evaluate_segments([thick], [truth])
    assert found.v_rand > 0.95
    assert score_segments(thick, truth)[0] < found.v_rand


def test_the_best_prominence_is_found_over_all_planes():
    truth = large_quarters()
    weak = np.where(truth > 0, 0.78, 0.45).astype(np.float32)
    stained = np.where(truth > 0, 0.98, 0.42).astype(np.float32)
    stained[10:20, :32] = 0.75  # no membrane, though darker
    scores = evaluate_interiors([weak, stained], [truth, truth])
    assert scores.v_rand == scores.v_info == pytest.approx(1)
    assert 0.2 <= scores.v_rand_prominence == scores.v_info_prominence < 0.35
    assert evaluate_interiors([weak], [truth]).v_rand_prominence < scores.v_rand_prominence


def test_a_faint_membrane_parts_where_one_threshold_for_all_would_merge():
    truth = large_quarters()
    interior = (truth > 0).astype(np.float32)
    interior[:, 32:40][truth[:, 32:40] == 0] = 0.6
    interior[40:, :40] -= 0.45  # a part of the plane in which the network is unsure
    scores = evaluate_interiors([interior], [truth])
    assert scores.v_rand == pytest.approx(1)


def test_a_map_with_a_gap_in_a_membrane_merges_two():
    truth = large_quarters()
    interior = (truth > 0).astype(np.float32)
    interior[4:28, 32:40] = 1
    parted = part_interior(interior, 0.2)
    assert len(np.unique(parted[truth > 0])) == 3
    assert evaluate_interiors([interior], [truth]).v_rand == pytest.approx(2 * 0.25 / (0.375 + 0.25))


def test_a_map_that_shows_nothing_is_one_segment():
    assert set(part_interior(np.full((20, 30), 0.1, np.float32), 0.2).ravel()) == {1}


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(InputError, match="shape"):
        score_segments(np.zeros((4, 4), int), np.ones((4, 5), int))
    with pytest.raises(InputError, match="no true segment"):
        score_segments(np.ones((4, 4), int), np.zeros((4, 4), int))
