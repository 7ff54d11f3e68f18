"""Training samples: random augmented tiles with their targets and per-pixel weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from skimage.transform import resize

from napari_unet.core.base import AugmentParams, Float32
from napari_unet.core.cells import number_cells, reviewed_weights, separation_weights, target_maps
from napari_unet.core.learning.augment import (
    blank_tile,
    change_cell_contrast,
    change_grey_values,
    tile_coordinates,
    warp_image,
    warp_labels,
)
from napari_unet.core.learning.restyle import restyle

BACKGROUND_DENSITY = 0.1


@dataclass(frozen=True, slots=True)
class TrainingImage:
    """A normalised image (Y, X, C) with labels (Y, X) and the pixels that may teach (Y, X), or all.

    Everything is at the network's scale. ``share`` says how often the image is drawn, compared with others
    of its size. ``maps`` (Y, X, maps), if given, are drawn instead of those that the labels say.
    """

    image: Float32
    labels: NDArray[np.int32]
    reviewed: NDArray[np.bool_] | None = None
    share: float = 1.0
    maps: Float32 | None = None

    def resized(self, scale: float) -> TrainingImage:
        """Return the image enlarged or shrunk by ``scale``; labels and mask by nearest neighbour."""
        if scale == 1:
            return self
        shape = tuple(max(1, round(side * scale)) for side in self.labels.shape)
        reviewed = self.reviewed
        return TrainingImage(
            resize_image(self.image, shape),
            np.asarray(_resize_nearest(self.labels, shape), np.int32),
            None if reviewed is None else np.asarray(_resize_nearest(reviewed, shape), bool),
            self.share,
            None if self.maps is None else resize_image(self.maps, shape),
        )


def mix(groups: Sequence[Sequence[TrainingImage]], weights: Sequence[float]) -> list[TrainingImage]:
    """Return the images of all groups, each group drawn as often as its weight says, whatever it holds."""
    mixed = []
    for images, weight in zip(groups, weights, strict=True):
        drawn = sum(np.sqrt(np.count_nonzero(_teaching(image))) for image in images)
        mixed += [replace(image, share=float(weight / drawn)) for image in images]
    return mixed


def resize_image(image: Float32, shape: tuple[int, ...]) -> Float32:
    """Resize an image (Y, X, C) to ``shape`` (Y, X), linearly, smoothed first where it shrinks."""
    shrinks = shape[0] < image.shape[0] or shape[1] < image.shape[1]
    return np.asarray(
        resize(image, shape, order=1, mode="reflect", anti_aliasing=shrinks, preserve_range=True), np.float32
    )


def _resize_nearest(array: NDArray[np.generic], shape: tuple[int, ...]) -> NDArray[np.generic]:
    rows, columns = (
        np.minimum(((np.arange(new) + 0.5) * old / new).astype(np.intp), old - 1)
        for new, old in zip(shape, array.shape, strict=True)
    )
    return array[np.ix_(rows, columns)]


@dataclass(frozen=True, slots=True)
class Batch:
    """Network input (B, y, x, C); targets and their weights (B, y, x, maps) in the last axis' two halves."""

    inputs: Float32
    targets: Float32


class Sampler:
    """Draws batches; the same seed and step always give the same batch, so that a resumed run goes on alike.

    Tile centres have the density of Falk et al. 2019: 1 on cells, 0.1 on background, 0 where nothing was
    reviewed. Pixels that were not reviewed weigh exactly 0. Targets are ``margin`` px smaller on each side
    than inputs, as an unpadded network's output is.
    """

    def __init__(
        self,
        images: Sequence[TrainingImage],
        *,
        outputs: tuple[str, ...],
        tile: int,
        batch: int,
        augment: AugmentParams,
        separation: tuple[float, float],
        seed: int,
        margin: int = 0,
    ) -> None:
        self.images = [image for image in images if image.reviewed is None or image.reviewed.any()]
        if not self.images:
            raise ValueError("no image has a reviewed pixel")
        self._outputs, self._tile, self._batch = outputs, tile, batch
        self._augment, self._separation, self._seed, self._margin = augment, separation, seed, margin
        self._truths: dict[int, NDArray[np.float16]] = {}
        areas = [np.count_nonzero(_teaching(image)) for image in self.images]
        share = np.sqrt(np.array(areas, float)) * [image.share for image in self.images]
        self._share = share / share.sum()

    def draw(self, step: int) -> Batch:
        """Return the batch of training step ``step``."""
        rng = np.random.default_rng([self._seed, step])
        tiles = [self._draw_tile(rng) for _ in range(self._batch)]
        return Batch(np.stack([x for x, _ in tiles]), np.stack([y for _, y in tiles]))

    def _draw_tile(self, rng: np.random.Generator) -> tuple[Float32, Float32]:
        number = int(rng.choice(len(self.images), p=self._share))
        source = self.images[number]
        where = tile_coordinates(_draw_centre(source, rng), self._tile, rng, self._augment)
        image = warp_image(source.image, where)
        truth = warp_labels(self._read_truth(number), where)
        if rng.random() < self._augment.blank:
            image, truth = blank_tile(image.shape, rng), _blank_truth(truth)
        elif source.reviewed is None and source.maps is None:
            image = self._change_cells(image, np.asarray(warp_labels(source.labels, where), np.int32), rng)
        image = change_grey_values(image, rng, self._augment)
        kept = slice(self._margin, self._tile - self._margin)
        return image, np.asarray(truth[kept, kept], np.float32)

    def _change_cells(self, image: Float32, labels: NDArray[np.int32], rng: np.random.Generator) -> Float32:
        if rng.random() < self._augment.restyle:
            return restyle(labels, rng, image.shape[-1])
        if self._augment.cell_contrast > 0 and rng.random() < 0.5:
            return change_cell_contrast(image, labels, rng, self._augment.cell_contrast)
        return image

    def _read_truth(self, number: int) -> NDArray[np.float16]:
        """Return targets and weights (Y, X, 2 maps) of an image, made when it is first drawn.

        Seen whole, a cell that a tile cuts off teaches its true distances.
        """
        if number not in self._truths:
            source = self.images[number]
            targets, weights = _teach(source, self._outputs, self._separation)
            self._truths[number] = np.concatenate([targets, weights], -1).astype(np.float16)
        return self._truths[number]


def _teach(
    source: TrainingImage, outputs: tuple[str, ...], separation: tuple[float, float]
) -> tuple[Float32, Float32]:
    """Return targets and weights (Y, X, maps) of an image."""
    if source.maps is not None:
        return source.maps, np.ones_like(source.maps)
    labels, reviewed = source.labels, source.reviewed
    certain = np.ones((*labels.shape, len(outputs)), np.float32)
    if reviewed is not None:
        certain = reviewed_weights(labels, reviewed, outputs)
        labels = np.where(reviewed, labels, 0)
    labels = number_cells(labels)
    weights = (1 + separation_weights(labels, *separation))[..., None] * certain
    return target_maps(labels, outputs), weights


def _blank_truth(truth: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return the targets of a tile without any cell, and equal weights."""
    blank = np.zeros_like(truth)
    blank[..., truth.shape[-1] // 2 :] = 1
    return blank


def _teaching(image: TrainingImage) -> NDArray[np.bool_]:
    return image.reviewed if image.reviewed is not None else np.ones(image.labels.shape, bool)


def _draw_centre(source: TrainingImage, rng: np.random.Generator) -> tuple[float, float]:
    """Rejection sampling: no image-sized density map is kept, and few draws are needed."""
    teaching = source.reviewed
    height, width = source.labels.shape
    for _ in range(1000):
        row, column = int(rng.integers(height)), int(rng.integers(width))
        if teaching is not None and not teaching[row, column]:
            continue
        if source.labels[row, column] or rng.random() < BACKGROUND_DENSITY:
            return float(row), float(column)
    candidates = np.argwhere(_teaching(source))
    row, column = candidates[rng.integers(len(candidates))]
    return float(row), float(column)
