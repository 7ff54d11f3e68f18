from dataclasses import replace

import numpy as np
import pytest

from napari_unet import evaluate, fine_tune
from napari_unet.app.loaded import resolve_model
from napari_unet.core.render import render_nuclei
from napari_unet.nn.kinds import choose_teacher, is_known, scale_new_kind
from napari_unet.nn.predictor import Model
from napari_unet.nn.rehearsal import Exam
from napari_unet.nn.unet import build_network

CELLS = np.kron(np.arange(1, 5).reshape(2, 2), np.pad(np.ones((8, 8), np.int32), 2))
PERFECT, NOTHING = evaluate(CELLS, CELLS), evaluate(np.zeros_like(CELLS), CELLS)
SOMETHING, NO_SCENE = Exam([], [], 0.9), Exam([], [], None)


@pytest.fixture
def model(tiny_card):
    return Model(build_network(tiny_card.network), tiny_card, "hash")


@pytest.fixture
def searching(model):
    return replace(model, card=model.card.model_copy(update={"size_range": (10.0, 20.0)}))


def test_cells_of_the_size_learnt_are_taught_at_the_scale_learnt(model):
    assert choose_teacher(model, 16.0, None) == (model, 1.0)
    assert choose_teacher(model, None, None) == (model, 1.0)


@pytest.mark.parametrize(
    ("before", "exam", "known"),
    [
        (PERFECT, SOMETHING, True),
        (NOTHING, SOMETHING, False),
        (NOTHING, NO_SCENE, True),
        (None, SOMETHING, True),
    ],
)
def test_cells_that_a_model_of_others_does_not_find_are_a_new_kind(model, before, exam, known):
    assert is_known(model, 1.0, None, before, exam) is known
    assert scale_new_kind(model, 1.0, None, 16.0) == 1.0


def test_larger_cells_are_a_new_kind_where_their_size_is_not_looked_for(model):
    teacher, scale = choose_teacher(model, 64.0, None)
    assert (teacher, scale) == (model, 0.5)
    assert not is_known(teacher, scale, None, PERFECT, SOMETHING)


def test_larger_cells_that_are_found_by_looking_for_their_size_are_no_new_kind(searching):
    teacher, scale = choose_teacher(searching, 64.0, None)
    assert scale == pytest.approx(np.sqrt(200) / 64)
    assert is_known(teacher, scale, None, PERFECT, SOMETHING)
    assert not is_known(teacher, scale, None, NOTHING, NO_SCENE)
    assert scale_new_kind(teacher, scale, None, 64.0) == 0.5
    # Where pixel sizes say at which scale to look, no other is tried.
    physical = replace(searching, card=searching.card.model_copy(update={"pixel_size": 0.5}))
    assert not is_known(physical, choose_teacher(physical, 64.0, 0.5)[1], 0.5, PERFECT, SOMETHING)


def test_the_bundled_model_learns_large_nuclei_as_nuclei():
    scenes = [render_nuclei((256, 256), objects=9, radius=30, seed=seed) for seed in range(3)]
    images, labels = [scene.image for scene in scenes], [scene.labels for scene in scenes]
    parent = resolve_model("nuclei").card
    result = fine_tune("nuclei", images[:2], labels[:2], steps=2)
    child = result.model.card
    assert result.accepted, result.reason  # also by what it still knows of smaller ones
    assert (child.earlier, child.scale) == ((), parent.scale)
    assert child.size_range[0] <= parent.size_range[0]
    assert child.size_range[1] >= parent.size_range[1]
    assert evaluate(result.model.segment_plane(images[2][..., None]), labels[2]).ap50 > 0.5
