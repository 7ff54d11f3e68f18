"""Learning from corrections: reviewed pixels teach, held-out ones prove, the old model is never lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter, process_time

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.base.card import ModelCard
from napari_unet.core.base.errors import InputError
from napari_unet.core.base.params import FineTuneParams
from napari_unet.core.base.progress import Progress, Report
from napari_unet.core.cells.metrics import Scores
from napari_unet.core.image.normalise import normalise
from napari_unet.core.image.scale import measure_object_size
from napari_unet.core.learning.budget import Budget
from napari_unet.core.learning.checks import check_corrections, check_rate
from napari_unet.core.learning.holdout import judge, measure_gain, measure_loss
from napari_unet.core.learning.pieces import cut_pieces
from napari_unet.core.learning.sampling import Sampler, TrainingImage, mix
from napari_unet.nn.backend import keras
from napari_unet.nn.learn.holdout import Proof, put_aside
from napari_unet.nn.learn.inheritance import conceive, has_room, keep_beside, set_reserve
from napari_unet.nn.learn.kinds import choose_teacher, is_known, scale_new_kind
from napari_unet.nn.learn.rehearsal import Exam, rehearse
from napari_unet.nn.learn.timing import count_pixels, measure_pace
from napari_unet.nn.model import Model
from napari_unet.nn.trainer import Trainer, cosine_rate
from napari_unet.nn.unet import fit_tile

_WARM_UP = 0.1
_AVERAGE = 0.95
_SEPARATION = (4.0, 5.0)
_LOWEST_RATE = 0.1  # share of the learning rate that is left where the parent makes no mistake
_SCALE_TOLERANCE = 1.4
_REHEARSED = 0.25  # of the tiles that are drawn
_PROVING = 0.15  # of the time, for what the old model finds in held-out corrections
_GLANCES = (0.25, 0.5, 0.75)  # parts of the learning after which it is scored
_GLANCE = 0.02  # of the time, at most, for one of them
_MOST_GLANCED = 2  # images
_LESS = {0.5: "half", 0.25: "a quarter"}  # of what was learnt, where all of it made the model worse
_MIXED = 0.05  # AP lost on what was known, from which on this has to be something else
_MOST_COMPARED = 4  # images
_UNCERTAINTY = 1.3  # by which what follows the learning may take longer than reckoned
_SIDE_JOBS = 512 * 512  # px that could be predicted while the new network is compiled and saved


@dataclass(frozen=True, slots=True)
class CorrectedPlane:
    """A raw plane (Y, X, C) with corrected labels (Y, X) and the pixels that the user reviewed (Y, X)."""

    plane: NDArray[np.generic]
    labels: NDArray[np.int32]
    reviewed: NDArray[np.bool_]


@dataclass(frozen=True)
class FineTuneResult:
    """A fine-tuned model and how it compares with its parent on images that neither learnt from.

    ``before`` and ``after`` are scores on held-out corrections, None where there were too few to put any
    aside. ``known_before`` and ``known_after`` are the AP at IoU 0.5 on rendered images that the parent
    segments well, None where it knows none. ``accepted`` says that the new model is not worse; ``reason``
    says why or why not, in one sentence. ``history`` has "step" and "loss" of every step, and the "score"
    (mean AP on some held-out corrections) where it was measured. ``seconds`` and ``cpu_seconds`` are those of
    all of it, ``learning_seconds`` those of all steps and ``step_seconds`` those of one.
    """

    model: Model
    before: Scores | None
    after: Scores | None
    accepted: bool
    reason: str
    history: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    step_seconds: float | None = None
    learning_seconds: float = 0.0
    known_before: float | None = None
    known_after: float | None = None


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a child scores on held-out corrections and on what its parent knows, and what is made of it.

    ``share`` is how much it kept of what it had learnt.
    """

    after: Scores | None
    known: float | None
    accepted: bool
    reason: str
    share: float = 1.0


def fine_tune_planes(
    parent: Model,
    planes: Sequence[CorrectedPlane],
    params: FineTuneParams,
    *,
    name: str,
    pixel_size: float | None = None,
    validation: Sequence[CorrectedPlane] = (),
    next_planes: Sequence[tuple[int, ...]] = (),
    report: Report = lambda progress: None,
    started: float | None = None,
) -> FineTuneResult:
    """Fine-tune ``parent`` on the reviewed pixels of ``planes`` and compare the two.

    Part of the corrections is held out for the comparison, or ``validation`` serves. The better the parent
    does there, the lower the learning rate: what is right already is not to be unlearnt. The time limit
    counts from ``started`` (perf_counter), and leaves time to segment planes of the shapes ``next_planes``
    (Y, X) afterwards. What ``report`` raises ends the work; the parent stays as it was.
    InputError if the corrections cannot be right (see ``core.gates``), or are of a kind of cells for which
    ``parent`` has no room.
    """
    cpu, budget = process_time(), Budget(params, perf_counter() if started is None else started, perf_counter)
    check_rate(params.learning_rate)
    check_corrections([(p.plane, p.labels, p.reviewed) for p in planes])
    size = measure_object_size([np.where(p.reviewed, p.labels, 0) for p in planes])
    teacher, scale = choose_teacher(parent, size, pixel_size)
    report(Progress(0.0, "Scoring the present model on held-out corrections"))
    told = _look_only_at(parent, scale)
    teaching, proof = _hold_out(told, planes, validation, params, pixel_size, budget)
    before = proof.score(proof.found)
    report(Progress(0.0, "Looking at what the present model knows"))
    exam = Exam.of(parent)
    keras.utils.set_random_seed(params.seed)
    goes_on = is_known(teacher, scale, pixel_size, before, exam if teacher is parent else None)
    if not goes_on and not has_room(parent):
        raise InputError(
            f"'{parent.card.name}' knows {len(parent.specialists)} kinds of cells already and has no room "
            "for another: choose a model that knows fewer, such as the one that this one began from."
        )
    if not goes_on:
        scale = scale_new_kind(teacher, scale, pixel_size, size)
    samples = [image.resized(scale) for image in teaching]
    child = conceive(parent, teacher, goes_on, name, scale, pixel_size, samples)
    # Also where the teacher's own weights are kept: it keeps the child from learning a few cells by heart.
    rehearsal = rehearse(teacher)
    pace = measure_pace(parent)
    taught = [image.image for image in teaching[:_MOST_COMPARED]]
    budget.begin(pace * _count_work(child.card, proof, exam, taught, next_planes, scale))
    rate = params.learning_rate * (1 if before is None else max(1 - before.mean_ap, _LOWEST_RATE))
    gentle = params.model_copy(update={"learning_rate": rate})
    glance = _plan_glances(child.card, proof, pace, budget, scale)
    history = _learn(child, samples, rehearsal, gentle, budget, glance, report)
    report(Progress(1.0, "Telling what it has learnt from what was known"))
    if child.earlier and not goes_on:
        child = set_reserve(child, parent, taught, exam, pixel_size)
    report(Progress(1.0, "Scoring the new model on held-out corrections"))

    def examine(model: Model) -> _Outcome:
        after = proof.score(proof.find(_look_only_at(model, scale)))
        known = exam.grade(_look_only_at(model, model.card.scale))
        return _Outcome(after, known, *judge(before, after, exam.before, known))

    outcome = examine(child)
    # Either is rare, so the seconds that it takes are not planned.
    if (
        goes_on
        and has_room(parent)
        and measure_loss(exam.before, outcome.known) > _MIXED
        and measure_gain(before, outcome.after) > 0
    ):
        child = set_reserve(keep_beside(child, parent, samples), parent, taught, exam, pixel_size)
        outcome = examine(child)
    elif goes_on and not outcome.accepted:
        outcome = _learn_less(child, teacher, examine) or outcome
    seconds, cpu = budget.elapsed, process_time() - cpu
    training = {
        "fine_tuned_on": _describe(planes),
        "steps": len(history),
        "share_kept": outcome.share,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "seed": params.seed,
        "parent": {"name": parent.card.name, "data": parent.card.training.get("data", "")},
    }
    scores = {
        "held_out": _summary(before, outcome.after),
        "known": {"before": exam.before, "after": outcome.known},
    }
    model = replace(child, card=child.card.model_copy(update={"training": training, "scores": scores}))
    return FineTuneResult(
        model,
        before,
        outcome.after,
        outcome.accepted,
        outcome.reason,
        history,
        seconds=seconds,
        cpu_seconds=cpu,
        step_seconds=budget.step_seconds,
        learning_seconds=budget.learning_seconds,
        known_before=exam.before,
        known_after=outcome.known,
    )


def _look_only_at(model: Model, scale: float) -> Model:
    """Return the model as one that does not search for the size of these cells, which can take any time.

    It looks at the scales that it knows, and at ``scale``, which fits them: in place of its own, if that is
    where it would start to search.
    """
    card, networks = model.card, model.earlier
    kinds = [kind.model_copy(update={"size_range": None}) for kind in card.earlier]
    seen = card.kind.model_copy(update={"size_range": None})
    if not 1 / _SCALE_TOLERANCE < card.scale / scale < _SCALE_TOLERANCE:
        fitted = seen.model_copy(update={"scale": scale, "pixel_size": None})
        if card.size_range is None or card.pixel_size is not None:
            kinds.append(fitted)
            networks = (*networks, model.network)
        else:
            seen = fitted
    card = card.model_copy(update={**dict(seen), "earlier": tuple(kinds)})
    return replace(model, card=card, earlier=networks)


def _hold_out(
    parent: Model,
    planes: Sequence[CorrectedPlane],
    validation: Sequence[CorrectedPlane],
    params: FineTuneParams,
    pixel_size: float | None,
    budget: Budget,
) -> tuple[list[TrainingImage], Proof]:
    """Return what teaches and what proves."""
    pieces = _cut(planes)
    if validation:
        return pieces, Proof.of(parent, _cut(validation), pixel_size)
    return put_aside(
        parent,
        pieces,
        pixel_size=pixel_size,
        held_out=params.held_out,
        seed=params.seed,
        allowance=_PROVING * budget.seconds,
    )


def _cut(planes: Sequence[CorrectedPlane]) -> list[TrainingImage]:
    return [
        piece for p in planes for piece in cut_pieces(TrainingImage(normalise(p.plane), p.labels, p.reviewed))
    ]


def _count_work(
    card: ModelCard,
    proof: Proof,
    exam: Exam,
    taught: Sequence[NDArray[np.float32]],
    next_planes: Sequence[tuple[int, ...]],
    scale: float,
) -> float:
    """Return for how many pixels the new network is needed once it has learnt, other work included."""
    seen = [image.labels.shape for image in proof.images]
    user = sum(count_pixels(card, shape, proof.pixel_size) for shape in (*seen, *next_planes))
    if scale != card.image_scale(proof.pixel_size):  # which it looks for
        user += sum(count_pixels(card, shape, at=scale) for shape in (*seen, *next_planes))
    known = sum(count_pixels(card, labels.shape, None) for labels in exam.labels)
    if card.earlier:  # to tell one kind from the other
        known += known + sum(count_pixels(card, image.shape[:2], proof.pixel_size) for image in taught)
    return _UNCERTAINTY * (user + known + _SIDE_JOBS)


def _plan_glances(
    card: ModelCard, proof: Proof, pace: float, budget: Budget, scale: float
) -> Callable[[Model], float | None]:
    """Return what scores the model while it learns, on as many of the images as there is time for."""
    images, seconds = [], pace * _SIDE_JOBS  # the first one compiles
    for image in proof.images[:_MOST_GLANCED]:
        seconds += pace * count_pixels(card, image.labels.shape, at=scale)
        if seconds <= _GLANCE * budget.seconds:
            images.append(image)

    def glance(model: Model) -> float | None:
        found = [model.label(model.predict_maps(image.image, scale=scale), scale) for image in images]
        scores = proof.score(found) if found else None
        return scores.mean_ap if scores else None

    return glance


def _describe(planes: Sequence[CorrectedPlane]) -> dict[str, int]:
    cells = sum(len(np.unique(p.labels[p.reviewed & (p.labels > 0)])) for p in planes)
    pixels = sum(int(np.count_nonzero(p.reviewed)) for p in planes)
    return {"images": len(planes), "reviewed_cells": cells, "reviewed_pixels": pixels}


def _learn_less(child: Model, teacher: Model, examine: Callable[[Model], _Outcome]) -> _Outcome | None:
    """Take back as much of what a child has learnt as makes it acceptable; None, and nothing, if none does.

    Its weights are mixed with its teacher's (Wortsman et al., Robust fine-tuning of zero-shot models, CVPR
    2022): a few steps from a good model can break a cell or two, half of each step seldom does.
    """
    taught, learnt = teacher.network.get_weights(), child.network.get_weights()
    for share, words in _LESS.items():
        child.network.set_weights([(1 - share) * a + share * b for a, b in zip(taught, learnt, strict=True)])
        outcome = examine(child)
        if outcome.accepted:
            reason = f"With {words} of what it learnt t{outcome.reason[1:]}"
            return replace(outcome, reason=reason, share=share)
    child.network.set_weights(learnt)
    return None


def _learn(
    child: Model,
    samples: Sequence[TrainingImage],
    rehearsal: Sequence[TrainingImage],
    params: FineTuneParams,
    budget: Budget,
    glance: Callable[[Model], float | None],
    report: Report,
) -> list[dict[str, float]]:
    """Teach the child's network; return the "step", the "loss" and some "score"s of every step."""
    card, network = child.card, child.network
    largest = max(max(sample.labels.shape) for sample in samples)
    tile, margin = fit_tile(card.network, min(params.tile, largest + card.network.step))
    sampler = Sampler(
        mix([samples, rehearsal], [1 - _REHEARSED, _REHEARSED]),
        outputs=card.outputs,
        tile=tile,
        batch=params.batch,
        augment=params.augment,
        separation=_SEPARATION,
        seed=params.seed,
        margin=margin,
    )
    trainer = Trainer(network, sampler, average=_AVERAGE)
    history: list[dict[str, float]] = []
    scored: dict[str, float]  # goes with every report, since a window need not see them all
    progress, glances, scored = 0.0, list(_GLANCES), {}
    try:
        while progress < 1:
            loss = trainer.update(cosine_rate(params.learning_rate, progress, _WARM_UP))
            history.append({"step": trainer.step, "loss": loss})
            progress = budget.note_step(trainer.step)
            if glances and progress >= glances[0]:
                glances = [part for part in glances if part > progress]
                with trainer.averaged():
                    score = glance(child)
                if score is not None:
                    history[-1]["score"] = score
                    scored = {"score": score, "score_step": trainer.step}
                budget.skip()
            report(Progress(min(progress, 1.0), f"Learning, step {trainer.step}", history[-1] | scored))
        with trainer.averaged():
            weights = network.get_weights()
        network.set_weights(weights)
    finally:
        trainer.close()
    return history


def _summary(before: Scores | None, after: Scores | None) -> dict[str, object]:
    pairs = {"before": before, "after": after}
    return {key: scores.model_dump() if scores else None for key, scores in pairs.items()}
