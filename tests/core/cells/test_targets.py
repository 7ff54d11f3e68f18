import numpy as np
import pytest

from napari_unet.core.cells.targets import (
    border,
    border_weight_map,
    class_weights,
    distance,
    nearest_two,
    number_cells,
    separation_weights,
    target_maps,
)


@pytest.fixture
def touching_squares():
    labels = np.zeros((48, 64), np.int32)
    labels[10:30, 10:30] = 1
    labels[10:30, 30:50] = 2
    labels[36:44, 20:40] = 3
    return labels


def brute_force_distances(labels):
    """Distances in px to every cell, pixel by pixel, as the paper words it."""
    grid = np.stack(np.indices(labels.shape), -1).reshape(-1, 1, 2)
    per_cell = []
    for cell in np.unique(labels[labels > 0]):
        pixels = np.argwhere(labels == cell)[None]
        per_cell.append(np.sqrt(((grid - pixels) ** 2).sum(-1)).min(1).reshape(labels.shape))
    return np.sort(per_cell, axis=0)


def test_weight_map_equals_the_papers_formula_by_brute_force(touching_squares):
    d1, d2 = brute_force_distances(touching_squares)[:2]
    inside = touching_squares > 0
    w_c = np.where(inside, 0.5 / inside.mean(), 0.5 / (1 - inside.mean()))
    expected = w_c + 10 * np.exp(-((d1 + d2) ** 2) / (2 * 5**2))
    np.testing.assert_allclose(border_weight_map(touching_squares), expected, atol=10 * np.exp(-8))


def test_the_two_nearest_distances_are_exact_within_the_cutoff(touching_squares):
    exact = brute_force_distances(touching_squares)
    for found, expected in zip(nearest_two(touching_squares, 12), exact[:2], strict=True):
        near = expected <= 12
        np.testing.assert_allclose(found[near], expected[near])
        assert np.isinf(found[~near]).all()


def test_the_exponent_keeps_its_factor_two(touching_squares):
    weights = separation_weights(touching_squares, w0=10, sigma=5)
    assert weights[20, 29] == pytest.approx(10 * np.exp(-1 / 50), rel=1e-5)


def test_classes_weigh_the_same_in_total(touching_squares):
    weights, inside = class_weights(touching_squares), touching_squares > 0
    assert weights[inside].sum() == pytest.approx(weights[~inside].sum(), rel=1e-5)
    assert weights.mean() == pytest.approx(1, rel=1e-5)
    assert (class_weights(np.zeros((4, 4), np.int32)) == 1).all()


def test_cells_may_have_any_number():
    labels = np.array([[0, 2_000_000_000, -5], [7, 7, 0]], np.int32)
    np.testing.assert_array_equal(number_cells(labels), [[0, 3, 1], [2, 2, 0]])


def test_border_marks_the_seam_and_nothing_else(touching_squares):
    seam = border(touching_squares)
    assert seam[15:25, 28:32].all()
    assert not seam[:, :27].any()
    assert not seam[34:].any()


def test_distance_is_one_in_the_middle_and_falls_to_the_edge(touching_squares):
    depth = distance(touching_squares)
    assert depth.max() == 1
    assert (depth[touching_squares == 0] == 0).all()
    for cell in (1, 2, 3):
        assert depth[touching_squares == cell].max() == 1
    assert depth[20, 10] == pytest.approx(0.1)
    assert depth[20, 29] == pytest.approx(0.1)


def test_targets_of_an_empty_image_are_zero_and_finite():
    empty = np.zeros((16, 16), np.int32)
    maps = target_maps(empty, ("foreground", "border", "distance"))
    assert maps.shape == (16, 16, 3)
    assert not maps.any()
    assert np.isfinite(border_weight_map(empty)).all()
    assert target_maps(empty, ("background",)).all()
