import itertools
from dataclasses import replace

import numpy as np
import pytest

from napari_unet.core.base.card import MOST_EARLIER
from napari_unet.core.base.errors import InputError
from napari_unet.core.base.params import FineTuneParams, InstanceParams
from napari_unet.core.base.progress import Cancelled
from napari_unet.nn.backend import keras
from napari_unet.nn.learn import fine_tune as finetune
from napari_unet.nn.learn.fine_tune import CorrectedPlane, fine_tune_planes
from napari_unet.nn.learn.rehearsal import Exam
from napari_unet.nn.model import Model
from napari_unet.nn.unet import build_network

from ..conftest import TINY, draw_scene

PARAMS = FineTuneParams(steps=150, tile=64, learning_rate=3e-3)
FEW_STEPS = PARAMS.model_copy(update={"steps": 5})


@pytest.fixture
def parent(tiny_card):
    keras.utils.set_random_seed(0)
    return Model(build_network(TINY), tiny_card, "hash-of-the-parent")


def corrected(seed, reviewed=None):
    image, labels = draw_scene(seed)
    return CorrectedPlane(image, labels, np.ones(labels.shape, bool) if reviewed is None else reviewed)


def test_the_new_model_is_better_on_corrections_it_did_not_see(parent):
    before = [w.copy() for w in parent.network.get_weights()]
    result = fine_tune_planes(parent, [corrected(s) for s in range(4)], PARAMS, name="child")
    assert result.after.ap50 > result.before.ap50 + 0.2
    assert result.accepted
    assert "held-out" in result.reason
    assert len(result.history) == 150
    assert sum("score" in entry for entry in result.history) == 3
    assert result.cpu_seconds > 0
    assert result.model.card.scores["held_out"]["after"]["objects"] == result.after.objects
    assert result.model.card.parent == "hash-of-the-parent"
    assert result.model.card.name == "child"
    for old, now in zip(before, parent.network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, now)


def test_labels_outside_reviewed_pixels_leave_the_weights_bit_identical(parent):
    image, labels = draw_scene(0)
    reviewed = np.zeros(labels.shape, bool)
    reviewed[:, :60] = True
    poisoned = labels.copy()
    poisoned[:, 60:] = 99
    params = PARAMS.model_copy(update={"steps": 5})
    networks = []
    for target in (labels, poisoned):
        plane = CorrectedPlane(image, target, reviewed)
        networks.append(fine_tune_planes(parent, [plane], params, name="x").model.network)
    for first, second in zip(*(n.get_weights() for n in networks), strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_model_that_got_worse_is_not_accepted(parent, tiny_card):
    good = fine_tune_planes(parent, [corrected(s) for s in range(4)], PARAMS, name="good").model
    blind = []
    for seed in range(4):
        image, labels = draw_scene(seed)
        blind.append(CorrectedPlane(image, np.where(labels < 3, labels, 0), labels >= 0))
    truth = [corrected(seed) for seed in (7, 8)]
    result = fine_tune_planes(good, blind, PARAMS, name="worse", validation=truth)
    assert not result.accepted
    assert result.after.mean_ap < result.before.mean_ap
    assert "worse" in result.reason


def test_what_would_have_been_forgotten_is_kept_beside_what_is_learnt(parent, monkeypatch):
    """Cells of which the parent finds some, so that they seem to be of the kind that it knows."""
    grades = iter([0.1, 0.9])
    exam = Exam([], [], 0.9)
    monkeypatch.setattr(Exam, "of", classmethod(lambda cls, model: exam))
    monkeypatch.setattr(Exam, "grade", lambda self, model: next(grades))
    monkeypatch.setattr(finetune, "is_known", lambda *about: True)
    result = fine_tune_planes(parent, [corrected(s) for s in range(3)], PARAMS, name="child")
    assert result.accepted, result.reason
    assert result.known_after == 0.9
    assert result.after.ap50 > result.before.ap50
    model = result.model
    assert model.card.earlier == (parent.card.kind,)
    assert model.card.object_size != parent.card.object_size
    assert weights_of(model.specialists[1]) == weights_of(parent) != weights_of(model)


def test_of_what_made_the_model_worse_half_is_kept_if_that_is_not_worse(parent, monkeypatch):
    verdicts = iter([(False, "The new model is worse."), (True, "The new model is as good.")])
    monkeypatch.setattr(finetune, "is_known", lambda *about: True)
    planes = [corrected(s) for s in range(3)]
    learnt = fine_tune_planes(parent, planes, FEW_STEPS, name="whole").model.network.get_weights()
    monkeypatch.setattr(finetune, "judge", lambda *scores: next(verdicts))
    result = fine_tune_planes(parent, planes, FEW_STEPS, name="child")
    assert result.accepted
    assert result.reason == "With half of what it learnt the new model is as good."
    before, after = parent.network.get_weights(), result.model.network.get_weights()
    for old, new, kept in zip(before, learnt, after, strict=True):
        np.testing.assert_allclose(kept, (old + new) / 2, rtol=1e-5, atol=1e-7)
    assert result.model.card.scores["held_out"]["after"] == result.after.model_dump()
    assert result.model.card.training["share_kept"] == 0.5


def test_where_no_part_of_it_is_better_all_that_was_learnt_can_be_looked_at(parent, monkeypatch):
    verdicts = iter([(False, "all of it"), (False, "half"), (False, "a quarter")])
    monkeypatch.setattr(finetune, "is_known", lambda *about: True)
    planes = [corrected(s) for s in range(3)]
    whole = fine_tune_planes(parent, planes, FEW_STEPS, name="whole")
    monkeypatch.setattr(finetune, "judge", lambda *scores: next(verdicts))
    refused = fine_tune_planes(parent, planes, FEW_STEPS, name="refused")
    assert next(verdicts, None) is None
    assert not refused.accepted
    assert refused.reason == "all of it"
    assert weights_of(refused.model) == weights_of(whole.model)
    assert refused.after == whole.after


def test_small_cells_are_not_dropped_since_a_few_large_ones_of_the_kind_were_corrected(parent, monkeypatch):
    monkeypatch.setattr(finetune, "is_known", lambda *about: True)
    child = fine_tune_planes(parent, [corrected(1)], FEW_STEPS, name="child").model
    assert child.card.earlier == ()
    assert child.card.object_size == parent.card.object_size


def test_too_few_corrections_are_said_to_be_so(parent):
    image, labels = draw_scene(0, cells=1)
    result = fine_tune_planes(
        parent, [CorrectedPlane(image, labels, labels > 0)], PARAMS.model_copy(update={"steps": 2}), name="x"
    )
    assert result.before is result.after is None
    assert "too few" in result.reason


def enlarged(seed):
    image, labels = draw_scene(seed)
    return CorrectedPlane(
        np.kron(image, np.ones((4, 4, 1))),
        np.kron(labels, np.ones((4, 4), np.int32)),
        np.ones((384, 384), bool),
    )


def test_larger_cells_are_shrunk_to_the_size_the_model_knows(parent):
    big = enlarged(0)
    child = fine_tune_planes(parent, [big], PARAMS.model_copy(update={"steps": 2}), name="x").model
    assert 0.3 < child.card.scale < 0.8
    assert child.card.image_scale(None) == child.card.scale


def test_what_was_known_of_cells_of_another_size_is_kept_and_can_be_built_on(parent):
    big = enlarged(0)
    steps = PARAMS.model_copy(update={"steps": 5})
    child = fine_tune_planes(parent, [big], steps, name="child").model
    assert child.card.earlier == (parent.card.kind,)
    assert child.card.size_range is None  # few cells do not tell which sizes there are
    assert weights_of(child.specialists[1]) == weights_of(parent)
    assert weights_of(child) != weights_of(parent)

    grandchild = fine_tune_planes(child, [corrected(1)], steps, name="grandchild").model
    assert grandchild.card.earlier == (child.card.kind,)
    assert weights_of(grandchild.specialists[1]) == weights_of(child)
    assert grandchild.card.scale == parent.card.scale
    again = fine_tune_planes(parent, [corrected(1)], steps, name="again").model
    assert weights_of(grandchild) == weights_of(again)  # it went on where the first parent had stopped
    assert again.card.earlier == ()


def test_a_model_that_knows_as_many_kinds_as_it_can_forgets_none_for_another(parent):
    kinds = tuple(parent.card.kind.model_copy(update={"object_size": 14.0 + i}) for i in range(MOST_EARLIER))
    card = parent.card.model_copy(update={"earlier": kinds})
    full = replace(parent, card=card, earlier=(parent.network,) * MOST_EARLIER)
    with pytest.raises(InputError, match="8 kinds of cells already"):
        fine_tune_planes(full, [enlarged(0)], FEW_STEPS, name="another")


def test_a_new_kind_of_cells_is_split_as_any_is_and_a_known_one_as_before(parent):
    steep = parent.card.instances.model_copy(update={"prominence": 0.4, "blend": 0.0, "certainty": 0.7})
    parent = replace(parent, card=parent.card.model_copy(update={"instances": steep}))
    steps = PARAMS.model_copy(update={"steps": 2})
    new = fine_tune_planes(parent, [enlarged(0)], steps, name="new").model
    assert new.card.instances == InstanceParams(certainty=0.7)
    assert new.card.earlier[0].instances == steep
    assert fine_tune_planes(parent, [corrected(1)], steps, name="known").model.card.instances == steep


def weights_of(model):
    return [weight.tobytes() for weight in model.network.get_weights()]


def test_the_time_limit_is_kept_with_fewer_steps(parent, monkeypatch):
    ticks = itertools.count()
    monkeypatch.setattr(finetune, "perf_counter", lambda: 0.1 * next(ticks))  # a clock that no load disturbs
    planes = [corrected(s) for s in range(2)]
    short = fine_tune_planes(parent, planes, FineTuneParams(seconds=5, tile=64), name="x")
    longer = fine_tune_planes(parent, planes, FineTuneParams(seconds=9, tile=64), name="x")
    later = fine_tune_planes(
        parent, planes, FineTuneParams(seconds=9, tile=64), name="x", next_planes=[(4000, 4000)]
    )
    assert 10 <= len(short.history) < len(longer.history)
    assert len(later.history) < len(longer.history)
    assert longer.seconds <= 9 * 1.25


def test_the_work_can_be_cancelled(parent):
    def report(progress):
        if progress.values.get("step", 0) >= 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        fine_tune_planes(parent, [corrected(0)], PARAMS, name="x", report=report)


def test_nothing_reviewed_and_no_cells_are_explained(parent):
    image, labels = draw_scene(0)
    blind = CorrectedPlane(image, labels, np.zeros(labels.shape, bool))
    with pytest.raises(InputError, match="Nothing has been reviewed"):
        fine_tune_planes(parent, [blind], PARAMS, name="x")
    empty = CorrectedPlane(image, np.zeros_like(labels), np.ones(labels.shape, bool))
    with pytest.raises(InputError, match="No cell"):
        fine_tune_planes(parent, [empty], PARAMS, name="x")
