"""Learning from corrections: reviewed pixels teach, held-out ones prove, the old model is never lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.card import ModelCard
from napari_unet.core.gates import check_corrections
from napari_unet.core.metrics import Scores
from napari_unet.core.normalise import normalise
from napari_unet.core.params import FineTuneParams
from napari_unet.core.progress import Progress, Report
from napari_unet.core.proof import score_reviewed, split_corrections
from napari_unet.core.sampling import Sampler, TrainingImage, mix
from napari_unet.core.size import Range, measure_object_size, measure_size_range
from napari_unet.nn.backend import fast_policy, keras
from napari_unet.nn.calibration import calibrate_instances
from napari_unet.nn.predictor import Model
from napari_unet.nn.rehearsal import rehearse
from napari_unet.nn.training import Trainer, cosine_rate
from napari_unet.nn.unet import build_network, fit_tile

_TUNED = ", fine-tuned"
_WARM_UP = 0.1
_AVERAGE = 0.95
_SEPARATION = (4.0, 5.0)
_FEWEST_STEPS = 10
_LOWEST_RATE = 0.1  # share of the learning rate that is left where the parent makes no mistake
_SCORINGS_AFTER = 2  # the fitting of thresholds and the comparison cost about one scoring each
_SIZE_TOLERANCE = 1.7
_NEW_OBJECT_SIZE = 32.0
_SCALE_TOLERANCE = 1.4
_REHEARSED = 0.25  # of the tiles that are drawn


@dataclass(frozen=True, slots=True)
class CorrectedPlane:
    """A raw plane (Y, X, C) with corrected labels (Y, X) and the pixels that the user reviewed (Y, X)."""

    plane: NDArray[np.generic]
    labels: NDArray[np.int32]
    reviewed: NDArray[np.bool_]


Proof = Sequence[tuple[CorrectedPlane, NDArray[np.bool_]]]


@dataclass(frozen=True)
class FineTuneResult:
    """A fine-tuned model and how it compares with its parent on corrections that neither learnt from.

    ``before`` and ``after`` are None where there were too few corrections to put any aside. ``accepted``
    says that the new model is not worse; ``reason`` says why or why not, in one sentence.
    """

    model: Model
    before: Scores | None
    after: Scores | None
    accepted: bool
    reason: str
    history: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0


def fine_tune_planes(
    parent: Model,
    planes: Sequence[CorrectedPlane],
    params: FineTuneParams,
    *,
    name: str,
    pixel_size: float | None = None,
    validation: Sequence[CorrectedPlane] = (),
    report: Report = lambda progress: None,
    started: float | None = None,
) -> FineTuneResult:
    """Fine-tune ``parent`` on the reviewed pixels of ``planes`` and compare the two.

    Part of the corrections is held out for the comparison, or ``validation`` serves. The better the parent
    does there, the lower the learning rate: what is right already is not to be unlearnt. The time limit
    counts from ``started`` (perf_counter). What ``report`` raises ends the work; the parent stays as it was.
    InputError if the corrections cannot be right (see ``core.gates``).
    """
    clock = perf_counter() if started is None else started
    check_corrections([(p.plane, p.labels, p.reviewed) for p in planes])
    scale = _choose_scale(parent.card, planes, pixel_size)
    learn, proof = _put_aside(planes, params, validation)
    report(Progress(0.0, "Scoring the present model on held-out corrections"))
    before_start = perf_counter()
    before = _score(parent, pixel_size, proof)
    deadline = clock + params.seconds - _SCORINGS_AFTER * (perf_counter() - before_start)
    samples = [
        TrainingImage(normalise(p.plane), p.labels, mask).resized(scale)
        for p, mask in zip(planes, learn, strict=True)
        if mask.any()
    ]
    card = _child_card(parent, name, scale, pixel_size, samples)
    rate = params.learning_rate * (1 if before is None else max(1 - before.mean_ap, _LOWEST_RATE))
    gentle = params.model_copy(update={"learning_rate": rate})
    model, history = _learn(parent, card, samples, gentle, deadline, report)
    report(Progress(1.0, "Scoring the new model on held-out corrections"))
    after = _score(model, pixel_size, proof)
    accepted, reason = _judge(before, after)
    seconds = perf_counter() - clock
    training = {
        "fine_tuned_on": _describe(planes),
        "steps": len(history),
        "seconds": round(seconds, 1),
        "seed": params.seed,
        "parent": {"name": parent.card.name, "data": parent.card.training.get("data", "")},
    }
    scores = {"held_out": _summary(before, after)}
    model = replace(model, card=model.card.model_copy(update={"training": training, "scores": scores}))
    return FineTuneResult(model, before, after, accepted, reason, history, seconds)


def _put_aside(
    planes: Sequence[CorrectedPlane], params: FineTuneParams, validation: Sequence[CorrectedPlane]
) -> tuple[list[NDArray[np.bool_]], Proof]:
    """Return the pixels of each plane that teach, and the planes with the pixels that prove."""
    labels, reviewed = [p.labels for p in planes], [p.reviewed for p in planes]
    if validation:
        return reviewed, [(p, p.reviewed) for p in validation]
    size = measure_object_size([np.where(m, x, 0) for x, m in zip(labels, reviewed, strict=True)])
    learn, prove = split_corrections(
        labels, reviewed, held_out=params.held_out, cell_size=size or 1, seed=params.seed
    )
    return learn, [(p, mask) for p, mask in zip(planes, prove, strict=True) if mask.any()]


def _describe(planes: Sequence[CorrectedPlane]) -> dict[str, int]:
    cells = sum(len(np.unique(p.labels[p.reviewed & (p.labels > 0)])) for p in planes)
    pixels = sum(int(np.count_nonzero(p.reviewed)) for p in planes)
    return {"images": len(planes), "reviewed_cells": cells, "reviewed_pixels": pixels}


def _choose_scale(card: ModelCard, planes: Sequence[CorrectedPlane], pixel_size: float | None) -> float:
    """Return the scale at which the corrected cells have about the size that the model knows."""
    scale = card.image_scale(pixel_size)
    size = measure_object_size([np.where(p.reviewed, p.labels, 0) for p in planes])
    if size is None or card.object_size is None:
        return scale
    ratio = size * scale / card.object_size
    if 1 / _SIZE_TOLERANCE <= ratio <= _SIZE_TOLERANCE:
        return scale
    return min(max(card.object_size, _NEW_OBJECT_SIZE) / size, 4.0)


def _child_card(
    parent: Model, name: str, scale: float, pixel_size: float | None, samples: Sequence[TrainingImage]
) -> ModelCard:
    seen = [np.where(s.reviewed, s.labels, 0) if s.reviewed is not None else s.labels for s in samples]
    size = measure_object_size(seen)
    return parent.card.model_copy(
        update={
            "name": name,
            "title": f"{(parent.card.title or parent.card.name).removesuffix(_TUNED)}{_TUNED}",
            "parent": parent.sha256 or None,
            "scale": scale,
            "other_scales": _other_scales(parent.card, scale),
            "pixel_size": pixel_size,
            "object_size": size or parent.card.object_size,
            "size_range": _join(measure_size_range(seen), parent.card.size_range),
            "versions": {**parent.card.versions, "keras": keras.__version__},
        }
    )


def _join(first: Range | None, second: Range | None) -> Range | None:
    """Return the range that holds two ranges."""
    if first is None or second is None:
        return first or second
    return min(first[0], second[0]), max(first[1], second[1])


def _other_scales(card: ModelCard, scale: float) -> tuple[float, ...]:
    """Return the scales that a parent knew, but for those that are about as good as the new one."""
    known = (card.scale, *card.other_scales)
    return tuple(s for s in known if not 1 / _SCALE_TOLERANCE < s / scale < _SCALE_TOLERANCE)


def _learn(
    parent: Model,
    card: ModelCard,
    samples: Sequence[TrainingImage],
    params: FineTuneParams,
    deadline: float,
    report: Report,
) -> tuple[Model, list[dict[str, float]]]:
    keras.utils.set_random_seed(params.seed)
    network = build_network(card.network, dtype=fast_policy())
    network.set_weights(parent.network.get_weights())
    rehearsal = rehearse(parent)
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
    start = perf_counter()
    try:
        while (progress := _progress(trainer.step, start, deadline, params)) < 1:
            loss = trainer.update(cosine_rate(params.learning_rate, progress, _WARM_UP))
            history.append({"step": trainer.step, "loss": loss})
            progress = _progress(trainer.step, start, deadline, params)
            report(Progress(min(progress, 1.0), f"Learning, step {trainer.step}", dict(history[-1])))
        with trainer.averaged():
            weights = network.get_weights()
        network.set_weights(weights)
    finally:
        trainer.close()
    report(Progress(1.0, "Fitting the splitting of cells"))
    return calibrate_instances(Model(network, card), [samples, rehearsal]), history


def _progress(step: int, start: float, deadline: float, params: FineTuneParams) -> float:
    if params.steps is not None:
        return step / params.steps
    elapsed = (perf_counter() - start) / max(deadline - start, 1e-3)
    return min(elapsed, 0.999) if step < _FEWEST_STEPS else elapsed


def _score(model: Model, pixel_size: float | None, proof: Proof) -> Scores | None:
    predictions = [model.predict(normalise(p.plane), pixel_size=pixel_size).labels for p, _ in proof]
    return score_reviewed(predictions, [p.labels for p, _ in proof], [mask for _, mask in proof])


def _judge(before: Scores | None, after: Scores | None) -> tuple[bool, str]:
    if before is None or after is None:
        return True, "There are too few corrections to hold any out, so the new model could not be compared."
    figures = (
        f"mean AP {before.mean_ap:.2f} before, {after.mean_ap:.2f} after, on {after.objects} held-out cells"
    )
    if after.mean_ap < before.mean_ap:
        return False, f"The new model is worse on held-out corrections ({figures}): the old one stays."
    return True, f"The new model is at least as good on held-out corrections ({figures})."


def _summary(before: Scores | None, after: Scores | None) -> dict[str, object]:
    pairs = {"before": before, "after": after}
    return {key: scores.model_dump() if scores else None for key, scores in pairs.items()}
