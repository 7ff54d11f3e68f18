import numpy as np
import pytest

from napari_unet.core.base.params import OUTPUT_MAPS, AugmentParams
from napari_unet.core.cells.targets import reviewed_weights
from napari_unet.core.learning.sampling import Sampler, TrainingImage

STILL = {"elastic_std": 0, "rotate": False, "zoom": 1, "contrast": 0, "shading": 0, "blur": 0, "noise": 0}


def make_image(seed=0, reviewed=None, size=80):
    rng = np.random.default_rng(seed)
    labels = np.zeros((size, size), np.int32)
    labels[10:30, 10:30] = 1
    labels[30:50, 12:40] = 2
    return TrainingImage(rng.random((size, size, 1), np.float32), labels, reviewed)


def make_sampler(images, seed=0, **changes):
    options = {
        "outputs": OUTPUT_MAPS,
        "tile": 48,
        "batch": 2,
        "augment": AugmentParams(),
        "separation": (4.0, 5.0),
    }
    return Sampler(images, seed=seed, **{**options, **changes})


def test_a_batch_depends_on_seed_and_step_only():
    first, second = make_sampler([make_image()]), make_sampler([make_image()])
    first.draw(0)
    np.testing.assert_array_equal(first.draw(5).inputs, second.draw(5).inputs)
    np.testing.assert_array_equal(first.draw(5).targets, second.draw(5).targets)
    assert not np.array_equal(first.draw(5).inputs, first.draw(6).inputs)
    assert not np.array_equal(first.draw(5).inputs, make_sampler([make_image()], seed=1).draw(5).inputs)


def test_labels_outside_reviewed_pixels_never_reach_a_weighted_target():
    reviewed = np.zeros((80, 80), bool)
    reviewed[5:40, 5:40] = True
    clean = make_image(reviewed=reviewed)
    poisoned = clean.labels.copy()
    poisoned[~reviewed] = 9
    dirty = TrainingImage(clean.image, poisoned, reviewed)
    for step in range(10):
        a, b = (make_sampler([image]).draw(step).targets for image in (clean, dirty))
        np.testing.assert_array_equal(a, b)


def test_unreviewed_pixels_weigh_nothing_and_reviewed_ones_something():
    reviewed = np.zeros((80, 80), bool)
    reviewed[:, :40] = True
    targets = make_sampler([make_image(reviewed=reviewed)], batch=8).draw(0).targets
    weights = targets[..., 3:]
    assert (weights == 0).any()
    assert (weights[weights > 0] >= 1).all()


def test_a_cell_that_the_reviewed_region_cuts_teaches_no_distance():
    reviewed = np.zeros((80, 80), bool)
    reviewed[:40] = True  # cuts cell 2, leaves cell 1 whole
    still = AugmentParams(elastic_std=0, rotate=False, zoom=1)
    image = make_image(reviewed=reviewed)
    weights = reviewed_weights(image.labels, reviewed, OUTPUT_MAPS)
    cut, whole = (image.labels == 2) & reviewed, image.labels == 1
    assert weights[cut][:, 0].all()
    assert not weights[cut][:, 2].any()
    assert weights[whole][:, 2].all()
    assert not weights[~reviewed].any()
    assert not weights[38:40, :, 1].any()
    assert weights[:38, :, 1].all()
    assert make_sampler([image], augment=still).draw(0).targets[..., 3:].any()


def test_images_without_a_reviewed_pixel_are_left_out():
    blind = make_image(reviewed=np.zeros((80, 80), bool))
    assert len(make_sampler([blind, make_image()]).images) == 1
    with pytest.raises(ValueError, match="reviewed"):
        make_sampler([blind])


def test_tiles_are_drawn_where_the_cells_are():
    labels = np.zeros((400, 400), np.int32)
    labels[:40, :40] = 1
    image = TrainingImage(np.zeros((400, 400, 1), np.float32), labels)
    still = AugmentParams(elastic_std=0, rotate=False, zoom=1)
    targets = make_sampler([image], augment=still, batch=200, tile=16).draw(0).targets
    with_cells = (targets[..., 0].max((1, 2)) > 0).mean()
    assert with_cells > 5 * (40 * 40) / (400 * 400)


def test_targets_lose_the_margin_of_an_unpadded_network():
    batch = make_sampler([make_image()], margin=10).draw(0)
    assert batch.inputs.shape == (2, 48, 48, 1)
    assert batch.targets.shape == (2, 28, 28, 6)


def test_resizing_keeps_cells_and_mask_in_place():
    image = make_image(reviewed=make_image().labels > 0)
    half = image.resized(0.5)
    assert half.image.shape == (40, 40, 1)
    np.testing.assert_array_equal(half.labels, image.labels[1::2, 1::2])
    np.testing.assert_array_equal(half.reviewed, half.labels > 0)
    assert image.resized(1) is image


def test_a_cell_that_a_tile_cuts_off_teaches_its_true_distances():
    labels = np.zeros((200, 200), np.int32)
    labels[20:180, 20:180] = 1
    image = TrainingImage(np.zeros((200, 200, 1), np.float32), labels)
    still = AugmentParams(elastic_std=0, rotate=False, zoom=1)
    targets = make_sampler([image], augment=still, batch=40).draw(0).targets[..., 2]
    # Seen in tiles of 48 px, few of which hold the middle, the highest distance is that of the whole cell.
    assert targets.max() <= 1
    assert sum(tile.max() < 0.95 for tile in targets) > 10


def test_restyled_tiles_show_the_same_cells_in_another_look():
    image = make_image()
    still = STILL
    plain = make_sampler([image], augment=AugmentParams(**still), batch=8).draw(0)
    restyled = make_sampler([image], augment=AugmentParams(**still, restyle=1), batch=8).draw(0)
    assert not np.allclose(plain.inputs, restyled.inputs)
    assert restyled.targets.any()


def test_reviewed_and_rehearsed_images_are_never_restyled():
    reviewed = make_image(reviewed=np.ones((80, 80), bool))
    options = STILL
    plain, restyled = (
        make_sampler([reviewed], augment=AugmentParams(**options, restyle=share), batch=4).draw(0)
        for share in (0, 1)
    )
    np.testing.assert_array_equal(plain.inputs, restyled.inputs)
