"""Instance parameters fitted to labels: which of them turn a network's maps into these cells best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_unet.core.base import Float32
from napari_unet.core.learning import TrainingImage, score_reviewed
from napari_unet.nn import Model

Kinds = Sequence[Sequence[TrainingImage]]

PROMINENCES = (0.25, 0.2, 0.3, 0.15, 0.4)
BLENDS = (0.5, 0.0, 0.25, 1.0)
SMALLEST = (0.1, 0.05, 0.2)
CERTAINTIES = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85)
_NOISE_SIDE = 512
_MOST_FALSE = 0.25  # objects in 512 x 512 pixels of noise


def calibrate(model: Model, kinds: Kinds, *, most_images: int = 64) -> Model:
    """Return the model with the instance parameters that score best on images: how cells are split first.

    Up to ``most_images`` of each kind (at the network's scale), evenly spread, are predicted once; the mean
    AP on their reviewed pixels decides. A kind counts as the square root of its number of cells, as in
    training. Of the certainties at which next to nothing is found in mere noise the best is taken.
    """
    trial = _Trial.of(model, kinds, most_images)
    blended = [trial.choose(_set(model, "blend", blend), "prominence", PROMINENCES) for blend in BLENDS]
    fitted = trial.choose(max(blended, key=trial.score), "min_area", SMALLEST)
    safe = trial.choose(fitted, "certainty", _safe_certainties(fitted), keep=False)
    if trial.score(safe) > 0:
        return safe
    # A model that finds cells, and some in noise, is worth more than one that finds none.
    bold = trial.choose(fitted, "certainty", CERTAINTIES, keep=False)
    return bold if trial.score(bold) > 0 else safe


@dataclass(frozen=True, slots=True)
class _Trial:
    """Images of several kinds with the maps that the network draws in them, and what each kind counts."""

    kinds: Kinds
    maps: Sequence[Sequence[Float32]]
    weights: Sequence[float]

    @classmethod
    def of(cls, model: Model, kinds: Kinds, most_images: int) -> _Trial:
        chosen = [images[:: -(-len(images) // most_images)] for images in kinds if images]
        maps = [[model.predict_maps(image.image) for image in images] for images in chosen]
        cells = [sum(int(image.labels.max()) for image in images) for images in chosen]
        return cls(chosen, maps, [float(np.sqrt(count)) for count in cells])

    def choose(self, model: Model, name: str, values: Sequence[float], *, keep: bool = True) -> Model:
        """Return the model with the best of the values of one parameter; its own, if to be kept, where none
        is better.
        """
        candidates = [_set(model, name, value) for value in values]
        return max([model, *candidates] if keep else candidates, key=self.score)

    def score(self, model: Model) -> float:
        scores = [_score(model, *kind) for kind in zip(self.kinds, self.maps, strict=True)]
        return float(np.average(scores, weights=self.weights)) if any(self.weights) else 0.0


def _safe_certainties(model: Model) -> tuple[float, ...]:
    """Return the certainties at which next to nothing is found in noise; the highest if there is none."""
    rng, shape = np.random.default_rng(0), (_NOISE_SIDE, _NOISE_SIDE, model.card.network.channels)
    noise = [plane for _ in range(2) for plane in (rng.normal(100, 10, shape), rng.poisson(3, shape))]
    for number, certainty in enumerate(CERTAINTIES):
        candidate = _set(model, "certainty", certainty)
        if sum(int(candidate.segment_plane(plane).max()) for plane in noise) <= _MOST_FALSE * len(noise):
            return CERTAINTIES[number:]
    return CERTAINTIES[-1:]


def _set(model: Model, name: str, value: float) -> Model:
    instances = model.card.instances.model_copy(update={name: value})
    return replace(model, card=model.card.model_copy(update={"instances": instances}))


def _score(model: Model, images: Sequence[TrainingImage], maps: Sequence[Float32]) -> float:
    reviewed = [np.ones(i.labels.shape, bool) if i.reviewed is None else i.reviewed for i in images]
    scores = score_reviewed([model.label(m) for m in maps], [image.labels for image in images], reviewed)
    return scores.mean_ap if scores else 0.0
