"""Random changes that keep a tile's meaning: where its pixels come from, and how bright they are.

Geometry is one coordinate field per tile - zoom, rotation, mirroring and the paper's elastic deformation
together - so that every pixel is interpolated once, straight from the source image.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.core.base import AugmentParams, Float32, Float64
from napari_unet.core.image import mirror, normalise

_CELL_EDGE = 1.5  # px over which a cell's own contrast begins


def elastic_displacement(
    shape: tuple[int, int], rng: np.random.Generator, *, std: float = 10.0, grid: int = 3
) -> Float64:
    """Return a smooth random displacement field (2, Y, X) in px for a tile of ``shape``.

    Vectors on a coarse ``grid`` x ``grid`` lattice that spans the tile are Gaussian with standard
    deviation ``std``; bicubic interpolation gives every pixel its own (Ronneberger et al. 2015, 3.1).
    """
    vectors = rng.normal(0, std, (2, grid, grid))
    rows, columns = (_bicubic(side, grid) for side in shape)
    return np.asarray(rows @ vectors @ columns.T)


@cache
def _bicubic(side: int, grid: int) -> Float64:
    """Return what each of ``grid`` points counts at each of ``side`` pixels (side, grid)."""
    positions = [np.linspace(0, grid - 1, side)]
    points = [ndimage.map_coordinates(one, positions, order=3, mode="nearest") for one in np.eye(grid)]
    return np.stack(points, axis=-1)


def tile_coordinates(
    centre: tuple[float, float],
    side: int,
    rng: np.random.Generator,
    params: AugmentParams,
) -> Float64:
    """Return the source position (2, side, side) of every pixel of an augmented tile.

    ``centre`` is in source pixels.
    """
    axis = np.arange(side) - (side - 1) / 2
    offsets = np.stack(np.meshgrid(axis, axis, indexing="ij"))
    if params.elastic_std > 0:
        offsets = offsets + elastic_displacement(
            (side, side), rng, std=params.elastic_std, grid=params.elastic_grid
        )
    matrix = np.eye(2)
    if params.rotate:
        angle = rng.uniform(0, 2 * np.pi)
        cos, sin = np.cos(angle), np.sin(angle)
        matrix = np.array([[cos, -sin], [sin, cos]]) @ np.diag([1.0, rng.choice([-1.0, 1.0])])
    zoom = np.exp(rng.uniform(-1, 1) * np.log(params.zoom))
    offsets = np.tensordot(matrix, offsets, axes=1) / zoom
    return offsets + np.array(centre)[:, None, None]


def warp_image(image: Float32, coordinates: Float64) -> Float32:
    """Sample an image (Y, X, C) at ``coordinates`` (2, y, x), linearly, mirrored beyond its edges."""
    lower = np.floor(coordinates).astype(np.intp)
    down, right = (coordinates - lower).astype(np.float32)[..., None]
    (top, bottom), (left, behind) = (
        (mirror(axis, size), mirror(axis + 1, size))
        for axis, size in zip(lower, image.shape[:2], strict=True)
    )
    above = image[top, left] * (1 - right) + image[top, behind] * right
    below = image[bottom, left] * (1 - right) + image[bottom, behind] * right
    return np.asarray(above * (1 - down) + below * down, np.float32)


def warp_labels(labels: NDArray[np.generic], coordinates: Float64) -> NDArray[np.generic]:
    """Sample labels, a mask or maps (Y, X, ...) at ``coordinates`` (2, y, x) by nearest neighbour."""
    rows, columns = (
        mirror(np.rint(axis).astype(np.intp), size)
        for axis, size in zip(coordinates, labels.shape[:2], strict=True)
    )
    return labels[rows, columns]


def change_grey_values(tile: Float32, rng: np.random.Generator, params: AugmentParams) -> Float32:
    """Return a normalised tile (y, x, C) with random contrast, polarity, shading, blur and noise."""
    tile = 1 - tile if rng.random() < params.invert else tile
    if params.contrast > 0:
        tile = _change_contrast(tile, rng, params.contrast)
    if params.shading > 0 and rng.random() < 0.5:
        tile = np.asarray(tile + _shading(tile.shape, rng, params.shading)[..., None], np.float32)
    if params.blur > 0 and rng.random() < 0.5:
        sigma = rng.uniform(0.3, params.blur)
        tile = np.asarray(ndimage.gaussian_filter(tile, (sigma, sigma, 0)), np.float32)
    if params.noise > 0 and rng.random() < 0.7:
        noise = rng.normal(0, rng.uniform(0, params.noise), tile.shape)
        tile = np.asarray(tile + noise, np.float32)
    return tile


def change_cell_contrast(
    tile: Float32, labels: NDArray[np.int32], rng: np.random.Generator, strength: float
) -> Float32:
    """Return a tile (y, x, C) in which each cell of ``labels`` (y, x) is fainter or brighter than it was.

    What a cell differs by from the background's median is multiplied by a factor of its own, between
    exp(-strength) and exp(strength / 2): faint cells lie beside bright ones. Without background the tile
    stays as it is.
    """
    background = labels == 0
    if not background.any():
        return tile
    level = np.median(tile[background], axis=0)
    factors = np.exp(rng.uniform(-1, 0.5, int(labels.max()) + 1) * strength)
    factors[0] = 1
    field = ndimage.gaussian_filter(factors[labels], _CELL_EDGE)[..., None]
    return np.asarray(level + (tile - level) * field, np.float32)


def blank_tile(shape: tuple[int, int, int], rng: np.random.Generator) -> Float32:
    """Return a normalised tile (y, x, C) of noise with a random grain: an image without any cell."""
    grain = rng.choice([0.0, rng.uniform(0.3, 3.0)])
    noise = rng.normal(size=shape) if rng.random() < 0.5 else rng.poisson(rng.uniform(0.2, 20), shape)
    return normalise(ndimage.gaussian_filter(np.asarray(noise, np.float32), (grain, grain, 0)))


def _change_contrast(tile: Float32, rng: np.random.Generator, strength: float) -> Float32:
    slope = np.exp(rng.uniform(-1, 1) * strength)
    offset = rng.uniform(-0.3, 0.3) * strength
    gamma = np.exp(rng.uniform(-1, 1) * strength)
    sign = np.sign(tile)
    return np.asarray(sign * np.abs(tile) ** gamma * slope + offset, np.float32)


def _shading(shape: tuple[int, ...], rng: np.random.Generator, strength: float) -> Float64:
    field = elastic_displacement((shape[0], shape[1]), rng, std=1.0, grid=3)[0]
    return field * (strength * rng.random() / max(float(np.abs(field).max()), 1e-6))
