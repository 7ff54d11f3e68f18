"""Labels rendered as some microscope might show them: real shapes, drawn in a look made up by chance.

A network that has seen cells in many looks learns what a cell is, not what one stain looks like (domain
randomisation: Billot et al., SynthSeg, Medical Image Analysis 86, 2023). The looks follow what optics do:
bodies brighter or darker than their ground, rims and halos, relief as in DIC, membranes around empty
insides, grain, and light from out of focus.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.core.base import Float32, Float64
from napari_unet.core.cells import depth_in_pixels, number_cells
from napari_unet.core.image import normalise

_FAR = 24.0  # px


@dataclass(frozen=True, slots=True)
class _Shapes:
    """Cells (y, x), how deep in a cell or far from all each pixel lies, and how deep its cell is, in px."""

    labels: NDArray[np.int32]
    depth: Float64
    away: Float64
    radius: Float64


def restyle(labels: NDArray[np.int32], rng: np.random.Generator, channels: int = 1) -> Float32:
    """Return a normalised tile (y, x, channels) of the cells of ``labels`` (y, x) in a random look."""
    labels = number_cells(labels)
    inside = labels > 0
    depth = np.asarray(depth_in_pixels(labels))
    away = ndimage.distance_transform_edt(~inside) if inside.any() else np.full(labels.shape, _FAR)
    radius = _cell_radii(labels, depth)[labels]
    looks = (_draw_bodies, _draw_membranes, _draw_relief, _draw_phase)
    look = looks[rng.choice(len(looks), p=(0.3, 0.25, 0.2, 0.25))]
    image = look(rng, _Shapes(labels, depth, np.asarray(away), radius))
    image += rng.uniform(0, 0.25) * _noise(rng, labels.shape, rng.uniform(8, 40))
    if rng.random() < 0.3:  # light from out of focus
        image += rng.uniform(0.2, 0.8) * ndimage.gaussian_filter(image, rng.uniform(4, 12))
    image = ndimage.gaussian_filter(image, rng.uniform(0.3, 1.5))
    image += rng.uniform(0.01, 0.12) * rng.normal(size=labels.shape)
    tile = normalise(np.asarray(image, np.float32)[..., None])
    return np.repeat(tile, channels, axis=-1)


def _cell_radii(labels: NDArray[np.int32], depth: Float64) -> Float64:
    radii = np.ones(int(labels.max()) + 1)
    np.maximum.at(radii, labels.ravel(), depth.ravel())
    return radii


def _draw_bodies(rng: np.random.Generator, shapes: _Shapes) -> Float64:
    """Bodies on a ground, brighter or darker, flat or domed, each with a grain of its own strength."""
    tone = rng.normal(1.0, rng.uniform(0.05, 0.5), int(shapes.labels.max()) + 1).clip(0.15)[shapes.labels]
    dome = np.minimum(shapes.depth / (shapes.radius * rng.uniform(0.2, 1.0)), 1.0) ** rng.uniform(0.3, 1.0)
    grain = 1 + rng.uniform(0, 0.4) * _noise(rng, shapes.labels.shape, rng.uniform(0.7, 4))
    image = np.where(shapes.labels > 0, tone * dome * grain, 0.0)
    image += rng.uniform(0, 0.3) * _noise(rng, shapes.labels.shape, rng.uniform(1, 5)) * (shapes.labels == 0)
    return np.asarray(image * rng.choice([1.0, -1.0], p=(0.6, 0.4)))


def _draw_membranes(rng: np.random.Generator, shapes: _Shapes) -> Float64:
    """Rims around insides that may be as empty as the ground, bright (stained) or dark (electron density)."""
    width = rng.uniform(0.7, 2.5)
    strength = (1 + rng.uniform(0, 0.5) * _noise(rng, shapes.labels.shape, 6.0)).clip(0.1)
    rim = np.exp(-((np.where(shapes.labels > 0, shapes.depth - 1, shapes.away) / width) ** 2))
    fill = (
        rng.uniform(-0.1, 0.4)
        * rng.normal(1, 0.2, int(shapes.labels.max()) + 1)[shapes.labels]
        * (shapes.labels > 0)
    )
    grain = rng.uniform(0, 0.15) * _noise(rng, shapes.labels.shape, rng.uniform(0.7, 3))
    return np.asarray((strength * rim + fill + grain) * rng.choice([1.0, -1.0]))


def _draw_relief(rng: np.random.Generator, shapes: _Shapes) -> Float64:
    """Differential interference contrast: the slope of the optical thickness along one direction."""
    dome = np.minimum(shapes.depth / (shapes.radius * rng.uniform(0.3, 1.0)), 1.0) ** 0.5 * (
        shapes.labels > 0
    )
    thickness = shapes.radius * dome * rng.uniform(0.1, 0.4)
    thickness += (
        rng.uniform(0.2, 1.0)
        * _noise(rng, shapes.labels.shape, rng.uniform(1.5, 4))
        * (0.3 + (shapes.labels > 0))
    )
    angle = rng.uniform(0, 2 * np.pi)
    smooth = ndimage.gaussian_filter(thickness, rng.uniform(0.7, 1.5))
    down, right = np.gradient(smooth)
    return np.asarray(np.sin(angle) * down + np.cos(angle) * right)


def _draw_phase(rng: np.random.Generator, shapes: _Shapes) -> Float64:
    """Phase contrast: dark bodies with a bright halo, which is thickness less its own surroundings."""
    dome = np.minimum(shapes.depth / (shapes.radius * rng.uniform(0.2, 0.8)), 1.0) * (shapes.labels > 0)
    tone = rng.lognormal(0, 0.3, int(shapes.labels.max()) + 1)[shapes.labels]
    grain = 1 + rng.uniform(0.1, 0.6) * _noise(rng, shapes.labels.shape, rng.uniform(0.8, 3))
    phase = tone * dome * grain
    size = float(np.median(shapes.radius[shapes.labels > 0])) if (shapes.labels > 0).any() else 8.0
    ringed = phase - rng.uniform(0.6, 1.0) * ndimage.gaussian_filter(phase, rng.uniform(0.3, 1.0) * size)
    halo = rng.uniform(0, 0.8) * np.exp(-((shapes.away / rng.uniform(1.5, 4)) ** 2)) * (shapes.labels == 0)
    return np.asarray(halo - ringed)


def _noise(rng: np.random.Generator, shape: tuple[int, ...], sigma: float) -> Float64:
    """Smooth random field with zero mean and unit variance."""
    field = ndimage.gaussian_filter(rng.normal(size=shape), sigma, mode="wrap", truncate=3.0)
    return np.asarray((field - field.mean()) / max(float(field.std()), 1e-6))
