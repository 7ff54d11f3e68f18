import itertools
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from napari_unet.core.base.errors import DoubtfulError, InputError
from napari_unet.core.base.params import FineTuneParams, InstanceParams
from napari_unet.core.base.progress import Cancelled
from napari_unet.core.cells.metrics import evaluate
from napari_unet.core.learning.holdout import Verdict
from napari_unet.nn.backend import keras
from napari_unet.nn.learn import fine_tune as finetune
from napari_unet.nn.learn.fine_tune import CorrectedPlane, fine_tune_planes
from napari_unet.nn.model import Model, load_model_file
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
    assert result.verdict is Verdict.BETTER
    assert result.accepted
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
    assert result.verdict is Verdict.WORSE


def test_of_what_made_the_model_worse_half_is_kept_if_that_is_not_worse(parent, monkeypatch):
    verdicts = iter([Verdict.WORSE, Verdict.AS_GOOD])
    planes = [corrected(s) for s in range(3)]
    learnt = fine_tune_planes(parent, planes, FEW_STEPS, name="whole").model.network.get_weights()
    monkeypatch.setattr(finetune, "judge", lambda *scores, unchanged: next(verdicts))
    result = fine_tune_planes(parent, planes, FEW_STEPS, name="child")
    assert result.accepted
    assert result.share == 0.5
    before, after = parent.network.get_weights(), result.model.network.get_weights()
    for old, new, kept in zip(before, learnt, after, strict=True):
        np.testing.assert_allclose(kept, (old + new) / 2, rtol=1e-5, atol=1e-7)
    assert result.model.card.scores["held_out"]["after"] == result.after.model_dump()
    assert result.model.card.training["share_kept"] == 0.5


def test_where_no_part_of_it_is_better_all_that_was_learnt_can_be_looked_at(parent, monkeypatch):
    verdicts = iter([Verdict.WORSE] * 3)
    planes = [corrected(s) for s in range(3)]
    whole = fine_tune_planes(parent, planes, FEW_STEPS, name="whole")
    monkeypatch.setattr(finetune, "judge", lambda *scores, unchanged: next(verdicts))
    refused = fine_tune_planes(parent, planes, FEW_STEPS, name="refused")
    assert next(verdicts, None) is None
    assert not refused.accepted
    assert refused.share == 1
    assert weights_of(refused.model) == weights_of(whole.model)
    assert refused.after == whole.after


def test_too_few_corrections_are_said_to_be_so(parent):
    image, labels = draw_scene(0, cells=1)
    result = fine_tune_planes(
        parent, [CorrectedPlane(image, labels, labels > 0)], PARAMS.model_copy(update={"steps": 2}), name="x"
    )
    assert result.before is result.after is None
    assert result.verdict is Verdict.UNTESTED


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


def test_what_is_segmented_afterwards_is_what_the_new_network_draws(parent):
    """No other network has a say: the labels that the proof has scored are those that a user gets."""
    planes = [corrected(s) for s in range(3)]
    result = fine_tune_planes(parent, planes, PARAMS, name="child", validation=[corrected(7)])
    image, truth = draw_scene(7)
    labels = result.model.segment_plane(image)
    assert evaluate(labels, truth) == result.after
    alone = Model(result.model.network, result.model.card)
    np.testing.assert_array_equal(labels, alone.segment_plane(image))
    assert labels.any()
    assert not np.array_equal(labels > 0, parent.segment_plane(image) > 0)


def test_a_child_has_one_network_however_often_it_is_taught(parent, tmp_path):
    child = fine_tune_planes(parent, [enlarged(0)], FEW_STEPS, name="child").model
    child.save(tmp_path / "child.keras")
    again = load_model_file(tmp_path / "child.keras", dtype="float32")
    grandchild = fine_tune_planes(again, [corrected(1)], FEW_STEPS, name="grandchild").model
    grandchild.save(tmp_path / "grandchild.keras")
    with zipfile.ZipFile(tmp_path / "grandchild.keras") as archive:
        assert [name for name in archive.namelist() if name.endswith(".h5")] == ["model.weights.h5"]
    assert weights_of(grandchild) != weights_of(child)


def test_unknown_cells_are_split_as_any_are_and_known_ones_as_before(parent):
    steep = parent.card.instances.model_copy(update={"prominence": 0.4, "blend": 0.0, "certainty": 0.7})
    parent = replace(parent, card=parent.card.model_copy(update={"instances": steep}))
    unknown = fine_tune_planes(parent, [corrected(1)], FEW_STEPS, name="unknown").model
    assert unknown.card.instances == InstanceParams(certainty=0.7)
    assert unknown.card.object_size != parent.card.object_size
    easy = FEW_STEPS.model_copy(update={"known": 0.0})
    known = fine_tune_planes(parent, [corrected(1)], easy, name="known").model.card
    assert known.instances == steep
    assert known.object_size == parent.card.object_size  # of a few large cells, which drop no small ones


def test_images_of_two_pixel_sizes_are_learnt_from_at_scales_that_make_their_cells_alike(parent):
    fine = replace(enlarged(0), pixel_size=0.25)
    coarse = replace(corrected(1), pixel_size=1.0)
    result = fine_tune_planes(parent, [fine, coarse], PARAMS, name="both")
    assert result.model.card.training["fine_tuned_on"]["images"] == 2
    scales = [result.model.card.image_scale(size) for size in (0.25, 1.0)]
    assert scales[1] == pytest.approx(4 * scales[0])
    for plane in (fine, coarse):
        found = result.model.segment_plane(plane.plane, pixel_size=plane.pixel_size)
        assert evaluate(found, plane.labels).ap50 > 0.3


def test_where_the_same_cells_are_drawn_nothing_has_changed(parent):
    """Before and after, nothing at all is found: equal scores are no reason to call that as good."""
    blind = parent.card.instances.model_copy(update={"certainty": 1.0})
    parent = replace(parent, card=parent.card.model_copy(update={"instances": blind}))
    result = fine_tune_planes(parent, [corrected(s) for s in range(3)], FEW_STEPS, name="same")
    assert result.verdict is Verdict.UNCHANGED
    assert not result.verdict.is_proven


def test_the_scale_at_which_the_parent_saw_an_image_is_not_searched_for_again(parent, monkeypatch):
    looked = []
    seen = replace(parent, card=parent.card.model_copy(update={"size_range": (40.0, 50.0)}))

    def predict_maps(self, plane, **options):
        looked.append(options.get("scale", 1.0))
        return original(self, plane, **options)

    original = Model.predict_maps
    monkeypatch.setattr(Model, "predict_maps", predict_maps)
    plane = replace(corrected(0), seen_at=1.5)
    fine_tune_planes(seen, [plane], FEW_STEPS, name="x", validation=[plane])
    assert looked[0] == 1.5
    assert looked.count(1.5) == 1


def test_labels_that_lie_beside_their_cells_are_learnt_from_only_if_the_user_insists(parent):
    image, labels = draw_scene(0)
    plane = CorrectedPlane(image, np.roll(labels, (14, 9), (0, 1)), labels >= 0, name="beside.tif")
    with pytest.raises(DoubtfulError, match=r"beside\.tif"):
        fine_tune_planes(parent, [plane], FEW_STEPS, name="x")
    assert len(fine_tune_planes(parent, [plane], FEW_STEPS, name="x", anyway=True).history) == 5


def test_the_bar_moves_from_the_first_look_to_the_last_and_never_back(parent):
    told = []
    fine_tune_planes(parent, [corrected(s) for s in range(2)], FEW_STEPS, name="x", report=told.append)
    fractions = [progress.fraction for progress in told]
    assert fractions == sorted(fractions)
    assert len(set(fractions)) >= 5
    assert fractions[-1] < 1


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
