"""What is seen of a plane, segmented so that its cells are those of the plane segmented as a whole."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.base.arrays import Float32, PlaneBox, Span, slices
from napari_unet.core.image.blocks import Reader, Shape, grow_box, within
from napari_unet.core.image.normalise import find_limits, rescale
from napari_unet.core.image.resample import resampled
from napari_unet.core.image.survey import WINDOW

if TYPE_CHECKING:
    from napari_unet.nn.model import Model, Prediction

OnTile = Callable[[int, int], None]

_MARGIN = 2.0  # typical cells: how far one that is in view may reach beyond it
_TYPICAL = 32.0  # px, where a model does not say how large a typical cell is


def predict_view(
    model: Model,
    plane: NDArray[Any],
    box: PlaneBox,
    *,
    pixel_size: float | None = None,
    scale: float | None = None,
    on_tile: OnTile = lambda done, total: None,
) -> tuple[Prediction, PlaneBox]:
    """Return what a network draws in a `box` of a plane (Y, X, C) and around it, and the window that is.

    The plane's brightness is that of all of it, and the network sees what lies around the window, so that the
    cells in the box are those of the whole plane, seen at the same `scale`. Where it is None
    and pixel sizes do not tell, it is sought in the box with as much around it as tells.
    """
    from napari_unet.nn.model import Prediction

    shape: Shape = (plane.shape[0], plane.shape[1])
    limits = [find_limits(plane[..., channel]) for channel in range(plane.shape[-1])]

    def read(part: PlaneBox) -> Float32:
        return rescale(plane[slices(part)], limits)

    sample = _widen(box[0], shape[0]), _widen(box[1], shape[1])
    if scale is None:
        scale = _choose_scale(model, read, sample, pixel_size)
    margin = math.ceil(_MARGIN * (model.card.object_size or _TYPICAL) / scale)
    window = grow_box(box, margin, shape)
    seen = model.shape_seen(shape, scale)
    maps = resampled(_predicting(model, resampled(read, shape, seen), seen, on_tile), seen, shape)(window)
    return Prediction(maps, model.label(maps, scale), scale), window


def _widen(span: Span, size: int) -> Span:
    """Return a span of at least `WINDOW` px around another one, as far as the axis goes."""
    start = max(min(span[0], (sum(span) - WINDOW) // 2, size - WINDOW), 0)
    return start, min(max(span[1], start + WINDOW), size)


def _choose_scale(model: Model, read: Reader, sample: PlaneBox, pixel_size: float | None) -> float:
    if model.card.settles_scale(pixel_size):
        return model.card.image_scale(pixel_size)
    return model.predict(read(sample), pixel_size=pixel_size).scale


def _predicting(model: Model, read: Reader, shape: Shape, on_tile: OnTile) -> Reader:
    """Return a reader of the maps of a plane, of `shape` for the network, which predicts what is read."""

    def read_maps(part: PlaneBox) -> Float32:
        step = model.card.network.step
        (top, bottom), (left, right) = part
        window = (top // step * step, bottom), (left // step * step, right)
        size = (window[0][1] - window[0][0], window[1][1] - window[1][0])
        maps = np.empty((*size, model.card.network.classes), np.float32)
        for tile, values in model.predict_tiles(read, shape, on_tile, window):
            maps[within(tile.keep, window)] = values
        return maps[within(part, window)]

    return read_maps
