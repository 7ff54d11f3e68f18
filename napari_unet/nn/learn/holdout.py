"""What proves: corrections that are held out, and what a model finds there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.cells.metrics import Scores
from napari_unet.core.image.scale import measure_object_size
from napari_unet.core.learning.holdout import score_reviewed, split_corrections
from napari_unet.core.learning.sampling import TrainingImage
from napari_unet.nn.model import Model

Labels = NDArray[np.int32]

_MOST_IMAGES = 12
_ENOUGH_CELLS = 8
_MOST_DELAY = 2.0  # times the allowance, after which no more images are looked at whatever they hold


@dataclass(frozen=True, slots=True)
class Proof:
    """Images whose reviewed pixels are held out, and what the old model found in them.

    Images are normalised, and as large as the user's.
    """

    images: Sequence[TrainingImage]
    found: Sequence[Labels]
    pixel_size: float | None

    @classmethod
    def of(cls, parent: Model, images: Sequence[TrainingImage], pixel_size: float | None) -> Proof:
        """Let the old model look at all images."""
        return cls(images, [_find(parent, image, pixel_size) for image in images], pixel_size)

    def find(self, model: Model) -> list[Labels]:
        """Return what a model finds in the images, as it would in the user's hands."""
        return [_find(model, image, self.pixel_size) for image in self.images]

    def score(self, found: Sequence[Labels]) -> Scores | None:
        """Score what was found in the first images; None where there are too few corrections to say."""
        images = self.images[: len(found)]
        return score_reviewed(found, [image.labels for image in images], [_reviewed(i) for i in images])


def put_aside(
    parent: Model,
    images: Sequence[TrainingImage],
    *,
    pixel_size: float | None,
    held_out: float,
    seed: int,
    allowance: float,
) -> tuple[list[TrainingImage], Proof]:
    """Split corrected images into those that teach and those that prove, with their reviewed pixels.

    Only images that ``parent`` has looked at can prove: it looks at them in random order, until ``allowance``
    seconds are over and they hold some cells.
    """
    found: dict[int, Labels] = {}
    start, cells = perf_counter(), 0
    for number in np.random.default_rng(seed).permutation(len(images))[:_MOST_IMAGES]:
        image = images[number]
        found[int(number)] = _find(parent, image, pixel_size)
        cells += int(np.count_nonzero(np.unique(image.labels[_reviewed(image)])))
        used = perf_counter() - start
        if used > allowance * (1 if cells >= _ENOUGH_CELLS else _MOST_DELAY):
            break
    labels, reviewed = [image.labels for image in images], [_reviewed(image) for image in images]
    size = measure_object_size([np.where(m, x, 0) for x, m in zip(labels, reviewed, strict=True)])
    learn, prove = split_corrections(
        labels, reviewed, held_out=held_out, cell_size=size or 1, seed=seed, eligible=list(found)
    )
    proving = [number for number in found if prove[number].any()]
    proof = Proof(
        [replace(images[number], reviewed=prove[number]) for number in proving],
        [found[number] for number in proving],
        pixel_size,
    )
    teaching = [replace(i, reviewed=mask) for i, mask in zip(images, learn, strict=True) if mask.any()]
    return teaching, proof


def _find(model: Model, image: TrainingImage, pixel_size: float | None) -> Labels:
    return model.predict(image.image, pixel_size=pixel_size).labels


def _reviewed(image: TrainingImage) -> NDArray[np.bool_]:
    return np.ones(image.labels.shape, bool) if image.reviewed is None else image.reviewed
