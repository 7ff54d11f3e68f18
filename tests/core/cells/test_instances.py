import numpy as np
import pytest
from scipy import ndimage

from napari_unet.core.base.params import OUTPUT_MAPS, InstanceParams
from napari_unet.core.cells import instances
from napari_unet.core.cells.instances import label_instances
from napari_unet.core.cells.metrics import evaluate
from napari_unet.core.cells.targets import target_maps


def discs(*circles, shape=(96, 96)):
    rows, columns = np.indices(shape)
    labels = np.zeros(shape, np.int32)
    for number, (y, x, r) in enumerate(circles, start=1):
        labels[((rows - y) ** 2 + (columns - x) ** 2 <= r**2) & (labels == 0)] = number
    return labels


TOUCHING = discs((30, 30, 14), (30, 55, 12), (54, 40, 13), (80, 80, 6))


@pytest.mark.parametrize(
    "outputs", [("foreground",), ("foreground", "border"), ("foreground", "distance"), OUTPUT_MAPS]
)
def test_perfect_maps_give_the_cells_back_touching_ones_apart(outputs):
    labels = label_instances(target_maps(TOUCHING, outputs), outputs, InstanceParams(), object_size=20)
    scores = evaluate(labels, TOUCHING)
    assert labels.dtype == np.int32
    assert scores.ap75 == 1
    assert scores.merged == scores.split == 0


def test_holes_are_filled_and_specks_dropped():
    labels = TOUCHING.copy()
    labels[28:31, 28:31] = 0
    maps = target_maps(TOUCHING, OUTPUT_MAPS)
    maps[..., 0][labels == 0] = 0
    maps[5, 90, :] = 1
    found = label_instances(maps, OUTPUT_MAPS, InstanceParams(), object_size=20)
    assert found[29, 29] == found[30, 35] > 0
    assert found[5, 90] == 0


def test_a_ring_around_another_cell_does_not_swallow_it():
    ring = discs((48, 48, 40)) - discs((48, 48, 30))
    ring[discs((48, 48, 10)) > 0] = 2
    found = label_instances((ring > 0)[..., None].astype(np.float32), ("foreground",), InstanceParams())
    assert found[48, 48] not in (0, found[48, 13])
    assert found[48, 70] == 0


def test_nothing_gives_an_empty_image():
    found = label_instances(np.zeros((8, 9, 3), np.float32), OUTPUT_MAPS, InstanceParams())
    assert found.shape == (8, 9)
    assert not found.any()


def test_a_cell_whose_core_is_faint_is_kept():
    maps = target_maps(TOUCHING, OUTPUT_MAPS)
    maps[..., 2][TOUCHING == 4] *= 0.3
    found = label_instances(maps, OUTPUT_MAPS, InstanceParams(), object_size=12)
    assert evaluate(found, TOUCHING).missed == 0


def test_objects_that_the_network_is_unsure_of_are_dropped():
    maps = np.zeros((40, 80, 1), np.float32)
    maps[10:30, 10:30], maps[10:30, 50:70] = 0.95, 0.65
    count = {
        certainty: label_instances(maps, ("foreground",), InstanceParams(certainty=certainty)).max()
        for certainty in (0.5, 0.8)
    }
    assert count == {0.5: 2, 0.8: 1}


def find_cores_level_by_level(landscape, inside, prominence):
    """The definition, word by word: pieces of what lies at or above a level, with a top one rise above it."""
    levels = instances.measure_levels(landscape, inside, instances.plan_levels(prominence))
    cores = np.zeros(levels.shape, bool)
    for level in range(int(levels.max()) - instances.RISE + 1):
        pieces, count = ndimage.label(levels >= level)
        for piece in range(1, count + 1):
            here = pieces == piece
            if levels[here].max() == level + instances.RISE:
                cores |= here
    return cores


@pytest.mark.parametrize("sigma", [0.5, 1, 2, 4])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.6])
@pytest.mark.parametrize("prominence", [0.1, 0.25, 0.4])
def test_cores_are_those_of_the_definition(sigma, threshold, prominence):
    field = ndimage.gaussian_filter(np.random.default_rng(int(sigma * 10)).random((40, 50)), sigma)
    landscape = ((field - field.min()) / np.ptp(field)).astype(np.float32)
    inside = landscape > threshold
    expected = find_cores_level_by_level(landscape, inside, prominence)
    np.testing.assert_array_equal(instances.find_cores(landscape, inside, prominence), expected)


@pytest.mark.parametrize("rows", [1, 511, 512, 513, 1030])
def test_smoothing_in_strips_is_smoothing_at_once(rows):
    heights = np.random.default_rng(0).random((rows, 40), np.float32)
    np.testing.assert_array_equal(instances.smooth(heights), ndimage.gaussian_filter(heights, 1.5))
