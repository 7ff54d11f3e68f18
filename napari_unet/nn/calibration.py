"""Instance parameters fitted to labels: which thresholds turn a network's maps into these cells best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from napari_unet.core.params import InstanceParams
from napari_unet.core.proof import score_reviewed
from napari_unet.core.sampling import Float32, TrainingImage
from napari_unet.nn.predictor import Model

MARKERS = (0.5, 0.4, 0.6, 0.3)
SMALLEST = (0.05, 0.1, 0.2)
CERTAINTIES = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85)
_MOST_IMAGES = 16
_NOISE_SIDE = 512
_MOST_FALSE = 0.25  # objects in 512 x 512 pixels of noise


def calibrate_instances(model: Model, kinds: Sequence[Sequence[TrainingImage]]) -> Model:
    """Return the model with the instance parameters that score best on images (at the network's scale).

    Up to 16 images of each kind, evenly spread, are predicted once and labelled with every pair of
    parameters; the mean AP on their reviewed pixels, averaged over the kinds, decides.
    """
    chosen = [images[:: -(-len(images) // _MOST_IMAGES)] for images in kinds]
    maps = [[model.predict_maps(image.image) for image in images] for images in chosen]

    def score(candidate: Model) -> float:
        pairs = zip(chosen, maps, strict=True)
        return float(np.mean([_score(candidate, images, drawn) for images, drawn in pairs]))

    candidates = [
        _apply(model, model.card.instances.model_copy(update={"marker": marker, "min_area": smallest}))
        for marker, smallest in product(MARKERS, SMALLEST)
    ]
    return max([model, *candidates], key=score)


def calibrate_certainty(model: Model) -> Model:
    """Return the model with the lowest certainty at which it finds next to nothing in mere noise."""
    rng, shape = np.random.default_rng(0), (_NOISE_SIDE, _NOISE_SIDE, model.card.network.channels)
    noise = [plane for _ in range(2) for plane in (rng.normal(100, 10, shape), rng.poisson(3, shape))]
    for certainty in CERTAINTIES:
        candidate = _apply(model, model.card.instances.model_copy(update={"certainty": certainty}))
        false = sum(int(candidate.segment_plane(plane).max()) for plane in noise)
        if false <= _MOST_FALSE * len(noise):
            break
    return candidate


def _apply(model: Model, params: InstanceParams) -> Model:
    return replace(model, card=model.card.model_copy(update={"instances": params}))


def _score(model: Model, images: Sequence[TrainingImage], maps: Sequence[Float32]) -> float:
    reviewed = [np.ones(i.labels.shape, bool) if i.reviewed is None else i.reviewed for i in images]
    scores = score_reviewed([model.label(m) for m in maps], [image.labels for image in images], reviewed)
    return scores.mean_ap if scores else 0.0
