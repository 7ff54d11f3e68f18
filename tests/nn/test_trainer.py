import csv

import numpy as np
import pytest

from napari_unet.core.base.params import OUTPUT_MAPS, AugmentParams, TrainParams
from napari_unet.core.image.scale import measure_object_size
from napari_unet.core.learning.sampling import Sampler
from napari_unet.nn.learn.from_scratch import score, train
from napari_unet.nn.trainer import Trainer, cosine_rate
from napari_unet.nn.unet import build_network

from .conftest import TINY

QUICK = TrainParams(
    steps=60,
    tile=64,
    batch=4,
    learning_rate=3e-3,
    warm_up=5,
    validate_every=30,
    average=0.9,
    augment=AugmentParams(elastic_std=2, zoom=1.2),
)


def make_trainer(images):
    sampler = Sampler(
        images,
        outputs=OUTPUT_MAPS,
        tile=32,
        batch=2,
        augment=AugmentParams(),
        separation=(4.0, 5.0),
        seed=0,
    )
    return Trainer(build_network(TINY), sampler)


def test_training_learns_to_find_cells(tmp_path, scenes, tiny_card):
    untrained = score_untrained(scenes, tiny_card)
    model = train(tiny_card, scenes[:4], {"scenes": scenes[4:]}, QUICK, folder=tmp_path)
    scores = score(model, scenes[4:])
    assert scores.ap50 > untrained.ap50 + 0.3
    assert scores.ap50 > 0.4  # some discs overlap beyond telling apart
    assert scores.dice > 0.9 > untrained.dice
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    assert [row["step"] for row in rows] == ["30", "60"]
    assert float(rows[1]["loss"]) < float(rows[0]["loss"])


def score_untrained(scenes, card):
    from napari_unet.nn.model import Model

    return score(Model(build_network(TINY), card), scenes[4:])


def test_an_interrupted_run_ends_like_an_uninterrupted_one(tmp_path, scenes, tiny_card):
    params = QUICK.model_copy(update={"steps": 8, "validate_every": 4, "tile": 32})
    whole = train(tiny_card, scenes[:4], {"scenes": scenes[4:5]}, params, folder=tmp_path / "whole")

    def interrupt(step, loss):
        if step == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(
            tiny_card, scenes[:4], {"scenes": scenes[4:5]}, params, folder=tmp_path / "cut", on_step=interrupt
        )
    resumed = train(tiny_card, scenes[:4], {"scenes": scenes[4:5]}, params, folder=tmp_path / "cut")
    for first, second in zip(whole.network.get_weights(), resumed.network.get_weights(), strict=True):
        np.testing.assert_allclose(first, second, atol=2e-3)


def test_a_loss_that_is_not_a_number_brings_the_last_good_state_back(scenes):
    trainer = make_trainer(scenes)
    for _ in range(2):
        trainer.update(1e-3)
    good = [np.full_like(w, 0.01) for w in trainer.network.get_weights()]
    trainer.network.set_weights(good)
    trainer._good = trainer._state()
    trainer.network.set_weights([np.full_like(w, np.nan) for w in good])
    assert np.isnan(trainer.update(1e-3))
    for weight, kept in zip(trainer.network.get_weights(), good, strict=True):
        np.testing.assert_array_equal(weight, kept)
    assert np.isfinite(trainer.update(1e-3))
    assert float(trainer.network.optimizer.learning_rate) == pytest.approx(5e-4)
    trainer.close()


def test_the_running_mean_is_lent_and_taken_back(scenes):
    trainer = make_trainer(scenes)
    for _ in range(10):
        trainer.update(1e-2)
    last = trainer.network.get_weights()
    with trainer.averaged() as network:
        assert not np.allclose(network.get_weights()[0], last[0])
    np.testing.assert_array_equal(trainer.network.get_weights()[0], last[0])
    trainer.close()


def test_the_rate_rises_then_falls_to_zero():
    rates = [cosine_rate(1.0, p, 0.1) for p in np.linspace(0, 1, 101)]
    assert max(rates) == pytest.approx(1)
    assert np.argmax(rates) == 10
    assert rates[-1] == pytest.approx(0)
    assert all(rate >= 0 for rate in rates)


def test_object_size_is_the_median_diameter():
    labels = np.zeros((40, 40), np.int32)
    labels[:10, :10] = 1
    labels[20:, 20:] = 2
    labels[20:22, :5] = 5
    assert measure_object_size([labels]) == pytest.approx(2 * np.sqrt(100 / np.pi))
    assert measure_object_size([np.zeros((4, 4), np.int32)]) is None


def test_the_papers_optimiser_learns_too(tmp_path, scenes, tiny_card):
    params = QUICK.model_copy(update={"optimizer": "sgd", "learning_rate": 1e-2})
    train(tiny_card, scenes[:4], {"scenes": scenes[4:]}, params, folder=tmp_path)
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    assert float(rows[1]["loss"]) < float(rows[0]["loss"])
