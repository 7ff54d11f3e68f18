from dataclasses import replace

import numpy as np
import pytest

from napari_unet import evaluate, fine_tune
from napari_unet.core.synthetic.scenes import render_nuclei
from napari_unet.jobs.model_cache import resolve_model
from napari_unet.nn.learn.kinds import choose_teacher, is_known, measure_reserve, scale_new_kind
from napari_unet.nn.learn.rehearsal import Exam
from napari_unet.nn.model import Model
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


class Sure:
    """A model that is as sure of an image as a table says."""

    def __init__(self, table):
        self.table = table

    def measure_claim(self, image, pixel_size=None):
        return self.table[image]


@pytest.mark.parametrize(
    ("known", "taught", "reserve"),
    [
        ([-0.2, -0.1], [0.1, 0.3], 0.0),  # the surer one is the right one
        ([-0.1, 0.1], [0.5, 0.3], 0.15),
        ([0.2], [0.1], 0.0),  # nothing tells them apart
        ([], [0.1], 0.0),
    ],
)
def test_a_child_has_to_be_surer_than_of_what_its_parent_knows(known, taught, reserve):
    gaps = dict(enumerate(known + taught))
    child, parent = Sure({image: 0.5 + gap for image, gap in gaps.items()}), Sure(dict.fromkeys(gaps, 0.5))
    images = list(gaps)
    first = len(known)
    found = measure_reserve(child, parent, images[first:], images[:first], None)
    assert found == pytest.approx(reserve)


def test_the_network_whose_reserve_is_exceeded_draws(model):
    other = model.card.kind.model_copy(update={"object_size": 15.0})
    image = np.zeros((32, 32, 1), np.float32)
    for reserve, drawn in ((0.0, model.card.kind), (0.01, other)):
        card = model.card.model_copy(update={"earlier": (other,), "reserve": reserve})
        both = replace(model, card=card, earlier=(model.network,))  # as sure as each other
        assert both.predict(image).kind.object_size == drawn.object_size
        assert both.measure_claim(image) == model.measure_claim(image)
