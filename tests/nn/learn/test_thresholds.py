import numpy as np

from napari_unet.core.base.params import OUTPUT_MAPS
from napari_unet.core.cells.metrics import evaluate
from napari_unet.core.cells.targets import target_maps
from napari_unet.core.learning.sampling import TrainingImage
from napari_unet.nn.learn.thresholds import calibrate
from napari_unet.nn.model import Model
from napari_unet.nn.unet import build_network

from ..conftest import TINY, draw_scene


def draw_maps(labels, dent, width):
    """Maps whose distance has a dent in the middle of every cell, and no border."""
    maps = target_maps(labels, OUTPUT_MAPS)
    maps[..., 1] = 0
    maps[..., 2] = 0.9 * (labels > 0)
    for cell in range(1, labels.max() + 1):
        middle = int(np.argwhere(labels == cell)[:, 1].mean())
        band = np.s_[:, middle - width : middle + width + 1]
        maps[band][labels[band] == cell, 2] = dent
    return maps


def fit(maps, labels, card, monkeypatch, **splitting):
    card = card.model_copy(update={"instances": card.instances.model_copy(update=splitting)})
    monkeypatch.setattr(Model, "predict_maps", lambda self, plane, **options: maps)
    model = Model(build_network(TINY), card)
    image = TrainingImage(np.zeros((*labels.shape, 1), np.float32), labels)
    return model, calibrate(model, [[image]])


def test_cells_with_a_dent_are_kept_whole(tiny_card, monkeypatch):
    """The landscape falls less there than between cells."""
    _, labels = draw_scene(0)
    maps = draw_maps(labels, 0.7, 2)
    maps[..., 2][target_maps(labels, OUTPUT_MAPS)[..., 1] > 0] = 0.2
    model, fitted = fit(maps, labels, tiny_card, monkeypatch, prominence=0.05, blend=0.0)
    before, after = (evaluate(one.label(maps), labels) for one in (model, fitted))
    assert after.split < before.split
    assert after.ap50 > before.ap50
    assert fitted.network is model.network


def test_where_the_distance_misleads_cells_are_split_in_the_foreground(tiny_card, monkeypatch):
    """Maps whose distance has a gap in every cell, and whose foreground is lower along the borders only."""
    _, labels = draw_scene(0)
    maps = draw_maps(labels, 0, 3)
    touching = target_maps(labels, OUTPUT_MAPS)[..., 1] > 0
    maps[..., 0] = np.where(labels > 0, np.where(touching, 0.55, 0.98), 0)
    model, fitted = fit(maps, labels, tiny_card, monkeypatch, blend=0.0)
    assert fitted.card.instances.blend > model.card.instances.blend
    before, after = (evaluate(one.label(maps), labels) for one in (model, fitted))
    assert after.mean_ap > before.mean_ap + 0.3


def test_splitting_that_does_as_well_as_any_stays(tiny_card, monkeypatch):
    _, labels = draw_scene(0)
    maps = target_maps(labels, OUTPUT_MAPS)
    model, fitted = fit(maps, labels, tiny_card, monkeypatch, prominence=0.2)
    for name in ("prominence", "blend", "min_area"):
        assert getattr(fitted.card.instances, name) == getattr(model.card.instances, name)


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


def test_a_model_that_is_less_sure_of_cells_than_of_noise_still_finds_cells(tiny_card, monkeypatch):
    """No certainty keeps noise out and cells in: it must not ask for one that leaves no cell."""
    _, labels = draw_scene(0)
    maps = target_maps(labels, OUTPUT_MAPS)
    maps[..., 0] *= 0.6

    def predict_maps(self, plane, **options):
        if plane.shape[:2] == labels.shape:
            return maps
        noise = np.zeros((*plane.shape[:2], 3), np.float32)
        noise[10:30, 10:30] = 0.95
        return noise

    monkeypatch.setattr(Model, "predict_maps", predict_maps)
    scene = TrainingImage(np.zeros((*labels.shape, 1), np.float32), labels)
    fitted = calibrate(Model(build_network(TINY), tiny_card), [[scene]])
    assert evaluate(fitted.label(maps), labels).ap50 > 0.5
