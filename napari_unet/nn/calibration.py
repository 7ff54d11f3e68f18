"""Instance parameters fitted to labels: which thresholds turn a network's maps into these cells best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from napari_unet.core.params import InstanceParams
from napari_unet.core.proof import score_reviewed
from napari_unet.core.sampling import TrainingImage
from napari_unet.nn.predictor import Model

MARKERS = (0.5, 0.4, 0.6, 0.3)
SMALLEST = (0.05, 0.1, 0.2)
_MOST_IMAGES = 16


def calibrate_instances(model: Model, images: Sequence[TrainingImage]) -> Model:
    """Return the model with the instance parameters that score best on ``images`` (at the network's scale).

    Up to 16 images, evenly spread, are predicted once and labelled with every pair of parameters; the mean
    AP on their reviewed pixels decides.
    """
    chosen = images[:: -(-len(images) // _MOST_IMAGES)]
    maps = [model.predict_maps(image.image) for image in chosen]
    labels = [image.labels for image in chosen]
    reviewed = [np.ones(i.labels.shape, bool) if i.reviewed is None else i.reviewed for i in chosen]

    def apply(params: InstanceParams) -> Model:
        return replace(model, card=model.card.model_copy(update={"instances": params}))

    def score(candidate: Model) -> float:
        scores = score_reviewed([candidate.label(m) for m in maps], labels, reviewed)
        return scores.mean_ap if scores else 0.0

    candidates = [
        apply(model.card.instances.model_copy(update={"marker": marker, "min_area": smallest}))
        for marker, smallest in product(MARKERS, SMALLEST)
    ]
    return max([model, *candidates], key=score)
