from dataclasses import replace

import numpy as np
import pytest

from napari_unet import load_model
from napari_unet.core.base.params import NetworkParams
from napari_unet.nn.learn.rehearsal import Exam, rehearse
from napari_unet.nn.model import Model
from napari_unet.nn.unet import build_network


@pytest.fixture(scope="module")
def nuclei():
    return load_model("nuclei")


def test_a_model_that_forgot_is_found_out(nuclei):
    exam = Exam.of(nuclei)
    assert exam.before > 0.8
    assert exam.grade(nuclei) == pytest.approx(exam.before)
    network = build_network(nuclei.card.network)
    rng = np.random.default_rng(0)
    network.set_weights([w + rng.normal(0, 0.1, w.shape) for w in nuclei.network.get_weights()])
    assert exam.grade(replace(nuclei, network=network)) < exam.before - 0.3


def test_the_exam_is_not_what_was_rehearsed(nuclei):
    learnt = {image.image.tobytes() for image in rehearse(nuclei)}
    assert not learnt & {image.tobytes() for image in Exam.of(nuclei).images}


def test_a_model_that_knows_none_of_the_scenes_has_nothing_to_forget(tiny_card):
    exam = Exam.of(Model(build_network(tiny_card.network), tiny_card))
    assert exam.before is None
    assert exam.grade(Model(build_network(tiny_card.network), tiny_card)) is None


def test_a_model_of_several_channels_has_no_scenes(tiny_card):
    network = NetworkParams(filters=6, depth=2, classes=3, channels=2)
    two = Model(build_network(network), tiny_card.model_copy(update={"network": network}))
    assert rehearse(two) == []
    assert Exam.of(two).before is None
