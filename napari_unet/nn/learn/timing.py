"""How long a network takes here: the pixels that it has to look at, times the seconds that one takes."""

from __future__ import annotations

from time import perf_counter

import numpy as np

from napari_unet.core.base import FineTuneParams, ModelCard
from napari_unet.core.image import count_read
from napari_unet.nn import BORDER, Model, plan_network_tiles

_SIDE = 256
_STEP = 4.3  # forward passes that a weight update takes: forward, backward, drawing tiles, Adam


def count_pixels(
    card: ModelCard, shape: tuple[int, ...], pixel_size: float | None = None, *, at: float | None = None
) -> int:
    """Return how many pixels, halos included, the network sees of a plane (Y, X) with ``pixel_size`` in µm.

    It sees the plane at the scale ``at``, if given.
    """
    scale = card.image_scale(pixel_size) if at is None else at
    rows, columns = (max(1, round(side * scale)) for side in shape)
    plan = plan_network_tiles(card.network, (rows, columns))
    return count_read(plan, border=BORDER, multiple=card.network.step)


def measure_pace(model: Model) -> float:
    """Return the seconds per pixel that a network takes on this machine, with what else runs there now."""
    plane = np.zeros((_SIDE, _SIDE, model.card.network.channels), np.float32)
    start = perf_counter()
    model.predict_maps(plane)
    return (perf_counter() - start) / count_pixels(model.card, plane.shape[:2], at=1.0)


def estimate_step(model: Model) -> float:
    """Return the seconds that a step of fine-tuning will take on this machine, judged by predictions."""
    params = FineTuneParams()
    pace = min(measure_pace(model) for _ in range(2))
    return _STEP * pace * params.batch * params.tile**2
