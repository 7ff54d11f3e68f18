"""The recipe behind every model: train on images with labels, keep the best by validation."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.base import Labels, ModelCard, TrainParams
from napari_unet.core.cells import Scores, evaluate
from napari_unet.core.learning import Sampler, TrainingImage
from napari_unet.nn import (
    Model,
    Trainer,
    build_network,
    cosine_rate,
    fast_policy,
    fit_tile,
    fold_normalisation,
    keras,
)
from napari_unet.nn.learn.thresholds import calibrate

_SAVE_EVERY = 250

OnStep = Callable[[int, float], None]


def segment_images(model: Model, images: Sequence[TrainingImage]) -> list[Labels]:
    """Segment images that are at the network's scale."""
    return [model.label(model.predict_maps(image.image)) for image in images]


def score(model: Model, images: Sequence[TrainingImage]) -> Scores:
    """Segment images that are at the network's scale and score them against their labels."""
    return evaluate(segment_images(model, images), [image.labels for image in images])


def train(
    card: ModelCard,
    images: Sequence[TrainingImage],
    validation: Mapping[str, Sequence[TrainingImage]],
    params: TrainParams,
    *,
    folder: Path,
    start: Sequence[NDArray[np.float32]] | None = None,
    on_step: OnStep = lambda step, loss: None,
) -> Model:
    """Train a network from ``start`` (its weights) or from scratch, or go on where ``folder`` says that an
    earlier run stopped; fit its instance parameters to the ``validation`` images of each kind at the end.

    ``folder`` receives ``checkpoint.npz`` (state), ``best.npz`` (best weights by mean AP on ``validation``,
    in which all kinds count the same) and ``log.csv``. ``card`` describes the network and its output maps.
    ``on_step`` is called after every step; what it raises ends the run, which can be resumed. Batch
    normalisation is folded away at the end.
    """
    folder.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(params.seed)
    network = build_network(card.network, dtype=fast_policy())
    if start is not None:
        network.set_weights(list(start))
    tile, margin = fit_tile(card.network, params.tile)
    sampler = Sampler(
        images,
        outputs=card.outputs,
        tile=tile,
        batch=params.batch,
        augment=params.augment,
        separation=(params.separation, params.separation_sigma),
        seed=params.seed,
        margin=margin,
    )
    trainer = Trainer(network, sampler, average=params.average, optimizer=params.optimizer)
    model = Model(network, card)
    checkpoint, best = folder / "checkpoint.npz", folder / "best.npz"
    if checkpoint.exists():
        trainer.resume(checkpoint)
    try:
        _run(trainer, model, validation, params, folder, on_step)
    except BaseException:
        trainer.save(checkpoint)
        raise
    finally:
        trainer.close()
    with np.load(best) as saved:
        network.set_weights([saved[f"arr_{i}"] for i in range(len(saved.files))])
    return calibrate(fold(model), list(validation.values()))


def fold(model: Model) -> Model:
    """Return an equal model without batch normalisation."""
    if not model.card.network.batch_normalisation:
        return model
    bare, params = fold_normalisation(model.network, model.card.network)
    network = build_network(params, dtype=fast_policy())
    network.set_weights(bare.get_weights())
    return Model(network, model.card.model_copy(update={"network": params}))


def _run(
    trainer: Trainer,
    model: Model,
    validation: Mapping[str, Sequence[TrainingImage]],
    params: TrainParams,
    folder: Path,
    on_step: OnStep,
) -> None:
    log, start = folder / "log.csv", perf_counter()
    best = _best_so_far(log)
    losses: list[float] = []
    while trainer.step < params.steps:
        progress = trainer.step / params.steps
        rate = cosine_rate(params.learning_rate, progress, params.warm_up / params.steps)
        losses.append(trainer.update(rate))
        on_step(trainer.step, losses[-1])
        if trainer.step % _SAVE_EVERY == 0:
            trainer.save(folder / "checkpoint.npz")
        if trainer.step % params.validate_every and trainer.step < params.steps:
            continue
        with trainer.averaged() as network:
            scores = {name: score(model, images) for name, images in validation.items()}
            mean_ap = float(np.mean([each.mean_ap for each in scores.values()]))
            if mean_ap >= best:
                best = mean_ap
                _save_weights(folder / "best.npz", network)
        row = {
            "step": trainer.step,
            "loss": float(np.nanmean(losses)),
            "ap50": float(np.mean([each.ap50 for each in scores.values()])),
            "mean_ap": mean_ap,
            "seconds": perf_counter() - start,
            **{name: each.ap50 for name, each in scores.items()},
        }
        _append(log, row)
        losses.clear()
        trainer.save(folder / "checkpoint.npz")


def _append(log: Path, row: Mapping[str, float]) -> None:
    """Add a row to the log: after the means, the AP at IoU 0.5 on each kind of validation images."""
    new = not log.exists()
    with log.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(row)
        writer.writerow([f"{value:.6g}" for value in row.values()])


def _best_so_far(log: Path) -> float:
    if not log.exists():
        return -1.0
    with log.open(newline="", encoding="utf-8") as file:
        return max((float(row["mean_ap"]) for row in csv.DictReader(file)), default=-1.0)


def _save_weights(path: Path, network: keras.Model) -> None:
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(file, *network.get_weights())
    partial.replace(path)
