import numpy as np
import pytest

from napari_unet.core.image.normalisation import normalise
from napari_unet.core.learning.restyle import restyle


def draw_cells():
    rows, columns = np.indices((96, 96))
    labels = np.zeros((96, 96), np.int32)
    for number, (y, x, radius) in enumerate([(24, 24, 14), (60, 30, 10), (50, 70, 18)], start=3):
        labels[np.hypot(rows - y, columns - x) < radius] = number
    return labels


def test_a_seed_makes_the_same_look_and_another_seed_another_one():
    labels = draw_cells()
    first, again, other = (restyle(labels, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 0.05


@pytest.mark.parametrize("seed", range(24))
def test_every_look_is_a_normalised_tile_in_which_cells_can_be_told_from_the_ground(seed):
    labels = draw_cells()
    tile = restyle(labels, np.random.default_rng(seed), channels=2)
    assert tile.shape == (96, 96, 2)
    assert tile.dtype == np.float32
    np.testing.assert_allclose(normalise(tile), tile, atol=1e-5)
    ground = restyle(np.zeros_like(labels), np.random.default_rng(seed))
    assert np.isfinite(ground).all()
    # Where cells are, something else is drawn than on empty ground: the look follows the labels.
    assert not np.allclose(tile[..., :1], ground, atol=0.05)


def test_looks_differ_in_polarity():
    labels = draw_cells()
    differences = []
    for seed in range(40):
        tile = restyle(labels, np.random.default_rng(seed))[..., 0]
        differences.append(tile[labels > 0].mean() - tile[labels == 0].mean())
    assert min(differences) < -0.1
    assert max(differences) > 0.1
