import numpy as np
import pytest

from napari_unet.core.metrics import evaluate
from napari_unet.core.params import OUTPUT_MAPS
from napari_unet.core.sampling import TrainingImage
from napari_unet.core.targets import target_maps
from napari_unet.nn.calibration import calibrate, calibrate_instances
from napari_unet.nn.predictor import Model
from napari_unet.nn.unet import build_network

from .conftest import TINY, draw_scene


@pytest.mark.parametrize(("dent", "markers"), [(0.35, (0.3, 0.35)), (0.2, (0.2, 0.25))])
def test_the_threshold_that_keeps_cells_whole_is_found(tiny_card, monkeypatch, dent, markers):
    """Maps with a dent in every cell: only a low marker threshold does not split them."""
    _, labels = draw_scene(0)
    maps = target_maps(labels, OUTPUT_MAPS)
    maps[..., 1] = 0
    maps[..., 2] = 0.9 * (labels > 0)
    for cell in range(1, labels.max() + 1):
        middle = int(np.argwhere(labels == cell)[:, 1].mean())
        band = np.s_[:, middle - 2 : middle + 3]
        maps[band][labels[band] == cell, 2] = dent
    monkeypatch.setattr(Model, "predict_maps", lambda self, plane, **options: maps)
    model = Model(build_network(TINY), tiny_card)
    image = TrainingImage(np.zeros((*labels.shape, 1), np.float32), labels)
    fitted = calibrate_instances(model, [[image]])
    assert fitted.card.instances.marker in markers
    assert fitted.network is model.network


def test_where_the_distance_misleads_cells_are_split_in_the_foreground(tiny_card, monkeypatch):
    """Maps whose distance has a gap in every cell, and whose foreground is lower along the borders only."""
    _, labels = draw_scene(0)
    maps = target_maps(labels, OUTPUT_MAPS)
    touching = maps[..., 1] > 0
    maps[..., 0] = np.where(labels > 0, np.where(touching, 0.55, 0.98), 0)
    maps[..., 2] = 0.9 * (labels > 0)
    for cell in range(1, labels.max() + 1):
        middle = int(np.argwhere(labels == cell)[:, 1].mean())
        band = np.s_[:, middle - 3 : middle + 4]
        maps[band][labels[band] == cell, 2] = 0
    monkeypatch.setattr(Model, "predict_maps", lambda self, plane, **options: maps)
    model = Model(build_network(TINY), tiny_card)
    fitted = calibrate(model, [[TrainingImage(np.zeros((*labels.shape, 1), np.float32), labels)]])
    assert fitted.card.instances.blend > 0
    before, after = (evaluate(one.label(maps), labels) for one in (model, fitted))
    assert after.ap50 > before.ap50 + 0.3


def test_parameters_that_do_as_well_as_any_stay(tiny_card, monkeypatch):
    _, labels = draw_scene(0)
    monkeypatch.setattr(
        Model, "predict_maps", lambda self, plane, **options: target_maps(labels, OUTPUT_MAPS)
    )
    model = Model(build_network(TINY), tiny_card)
    image = TrainingImage(np.zeros((*labels.shape, 1), np.float32), labels)
    assert calibrate_instances(model, [[image]]).card.instances == tiny_card.instances


def test_a_model_that_sees_cells_in_noise_is_made_to_ask_for_more_certainty(tiny_card, monkeypatch):
    def predict_maps(self, plane, **options):
        maps = np.zeros((*plane.shape[:2], 3), np.float32)
        maps[10:30, 10:30] = 0.72
        return maps

    monkeypatch.setattr(Model, "predict_maps", predict_maps)
    model = Model(build_network(TINY), tiny_card)
    assert model.segment_plane(np.zeros((64, 64, 1))).max() == 1
    scene = TrainingImage(np.zeros((64, 64, 1), np.float32), np.zeros((64, 64), np.int32))
    careful = calibrate(model, [[scene]])
    assert careful.card.instances.certainty == 0.75
    assert careful.segment_plane(np.zeros((64, 64, 1))).max() == 0
