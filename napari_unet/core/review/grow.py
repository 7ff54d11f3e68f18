"""The cell that is seen at one point of an image: its outline, from the pixels around that point alone.

Rays go out from the point, and the outline is the closed path across them that costs least: it likes edges,
and to have what resembles the middle inside and what resembles the surroundings outside. A linear
discriminant of the channels (Fisher, Annals of Eugenics 7, 1936) says what resembles which, so that cells
may be bright or dark, in one channel or several; where it hardly can, as in DIC, roughness is a channel, too.
The path is found by dynamic programming in polar coordinates, as by Baggett et al. (Cytometry A 67, 2005),
several times: each time from the middle, and by the statistics, of the outline found before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import label as label_pieces
from skimage.transform import downscale_local_mean

from napari_unet.core.base import Float64, Labels, Mask, slices
from napari_unet.core.cells import measure_cells
from napari_unet.core.review.edits import Change
from napari_unet.core.review.rays import STEPS, Rays, find_path

Point = tuple[float, float]
Read = Callable[[tuple[tuple[int, int], tuple[int, int]]], NDArray[np.generic]]

SIZES = (15.0, 30.0, 60.0, 120.0)
"""Diameters in px that a cell may have where there is no other one: what stands out most is taken."""
AROUND = 1.6
"""How far around a point, or a cell, is looked, in parts of that size."""
REACH = 1.3
"""How far from its middle a cell may reach, in the same parts."""
FINE = 32
"""Px that a typical cell is across at least, where a large one is looked at in coarser pixels."""
ROUNDS = 4
ALIKE = 6.0
"""Separation (squared Mahalanobis distance) of cell and surroundings below which roughness is looked at."""
SAME = 0.9
"""The IoU with the outline that is there from which another one is looked for."""
DISTINCT = 0.6
"""Separation below which there is no cell, but noise: in nine of ten noise images it is less."""
CLEAR = 3.0
"""The same where a cell's size is not known: the smaller a piece of noise, the more it may stand out."""
MOST = 1.1
"""What reaches so far from its middle, in parts of the size, is surroundings and no cell."""

_SMOOTHING, _ROUGHNESS, _EDGE, _BAND = 0.03, 0.05, 0.08, 0.08  # in parts of the size, as all below
_CORE, _RIM, _BESIDE = 0.2, 0.75, 1.5  # where a cell is, and is not, to begin with; what is beside it
_AREA = 0.15  # how deep what resembles the cell weighs as much as an edge
_SURE = 0.15  # an outline that is there may be wrong by so much
_EVEN, _GENEROUS = 0.3, 0.05  # below what share of the range shades are told apart no better
_RIDGE = 0.05
_OTHER_CELL = 0.5  # what a border with another cell counts, of an edge
_LOYALTY = 2.0  # to the outline that is there
_GROWTH = 1.0
_FORBIDDEN = 5.0
_ENOUGH = 20  # px to tell how something looks


def grow_at(plane: Labels, read: Read, point: Sequence[float], ids: Iterator[int]) -> Change | None:
    """Draw the cell that is seen at a point (row, column) of a plane, or draw the cell that is there anew.

    `read` returns the pixels (Y, X, C) of a box of the image. A new cell takes the next of `ids`; other cells
    keep their pixels. None where no cell is seen.
    """
    at = [int(np.floor(place + 0.5)) for place in point]
    if not all(0 <= place < side for place, side in zip(at, plane.shape, strict=True)):
        return None
    cell, (_, areas) = int(plane[*at]), measure_cells(plane)
    size = float(2 * np.sqrt(np.median(areas) / np.pi)) if areas.size else None
    here = np.nonzero(plane == cell) if cell else np.reshape(at, (2, 1))
    room = AROUND * (size or SIZES[-1])
    rows, columns = (
        (max(0, int(places.min() - room)), min(side, int(places.max() + room) + 1))
        for places, side in zip(here, plane.shape, strict=True)
    )
    box = (rows, columns)
    labels = plane[slices(box)].copy()
    mask = grow_cell(read(box), labels, (at[0] - box[0][0], at[1] - box[1][0]), size)
    if mask is None:
        return None
    if cell:
        labels[labels == cell] = 0
    labels[mask] = cell or next(ids)
    return Change.between(plane, box, labels)


def grow_cell(
    pixels: NDArray[np.generic], labels: Labels, point: tuple[int, int], size: float | None
) -> Mask | None:
    """Return the cell (Y, X) that is seen at a point (row, column) of some pixels (Y, X, C), None if none is.

    `labels` (Y, X) are the cells known: of that under the point the outline is a first guess, to be replaced
    by another one; the rest is left alone. `size` is a typical cell's diameter in px, None where not known.
    """
    own = (labels == labels[point]) & (labels != 0)
    free = (labels == 0) | own
    sizes = SIZES if size is None else (float(np.sqrt(size * _diameter(own))) if own.any() else size,)
    least = DISTINCT if size is not None else CLEAR
    found = [pair for one in sizes if (pair := _find(pixels, free, own, point, one)) is not None]
    strength, mask = max(found, key=lambda pair: pair[0], default=(0.0, None))
    return mask if strength >= least or own.any() else None  # where there was a cell, one has been seen


def _find(
    pixels: NDArray[np.generic], free: Mask, own: Mask, point: tuple[int, int], size: float
) -> tuple[float, Mask] | None:
    """Return how far the cell of about some size at a point stands out, and where it is."""
    step = max(1, round(size / FINE))
    room = math.ceil(AROUND * size)
    cut = tuple(
        slice(max(0, int(places.min()) - room), int(places.max()) + room + 1)
        for places in (np.nonzero(own) if own.any() else np.reshape(point, (2, 1)))
    )
    at = (point[0] - cut[0].start, point[1] - cut[1].start)
    scene = Scene.look(pixels[cut], free[cut], own[cut], at, size, step)
    found = scene.find_cell()
    if own.any() and (found is None or scene.is_known(found[1])):
        other = scene.find_cell(generous=True)
        found = found if other is None or scene.is_known(other[1]) else other
    if found is None:
        return None
    mask = np.zeros(free.shape, np.bool_)
    mask[cut] = _enlarge(found[1], step, free[cut].shape) > 0.5
    tidied = _tidy(mask, free)
    return (found[0], tidied) if tidied is not None else None


@dataclass(frozen=True, slots=True)
class Scene:
    """Some pixels, perhaps coarser ones: which are `free`, and where a cell is known to be, `old`.

    `shades` (Y, X, C) are the channels, smoothed, from 0 to 1; `rough` (Y, X, 1) is high where there is
    texture. `centre` is where to begin, `size` a typical cell's diameter.
    """

    shades: Float64
    rough: Float64
    free: Mask
    old: Mask
    centre: Point
    size: float

    @classmethod
    def look(
        cls,
        pixels: NDArray[np.generic],
        free: Mask,
        old: Mask,
        point: tuple[int, int],
        size: float,
        step: int,
    ) -> Scene:
        """Look at pixels (Y, X, C) by squares of `step` px."""
        size /= step
        coarse = _shrink(np.nan_to_num(pixels.astype(np.float64)), step)
        low, high = np.percentile(coarse, [0.5, 99.5], axis=(0, 1))
        scaled = (coarse - low) / np.maximum(high - low, np.finfo(float).tiny)
        blur = max(0.7, _SMOOTHING * size)
        shades = np.clip(ndimage.gaussian_filter(scaled, (blur, blur, 0)), 0, 1)
        tone = np.log(np.clip(scaled, 0, None) + _EVEN).mean(axis=-1)
        slopes = ndimage.gaussian_gradient_magnitude(tone, max(1.0, _SMOOTHING * size))
        rough = ndimage.gaussian_filter(slopes, max(1.0, _ROUGHNESS * size))[..., None]
        small = _shrink(old[..., None].astype(float), step)[..., 0] > 0.5
        centre = (point[0] + 0.5) / step - 0.5, (point[1] + 0.5) / step - 0.5
        if small.any():
            centre = _middle(small)
        clear = _shrink(free[..., None].astype(float), step)[..., 0] > 0.5
        return cls(shades, _standardise(rough), clear, small, centre, size)

    def find_cell(self, *, generous: bool = False) -> tuple[float, Mask] | None:
        """Return how far the cell in the middle stands out, and its pixels; None where none is seen.

        A generous outline takes in what resembles the surroundings rather than the middle, but differs.
        """
        tones = _standardise(self._spread_shades() if generous else np.log(self.shades + _EVEN))
        centre, cell, strength, alike = self.centre, self.old, 0.0, False
        inside, outside = self._guess()
        for _ in range(ROUNDS):
            likeness, strength = tell_apart(tones, inside, outside)
            if alike := strength < ALIKE:
                both = np.concatenate([tones, self.rough], axis=-1)
                likeness, strength = tell_apart(both, inside, outside)
            rays = Rays(centre, REACH * self.size)
            path = find_path(self._price(rays, likeness, tones if alike else None))
            cell = rays.fill(path, self.free.shape) & self.free
            if not cell.any():
                return None
            centre = _middle(cell)
            inside, outside = cell.astype(np.float64), self._beside(cell, centre)
        if not self.old.any() and self._away(centre)[cell].max() > MOST * self.size:
            return None
        if alike:
            return strength, cell
        likeness, _ = tell_apart(tones if generous else _standardise(self.shades), inside, outside)
        band = _BAND * self.size
        core, near = _depth(cell) > band, ndimage.distance_transform_edt(~cell) <= band
        return strength, core | (near & self.free & (likeness > 0))

    def is_known(self, cell: Mask) -> bool:
        """Whether the cell that was there is nearly the same."""
        common = np.count_nonzero(cell & self.old)
        return bool(common >= SAME * (np.count_nonzero(cell) + np.count_nonzero(self.old) - common))

    def _spread_shades(self) -> Float64:
        """Return shades of which those near the surroundings' differ more, as the surroundings are dark."""
        inside, outside = self._guess()
        brightness = self.shades.mean(axis=-1)
        is_dark = _average(brightness, inside) < _average(brightness, outside)
        return np.log((1 - self.shades if is_dark else self.shades) + _GENEROUS)

    def _guess(self) -> tuple[Float64, Float64]:
        """Return weights (Y, X) of what lies inside and outside for all that is known to begin with."""
        away = self._away(self.centre)
        if self.old.any():
            sure = max(1.0, _SURE * self.size)
            inside = _depth(self.old) > sure
            far = ndimage.distance_transform_edt(~self.old) > sure
            outside = self.free & far & (away < AROUND * self.size)
            inside = inside if inside.sum() > 4 else self.old
            outside = outside if outside.sum() >= _ENOUGH else self.free & ~self.old
            return inside.astype(np.float64), outside.astype(np.float64)
        core = np.exp(-0.5 * (away / (_CORE * self.size)) ** 2) * self.free
        for radius in (_RIM, 1.5 * _CORE, 0.0):
            outside = self.free & (away > radius * self.size)
            if outside.sum() >= _ENOUGH:
                break
        return core, outside.astype(np.float64)

    def _beside(self, cell: Mask, centre: Point) -> Float64:
        outside = self.free & ~cell
        near = outside & (self._away(centre) < _BESIDE * self.size)
        return (near if near.sum() >= _ENOUGH else outside).astype(np.float64)

    def _away(self, centre: Point) -> Float64:
        rows, columns = np.ogrid[: self.free.shape[0], : self.free.shape[1]]
        return np.hypot(rows - centre[0], columns - centre[1])

    def _price(self, rays: Rays, likeness: Float64, tones: Float64 | None) -> Float64:
        """Return what it costs a path to cross each ray at each step."""
        values, clear = rays.sample(likeness), rays.count_clear(self.free)[:, None]
        steps, radii = np.arange(1, STEPS + 1), rays.radii
        width = max(1, round(_EDGE * self.size / rays.step))
        allowed = (steps <= clear) | (steps == 1)
        edge = _scale(_contrast(values, width), allowed)
        if tones is not None:
            either = np.abs(_scale(_contrast(rays.sample(tones.mean(axis=-1)), width), allowed))
            edge = np.maximum(edge / 2, 0.8 * either)
            edge = edge + _GROWTH * np.minimum(steps * rays.step / self.size, 0.6)
        edge = np.where((steps == clear) & (clear < STEPS), np.maximum(edge, _OTHER_CELL), edge)
        if self.old.any():
            off = np.where(self.old, _depth(self.old), ndimage.distance_transform_edt(~self.old))
            edge = edge - _LOYALTY * rays.sample(off) / self.size
        gain = np.where(steps <= clear, np.clip(values, -1, 1) * radii / rays.reach, 0)
        area = np.cumsum(gain, axis=1) * rays.step / (_AREA * self.size)
        return np.where(allowed, -edge - area, _FORBIDDEN)


def tell_apart(channels: Float64, inside: Float64, outside: Float64) -> tuple[Float64, float]:
    """Return how much pixels (Y, X, C) resemble some (about 1) or others (about -1), how far they differ.

    Both are given by weights (Y, X). How far is the squared Mahalanobis distance of their means.
    """
    means, spread = [], _RIDGE * np.eye(channels.shape[-1])
    for weights in (inside, outside):
        shares = weights / max(float(weights.sum()), 1e-9)
        mean = np.tensordot(shares, channels, 2)
        means.append(mean)
        off = channels - mean
        spread += np.einsum("yx,yxi,yxj->ij", shares, off, off) / 2
    direction = np.linalg.solve(spread, means[0] - means[1])
    distance = float(direction @ (means[0] - means[1]))
    middle = direction @ (means[0] + means[1]) / 2
    return 2 * (channels @ direction - middle) / max(distance, 1e-6), distance


def _contrast(values: Float64, width: int) -> Float64:
    """Return by how much rays (ANGLES, STEPS) fall behind each step: the means of `width` steps compared."""
    sums = np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1)
    at = np.arange(1, STEPS + 1)
    first, last = np.maximum(at - width, 0), np.minimum(at + width, STEPS)
    before = (sums[:, at] - sums[:, first]) / (at - first)
    behind = (sums[:, last] - sums[:, at]) / np.maximum(last - at, 1)
    return np.where(last > at, before - behind, before) / 2


def _scale(values: Float64, allowed: Mask) -> Float64:
    return np.clip(values / (np.percentile(np.abs(values[allowed]), 98) + 1e-9), -1, 1)


def _average(values: Float64, weights: Float64) -> float:
    return float((values * weights).sum() / max(float(weights.sum()), 1e-9))


def _standardise(channels: Float64) -> Float64:
    return (channels - channels.mean(axis=(0, 1))) / (channels.std(axis=(0, 1)) + 1e-9)


def _shrink(image: Float64, step: int) -> Float64:
    """Return the means (Y, X, C) of squares of `step` px; the last ones go on as the image ends."""
    wide = np.pad(image, [(0, -side % step) for side in image.shape[:2]] + [(0, 0)], mode="edge")
    return np.asarray(downscale_local_mean(wide, (step, step, 1)))


def _enlarge(mask: Mask, step: int, shape: tuple[int, ...]) -> Float64:
    """Return how much of each pixel of a plane of this shape is in a mask of coarser pixels."""
    if step == 1:
        return mask.astype(float)
    wide = np.pad(mask.astype(float), 1, mode="edge")
    large = ndimage.zoom(wide, step, order=1, grid_mode=True, mode="nearest")
    return np.asarray(
        ndimage.gaussian_filter(large, step / 2)[step : step + shape[0], step : step + shape[1]]
    )


def _tidy(mask: Mask, free: Mask) -> Mask | None:
    """Return the largest piece of a mask without holes, as far as it is free."""
    pieces = label_pieces(mask & free, connectivity=1)
    areas = np.bincount(pieces.ravel())
    areas[0] = 0
    return ndimage.binary_fill_holes(pieces == areas.argmax()) & free if areas.any() else None


def _middle(mask: Mask) -> Point:
    """Return the centre of mass of a mask where it is inside, else its deepest point."""
    row, column = ndimage.center_of_mass(mask)
    if mask[round(row), round(column)]:
        return float(row), float(column)
    deepest, there = np.unravel_index(int(_depth(mask).argmax()), mask.shape)
    return float(deepest), float(there)


def _depth(mask: Mask) -> Float64:
    """Return how deep in px the pixels of a mask lie in it; beyond the plane there is none of it."""
    return np.asarray(ndimage.distance_transform_edt(np.pad(mask, 1)))[1:-1, 1:-1]


def _diameter(mask: Mask) -> float:
    return float(2 * np.sqrt(np.count_nonzero(mask) / np.pi))
