from dataclasses import replace

import numpy as np
import pytest

from napari_unet import load_model
from napari_unet.core.base.params import NetworkParams
from napari_unet.nn.learn.rehearsal import ForgettingTest, rehearse
from napari_unet.nn.model import Model
from napari_unet.nn.unet import build_network


@pytest.fixture(scope="module")
def nuclei():
    return load_model("nuclei")


def test_a_model_that_forgot_is_found_out(nuclei):
    test = ForgettingTest.of(nuclei)
    assert test.before > 0.8
    assert test.score(nuclei) == pytest.approx(test.before)
    network = build_network(nuclei.card.network)
    rng = np.random.default_rng(0)
    network.set_weights([w + rng.normal(0, 0.1, w.shape) for w in nuclei.network.get_weights()])
    assert test.score(replace(nuclei, network=network)) < test.before - 0.3


def test_the_forgetting_test_is_not_what_was_rehearsed(nuclei):
    learnt = {image.image.tobytes() for image in rehearse(nuclei)}
    assert not learnt & {image.tobytes() for image in ForgettingTest.of(nuclei).images}


def test_a_model_that_knows_none_of_the_scenes_has_nothing_to_forget(tiny_card):
    test = ForgettingTest.of(Model(build_network(tiny_card.network), tiny_card))
    assert test.before is None
    assert test.score(Model(build_network(tiny_card.network), tiny_card)) is None


def test_a_model_of_several_channels_has_no_scenes(tiny_card):
    network = NetworkParams(filters=6, depth=2, classes=3, channels=2)
    two = Model(build_network(network), tiny_card.model_copy(update={"network": network}))
    assert rehearse(two) == []
    assert ForgettingTest.of(two).before is None
