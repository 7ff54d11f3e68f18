"""A loaded model: from an image plane to its output maps, tile by tile."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.base import VIEWS, Float32, InputError, ModelCard, NetworkParams, PlaneBox, slices
from napari_unet.core.cells import label_instances, measure_agreement
from napari_unet.core.image import (
    Reader,
    Shape,
    Tile,
    TilePlan,
    choose_window,
    clip_tile,
    fits_range,
    halve_tile,
    measure_confidence,
    move_tile,
    normalise,
    plan_tiles,
    read_boxes,
    read_tile,
    resampled,
    stitch,
    within,
)
from napari_unet.nn.backend import Forward, compile_forward, fast_policy, keras
from napari_unet.nn.model_file import hash_file, load_network, save_network
from napari_unet.nn.unet import context

TILE_AREA = 1800**2
"""Pixels that the network sees at most at once; its features take about 200 bytes for each."""
BORDER = 32
"""Mirrored pixels around a plane."""
_SAME_SCALE = 0.1
_SAMPLE = 512
"""Side of the sample in which the scale is sought, px."""
_FAVOUR = 1.3
"""How much more a network's own scale counts: others have to be clearly better, and an enlarged image takes
four times as long."""

logger = logging.getLogger("napari_unet")


@dataclass(frozen=True, slots=True)
class Prediction:
    """Output maps (Y, X, maps) in [0, 1] and cells (Y, X) of an image that the network saw at ``scale``."""

    maps: Float32
    labels: NDArray[np.int32]
    scale: float


@dataclass(frozen=True)
class Model:
    """A network with its card, ready to predict; ``sha256`` identifies the file it came from.

    Maps are the mean over the first ``views`` of the eight turned and mirrored views of a tile.
    """

    network: keras.Model
    card: ModelCard
    sha256: str = ""
    path: Path | None = None
    views: int = 1

    @cached_property
    def _forward(self) -> Forward:
        return compile_forward(self.network)

    def with_views(self, views: int) -> Model:
        """Return the model with another number of views, 1 to 8; InputError where it cannot have it."""
        if not 1 <= views <= VIEWS:
            raise InputError(f"A model cannot average {views} views: choose 1 to {VIEWS}.")
        if views > 1 and self.card.network.padding == "valid":
            raise InputError(f"{self.card.name} has no padding, so it cannot average views: choose 1.")
        return replace(self, views=views)

    def predict_maps(
        self,
        plane: Float32,
        *,
        scale: float = 1.0,
        on_tile: Callable[[int, int], None] = lambda done, total: None,
    ) -> Float32:
        """Return the output maps (Y, X, maps) in [0, 1] of a normalised plane (Y, X, C).

        The plane is resized by ``scale`` for the network and the maps are resized back. ``on_tile`` is called
        with the finished and all tiles; what it raises ends the prediction.
        """
        shape: Shape = (plane.shape[0], plane.shape[1])
        return self.read_maps(read_boxes(plane), shape, scale, on_tile)(((0, shape[0]), (0, shape[1])))

    def read_maps(
        self,
        read: Reader,
        shape: Shape,
        scale: float = 1.0,
        on_tile: Callable[[int, int], None] = lambda done, total: None,
    ) -> Reader:
        """Return a reader that predicts the output maps (y, x, maps) of each box it is asked for.

        ``read`` gives normalised pixels of a plane of ``shape`` (Y, X). The network sees the plane at
        ``scale``, each box with all the context that it can use; the maps are resized back.
        """
        seen, step = self.shape_seen(shape, scale), self.card.network.step
        read_seen = resampled(read, shape, seen)

        def predict(box: PlaneBox) -> Float32:
            (top, bottom), (left, right) = box
            window = (top // step * step, bottom), (left // step * step, right)
            tiles = self.predict_tiles(read_seen, seen, on_tile, window)
            maps = stitch(window, tiles, self.card.network.classes)
            return maps[within(box, window)]

        return resampled(predict, seen, shape)

    def shape_seen(self, shape: Shape, scale: float) -> Shape:
        """Return the shape (Y, X) that a plane of ``shape`` has for the network, resized by ``scale``."""
        if abs(scale - 1) < _SAME_SCALE:
            return shape
        return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))

    def plan_tiles(self, shape: Shape) -> TilePlan:
        """Return the tiles in which the network sees a plane of ``shape`` (Y, X), which is at its scale."""
        return plan_network_tiles(self.card.network, shape)

    def predict_tiles(
        self,
        read: Reader,
        shape: Shape,
        on_tile: Callable[[int, int], None] = lambda done, total: None,
        window: PlaneBox | None = None,
    ) -> Iterator[tuple[Tile, Float32]]:
        """Return the maps (y, x, maps) of the kept part of every tile of a plane of ``shape`` (Y, X).

        ``read`` gives the plane's normalised pixels at the network's scale. Where the memory does not suffice
        for a tile, it and the rest are halved; InputError where nothing is left to halve. Only ``window`` is
        predicted, if given, which has to begin on the network's pooling grid.
        """
        (top, bottom), (left, right) = window or ((0, shape[0]), (0, shape[1]))
        plan = self.plan_tiles((bottom - top, right - left))
        waiting, done = [move_tile(tile, (top, left)) for tile in plan.tiles], 0
        while waiting:
            tile = waiting[0]
            try:
                maps = self._predict_tile(read, shape, tile)
            except MemoryError as error:
                waiting = self._halve_tiles(waiting, plan.halo, error)
                continue
            yield tile, maps
            del waiting[0]
            done += 1
            on_tile(done, done + len(waiting))

    def _predict_tile(self, read: Reader, shape: Shape, tile: Tile) -> Float32:
        """Return the maps (y, x, maps) of the part of a tile that is kept."""
        network = self.card.network
        if network.padding == "same":
            tile = clip_tile(tile, shape, border=BORDER, multiple=network.step)
        pixels = read_tile(read, shape, tile)
        total = self._forward(pixels[None])[0]
        for number in range(1, self.views):
            view = np.ascontiguousarray(_turn(pixels, number))
            total = total + _turn_back(self._forward(view[None])[0], number)
        lost = (pixels.shape[0] - total.shape[0]) // 2
        kept = [
            slice(first - start - lost, last - start - lost)
            for (start, _), (first, last) in zip(tile.read, tile.keep, strict=True)
        ]
        maps = total[kept[0], kept[1]]
        return maps if self.views == 1 else np.asarray(maps / self.views, np.float32)

    def _halve_tiles(self, tiles: list[Tile], halo: tuple[int, int], error: MemoryError) -> list[Tile]:
        halves = [half for tile in tiles for half in halve_tile(tile, halo, self.card.network.step)]
        if not halves:
            raise InputError(
                "There is not enough memory for even a small part of the image: close other programs, or "
                "choose a smaller model."
            ) from error
        logger.warning("The memory does not suffice for a tile: going on with tiles of half its side.")
        return halves

    def segment_plane(
        self,
        plane: NDArray[np.generic],
        *,
        pixel_size: float | None = None,
        on_tile: Callable[[int, int], None] = lambda done, total: None,
    ) -> NDArray[np.int32]:
        """Return the cells (Y, X) of a raw plane (Y, X, C) with ``pixel_size`` in µm, if known."""
        return self.predict(normalise(plane), pixel_size=pixel_size, on_tile=on_tile).labels

    def predict(
        self,
        image: Float32,
        *,
        pixel_size: float | None = None,
        scale: float | None = None,
        on_tile: Callable[[int, int], None] = lambda done, total: None,
    ) -> Prediction:
        """Return what the network draws in a normalised plane (Y, X, C) with ``pixel_size`` in µm, if known.

        It sees the plane at ``scale``, or else at the one that `find_scale` returns.
        """
        scale = self.find_scale(image, pixel_size) if scale is None else scale
        return self._predict(image, scale, on_tile)

    def find_scale(self, image: Float32, pixel_size: float | None = None) -> float:
        """Return the scale at which the network has to see a normalised image (Y, X, C).

        Pixel sizes tell, where both are known and less than 3x apart, or where cells of a size that the
        network has learnt bear them out. Else it looks at a sample of the image at its own scale, shrunk to a
        half and a quarter, and at a part of it enlarged to twice the size. At the right scale it is sure of
        what it sees, cells are of a size that it has learnt, and they are the same at the next scale.
        """
        card, told = self.card, self.card.image_scale(pixel_size)
        if card.size_range is None or card.settles_scale(pixel_size):
            return told
        sample = image[slices(choose_window(image, _SAMPLE))]
        if card.knows_scale(pixel_size) and self.knows_size(self._predict(sample, told)):
            return told
        part = slices(choose_window(sample, _SAMPLE // 2))
        enlarged = self._predict(sample[part], 2 * card.scale)
        looks = [self._predict(sample, factor * card.scale) for factor in (1, 1 / 2, 1 / 4)]
        pairs = [(enlarged.labels, looks[0].labels[part]), *pairwise(look.labels for look in looks)]
        first, second, third = (measure_agreement(*pair) for pair in pairs)
        agreements = (first, _FAVOUR * (first + second) / 2, (second + third) / 2, third)
        marks = [
            (self.knows_size(look), agreement * self._measure_confidence(look), look.scale)
            for look, agreement in zip([enlarged, *looks], agreements, strict=True)
        ]
        fits, _, scale = max(marks)
        return scale if fits or not card.knows_scale(pixel_size) else told

    def question_pixels(self, prediction: Prediction, pixel_size: float | None) -> str:
        """Return a sentence that ``pixel_size`` (µm, or None) is not borne out by the cells; else none."""
        if self.card.believes(pixel_size) or self.knows_size(prediction):
            return ""
        return self.card.explain_pixels(pixel_size)

    def knows_size(self, prediction: Prediction) -> bool:
        """Whether cells were found, of a size that the network has learnt."""
        return fits_range(prediction.labels, prediction.scale, self.card.size_range)

    def _measure_confidence(self, prediction: Prediction) -> float:
        outputs = self.card.outputs
        return measure_confidence(prediction.maps[..., outputs.index("foreground")])

    def _predict(
        self,
        image: Float32,
        scale: float,
        on_tile: Callable[[int, int], None] = lambda done, total: None,
    ) -> Prediction:
        return self.draw(self.predict_maps(image, scale=scale, on_tile=on_tile), scale)

    def draw(self, maps: Float32, scale: float) -> Prediction:
        """Return output maps (Y, X, maps) of an image seen at ``scale`` with the cells that they draw."""
        return Prediction(maps, self.label(maps, scale), scale)

    def label(self, maps: Float32, scale: float = 1.0) -> NDArray[np.int32]:
        """Return the cells (Y, X) that output maps (Y, X, maps) of an image seen at ``scale`` draw."""
        size = self.card.object_size / scale if self.card.object_size else None
        return label_instances(maps, self.card.outputs, self.card.instances, object_size=size)

    def save(self, path: Path) -> None:
        """Write the model to a ``.keras`` file, all or nothing."""
        save_network(self.network, self.card, path)


def plan_network_tiles(network: NetworkParams, shape: Shape) -> TilePlan:
    """Return the tiles in which a network sees a plane of ``shape`` (Y, X), which is at its scale."""
    valid = network.padding == "valid"
    halo = (92, 96) if valid else context(network)
    border = max(halo) if valid else BORDER
    return plan_tiles(shape, area=TILE_AREA, halo=halo, multiple=network.step, border=border)


def _turn(plane: Float32, number: int) -> Float32:
    """Return view number 0 to 7 of a plane (Y, X, C): turned, and the last four mirrored."""
    turned = np.rot90(plane, number % 4)
    return turned[:, ::-1] if number >= 4 else turned


def _turn_back(plane: Float32, number: int) -> Float32:
    return np.rot90(plane[:, ::-1] if number >= 4 else plane, -(number % 4))


def load_model_file(path: Path, *, dtype: str | None = None) -> Model:
    """Load a model file for prediction, in the precision that is fastest here unless ``dtype`` is given."""
    network, card = load_network(path, dtype=dtype or fast_policy())
    return Model(network, card, hash_file(path), path)
