import numpy as np
import pytest

from napari_unet.core.base.params import OUTPUT_MAPS, InstanceParams
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
