"""Learning from corrections: reviewed pixels teach, held-out ones prove, the old model is never lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter, process_time

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.base import FineTuneParams, Progress, Report
from napari_unet.core.cells import Scores
from napari_unet.core.image import normalise
from napari_unet.core.learning import (
    Budget,
    Sampler,
    TrainingImage,
    Verdict,
    check_corrections,
    check_rate,
    cut_pieces,
    draw_the_same,
    judge,
    mix,
)
from napari_unet.nn import Model, Trainer, cosine_rate, fit_tile, keras
from napari_unet.nn.learn.child import Piece, conceive
from napari_unet.nn.learn.holdout import OnTile, Proof, put_aside
from napari_unet.nn.learn.rehearsal import rehearse
from napari_unet.nn.learn.timing import count_pixels, measure_pace

_GLANCES = (0.25, 0.5, 0.75)  # parts of the learning after which it is scored
_GLANCE = 0.02  # of the time, at most, for one of them
_MOST_GLANCED = 2  # images
_LESS = (0.5, 0.25)  # shares of what was learnt that are tried where all of it made the model worse
_UNCERTAINTY = 1.3  # by which what follows the learning may take longer than reckoned
_SIDE_JOBS = 512 * 512  # px that could be predicted while the new network is compiled and saved


@dataclass(frozen=True, slots=True)
class CorrectedPlane:
    """A raw plane (Y, X, C) with corrected labels (Y, X) and the pixels that the user reviewed (Y, X).

    ``pixel_size`` is in µm, and ``seen_at`` is the scale at which the old model saw the image when the user
    segmented it, each None where it is not known; ``name`` is for messages.
    """

    plane: NDArray[np.generic]
    labels: NDArray[np.int32]
    reviewed: NDArray[np.bool_]
    pixel_size: float | None = None
    seen_at: float | None = None
    name: str = ""


@dataclass(frozen=True)
class FineTuneResult:
    """A fine-tuned model and how it compares with its parent on images that neither learnt from.

    ``before`` and ``after`` are scores on held-out corrections, None where there were too few to put any
    aside, and ``verdict`` is what they come to. ``share`` is how much of what it learnt the model kept.
    ``known_before`` and ``known_after`` are the AP at IoU 0.5 on drawn scenes that the parent segments well,
    None where that was not measured or it knows none; they decide nothing. ``history`` has "step" and "loss"
    of every step, and the "score" (mean AP on some held-out corrections) where it was measured. ``seconds``
    and ``cpu_seconds`` are those of all of it, ``learning_seconds`` those of all steps and ``step_seconds``
    those of one.
    """

    model: Model
    before: Scores | None
    after: Scores | None
    verdict: Verdict
    share: float = 1.0
    history: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    step_seconds: float | None = None
    learning_seconds: float = 0.0
    known_before: float | None = None
    known_after: float | None = None

    @property
    def accepted(self) -> bool:
        """Whether the new model is not worse than its parent."""
        return self.verdict is not Verdict.WORSE


def fine_tune_planes(
    parent: Model,
    planes: Sequence[CorrectedPlane],
    params: FineTuneParams,
    *,
    name: str,
    validation: Sequence[CorrectedPlane] = (),
    next_planes: Sequence[tuple[int, ...]] = (),
    report: Report = lambda progress: None,
    started: float | None = None,
    anyway: bool = False,
) -> FineTuneResult:
    """Fine-tune ``parent`` on the reviewed pixels of ``planes`` and compare the two.

    Part of the corrections is held out for the comparison, or ``validation`` serves. The time limit counts
    from ``started`` (perf_counter), and leaves time to segment planes of the shapes ``next_planes`` (Y, X)
    afterwards. What ``report`` raises ends the work; the parent stays as it was.
    InputError if the corrections cannot be right, DoubtfulError, unless ``anyway``, if they hardly can (see
    ``core.learning.checks``).
    """
    cpu, budget = process_time(), Budget(params, perf_counter() if started is None else started, perf_counter)
    check_rate(params.learning_rate)
    check_corrections([(p.plane, p.labels, p.reviewed) for p in planes], [p.name for p in planes], anyway)
    keras.utils.set_random_seed(params.seed)

    def looking(message: str) -> OnTile:
        report(Progress(budget.fraction, message))
        return lambda done, total: report(Progress(budget.fraction, message))

    on_tile = looking("Scoring the present model on held-out corrections")
    teaching, proof = _hold_out(parent, planes, validation, params, budget, on_tile)
    before = proof.score(proof.found)
    child = conceive(parent, name, teaching, before, params)
    samples = [piece.for_network(child.card) for piece in teaching]
    rehearsal = rehearse(parent) if params.rehearsed else []
    pace = measure_pace(parent)
    budget.begin(pace * _count_work(child, proof, next_planes))
    glance = _plan_glances(child, proof, pace, budget)
    history = _learn(child, samples, rehearsal, _slow_down(params, before), budget, glance, report)
    on_tile = looking("Scoring the new model on held-out corrections")

    def examine(share: float) -> _Outcome:
        found = proof.find(child, on_tile)
        after = proof.score(found)
        return _Outcome(after, judge(before, after, unchanged=draw_the_same(proof.found, found)), share)

    outcome = _keep_what_helps(parent, child, examine)
    result = FineTuneResult(
        child,
        before,
        outcome.after,
        outcome.verdict,
        outcome.share,
        history,
        seconds=budget.elapsed,
        cpu_seconds=process_time() - cpu,
        step_seconds=budget.step_seconds,
        learning_seconds=budget.learning_seconds,
    )
    return replace(result, model=_describe(result, parent, planes, params))


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a child scores with a share of what it has learnt, and what that comes to."""

    after: Scores | None
    verdict: Verdict
    share: float


def _hold_out(
    parent: Model,
    planes: Sequence[CorrectedPlane],
    validation: Sequence[CorrectedPlane],
    params: FineTuneParams,
    budget: Budget,
    on_tile: OnTile,
) -> tuple[list[Piece], Proof]:
    """Return what teaches and what proves."""
    pieces = _cut(planes)
    if validation:
        return pieces, Proof.of(parent, _cut(validation), on_tile)
    return put_aside(parent, pieces, params, allowance=params.proving * budget.seconds, on_tile=on_tile)


def _cut(planes: Sequence[CorrectedPlane]) -> list[Piece]:
    return [
        Piece(part, p.pixel_size, p.seen_at)
        for p in planes
        for part in cut_pieces(TrainingImage(normalise(p.plane), p.labels, p.reviewed))
    ]


def _count_work(child: Model, proof: Proof, next_planes: Sequence[tuple[int, ...]]) -> float:
    """Return for how many pixels the new network is needed once it has learnt, other work included."""
    seen = [(piece.image.labels.shape, piece.pixel_size) for piece in proof.pieces]
    seen += [(shape, child.card.pixel_size) for shape in next_planes]
    return _UNCERTAINTY * (sum(count_pixels(child.card, *plane) for plane in seen) + _SIDE_JOBS)


def _plan_glances(child: Model, proof: Proof, pace: float, budget: Budget) -> Callable[[Model], float | None]:
    """Return what scores the model while it learns, on as many of the images as there is time for."""
    pieces, seconds = [], pace * _SIDE_JOBS  # the first one compiles
    for piece in proof.pieces[:_MOST_GLANCED]:
        seconds += pace * count_pixels(child.card, piece.image.labels.shape, piece.pixel_size)
        if seconds <= _GLANCE * budget.seconds:
            pieces.append(piece)

    def glance(model: Model) -> float | None:
        scales = [model.card.image_scale(piece.pixel_size) for piece in pieces]
        maps = [model.predict_maps(p.image.image, scale=s) for p, s in zip(pieces, scales, strict=True)]
        found = [model.label(m, s) for m, s in zip(maps, scales, strict=True)]
        scores = proof.score(found) if found else None
        return scores.mean_ap if scores else None

    return glance


def _slow_down(params: FineTuneParams, before: Scores | None) -> FineTuneParams:
    """Return the parameters with a rate that is lower the better the parent is: what is right is to stay."""
    wrong = 1.0 if before is None else max(1 - before.mean_ap, params.least_rate)
    return params.model_copy(update={"learning_rate": params.learning_rate * wrong})


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
    network = child.network
    trainer = Trainer(network, _draw_from(child, samples, rehearsal, params), average=params.average)
    history: list[dict[str, float]] = []
    scored: dict[str, float]  # goes with every report, since a window need not see them all
    progress, glances, scored = 0.0, list(_GLANCES), {}
    try:
        while progress < 1:
            loss = trainer.update(cosine_rate(params.learning_rate, progress, params.warm_up))
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
            report(Progress(budget.fraction, f"Learning, step {trainer.step}", history[-1] | scored))
        with trainer.averaged():
            weights = network.get_weights()
        network.set_weights(weights)
    finally:
        trainer.close()
    return history


def _draw_from(
    child: Model,
    samples: Sequence[TrainingImage],
    rehearsal: Sequence[TrainingImage],
    params: FineTuneParams,
) -> Sampler:
    """Return what draws tiles of corrections and of scenes to rehearse."""
    card = child.card
    largest = max(max(sample.labels.shape) for sample in samples)
    tile, margin = fit_tile(card.network, min(params.tile, largest + card.network.step))
    return Sampler(
        mix([samples, rehearsal], [1 - params.rehearsed, params.rehearsed]),
        outputs=card.outputs,
        tile=tile,
        batch=params.batch,
        augment=params.augment,
        separation=(params.separation, params.separation_sigma),
        seed=params.seed,
        margin=margin,
    )


def _keep_what_helps(parent: Model, child: Model, examine: Callable[[float], _Outcome]) -> _Outcome:
    """Let a child that became worse take back half of what it has learnt, or more, if that helps.

    Its weights are mixed with its parent's (Wortsman et al., Robust fine-tuning of zero-shot models, CVPR
    2022): a few steps from a good model can break a cell or two, half of each step seldom does. Where it does
    not help either the child keeps all. It is rare, so the seconds that it takes are not planned.
    """
    whole = examine(1.0)
    if whole.verdict is not Verdict.WORSE:
        return whole
    taught, learnt = parent.network.get_weights(), child.network.get_weights()
    for share in _LESS:
        child.network.set_weights([(1 - share) * a + share * b for a, b in zip(taught, learnt, strict=True)])
        outcome = examine(share)
        if outcome.verdict.is_proven:
            return outcome
    child.network.set_weights(learnt)
    return whole


def _describe(
    result: FineTuneResult, parent: Model, planes: Sequence[CorrectedPlane], params: FineTuneParams
) -> Model:
    """Return the child with its training and its scores on its card."""
    cells = sum(len(np.unique(p.labels[p.reviewed & (p.labels > 0)])) for p in planes)
    pixels = sum(int(np.count_nonzero(p.reviewed)) for p in planes)
    training = {
        "fine_tuned_on": {"images": len(planes), "reviewed_cells": cells, "reviewed_pixels": pixels},
        "steps": len(result.history),
        "share_kept": result.share,
        "seconds": round(result.seconds, 1),
        "cpu_seconds": round(result.cpu_seconds, 1),
        "seed": params.seed,
        "parent": {"name": parent.card.name, "data": parent.card.training.get("data", "")},
    }
    pairs = {"before": result.before, "after": result.after}
    scores = {"held_out": {key: it.model_dump() if it else None for key, it in pairs.items()}}
    card = result.model.card.model_copy(update={"training": training, "scores": scores})
    return replace(result.model, card=card)
