import numpy as np
import pytest

from napari_unet.core.base.params import AugmentParams
from napari_unet.core.learning.augment import (
    blank_tile,
    change_cell_contrast,
    change_grey_values,
    elastic_displacement,
    tile_coordinates,
    warp_image,
    warp_labels,
)

STILL = AugmentParams(elastic_std=0, rotate=False, zoom=1, contrast=0, blur=0, noise=0, shading=0)


def test_displacements_have_the_papers_spread_on_the_coarse_grid():
    rng = np.random.default_rng(0)
    fields = np.stack([elastic_displacement((65, 65), rng, std=10) for _ in range(400)])
    lattice = fields[:, :, [0, 32, 64]][..., [0, 32, 64]]
    assert lattice.std() == pytest.approx(10, rel=0.05)
    assert abs(lattice.mean()) < 0.5
    corner, neighbour = lattice[..., 0, 0].ravel(), lattice[..., 0, 1].ravel()
    assert abs(np.corrcoef(corner, neighbour)[0, 1]) < 0.1


def test_displacements_are_smooth():
    field = elastic_displacement((128, 128), np.random.default_rng(1), std=10)
    assert np.abs(np.diff(field, n=2, axis=1)).max() < 0.1


def test_without_any_change_the_tile_is_the_image():
    rng = np.random.default_rng(0)
    image = rng.random((32, 32, 2), np.float32)
    where = tile_coordinates((15.5, 15.5), 32, rng, STILL)
    np.testing.assert_allclose(warp_image(image, where), image, atol=1e-6)
    np.testing.assert_array_equal(change_grey_values(image, rng, STILL), image)


def test_image_labels_and_mask_move_together():
    rng = np.random.default_rng(3)
    labels = np.zeros((64, 64), np.int32)
    labels[20:44, 16:40] = 7
    for _ in range(5):
        where = tile_coordinates((32, 32), 48, rng, AugmentParams())
        as_image = warp_image((labels > 0)[..., None].astype(np.float32), where)[..., 0]
        moved = warp_labels(labels, where)
        assert set(np.unique(moved)) <= {0, 7}
        clear = np.abs(as_image - 0.5) > 0.49
        np.testing.assert_array_equal(as_image[clear] > 0.5, moved[clear] == 7)


def test_grey_values_stay_finite_and_polarity_can_turn():
    rng = np.random.default_rng(0)
    tile = rng.random((32, 32, 1), np.float32) * 2 - 0.5
    for _ in range(20):
        assert np.isfinite(change_grey_values(tile, rng, AugmentParams(invert=0.5))).all()
    turned = change_grey_values(tile, rng, STILL.model_copy(update={"invert": 1.0}))
    np.testing.assert_allclose(turned, 1 - tile, rtol=1e-6)


def test_a_blank_tile_looks_like_a_normalised_image():
    rng = np.random.default_rng(0)
    for _ in range(10):
        tile = blank_tile((64, 64, 1), rng)
        assert tile.shape == (64, 64, 1)
        assert np.isfinite(tile).all()
        assert tile.std() > 0.01


def test_cells_become_faint_or_bright_one_by_one_and_the_background_stays():
    rng = np.random.default_rng(0)
    labels = np.zeros((60, 90), np.int32)
    for number, left in enumerate((5, 35, 65), start=1):
        labels[20:40, left : left + 20] = number
    tile = np.where(labels, 1.0, 0.2).astype(np.float32)[..., None]
    changed = change_cell_contrast(tile, labels, rng, 1.0)
    assert changed[:10] == pytest.approx(0.2, abs=1e-6)
    contrasts = [(changed[30, left + 10, 0] - 0.2) / 0.8 for left in (5, 35, 65)]
    assert all(np.exp(-1) - 0.01 < contrast < np.exp(0.5) + 0.01 for contrast in contrasts)
    assert np.ptp(contrasts) > 0.1
    full = np.ones_like(labels)
    np.testing.assert_array_equal(change_cell_contrast(tile, full, rng, 1.0), tile)
