"""Plane outlines of cells: drawn by chance, set side by side, moved, divided and turned into labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage
from skimage.measure import regionprops

from napari_unet.core.base import Float64, Labels

Window = tuple[slice, slice]
Grid = tuple[Float64, Float64]


@dataclass(frozen=True, slots=True)
class Outline:
    """A closed curve: an ellipse (radii in pixels, turned by `angle`) with a few smooth dents."""

    centre: tuple[float, float]
    radii: tuple[float, float]
    angle: float
    dents: tuple[tuple[float, float], ...]  # amplitude and phase of the second, third ... harmonic

    @property
    def size(self) -> float:
        """Radius of the disc of the same area, in pixels."""
        return float(np.sqrt(self.radii[0] * self.radii[1]))

    def window(self, shape: tuple[int, int], bend: float = 0.0) -> Window:
        """Where in a field of `shape` the object can show, if the grid is bent by up to `bend` pixels."""
        reach = 1.35 * max(self.radii) + 2 + bend
        low = [int(np.clip(c - reach, 0, n)) for c, n in zip(self.centre, shape, strict=True)]
        high = [int(np.clip(c + reach + 1, 0, n)) for c, n in zip(self.centre, shape, strict=True)]
        return slice(low[0], high[0]), slice(low[1], high[1])

    def local(self, rows: Float64, columns: Float64) -> tuple[Float64, Float64, Float64]:
        """Coordinates in which the ellipse is the unit circle, and depth: 0 at the centre, 1 on the curve."""
        y, x = rows - self.centre[0], columns - self.centre[1]
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        v, u = (y * cosine - x * sine) / self.radii[0], (y * sine + x * cosine) / self.radii[1]
        theta = np.arctan2(v, u)
        radius = np.ones_like(theta)
        for harmonic, (amplitude, phase) in enumerate(self.dents, start=2):
            radius += amplitude * np.cos(harmonic * theta + phase)
        return v, u, np.hypot(v, u) / radius


def anywhere(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[float, float]:
    """A random point of a field of `shape`."""
    return float(rng.uniform(0, shape[0])), float(rng.uniform(0, shape[1]))


def pixel_grid(shape: tuple[int, int]) -> Grid:
    """Row and column of every pixel."""
    rows, columns = np.indices(shape, dtype=np.float64)
    return rows, columns


def draw_outline(
    rng: np.random.Generator, centre: tuple[float, float], radius: float, aspect: float
) -> Outline:
    """A random outline: `radius` is the mean in pixels, `aspect` the largest ratio of length to width."""
    size, stretch = radius * rng.lognormal(0, 0.18), np.sqrt(rng.uniform(1.0, aspect))
    dents = tuple((float(rng.normal(0, a)), float(rng.uniform(0, 2 * np.pi))) for a in (0.06, 0.05, 0.025))
    return Outline(centre, (size / stretch, size * stretch), float(rng.uniform(0, np.pi)), dents)


def place_outlines(
    rng: np.random.Generator,
    shape: tuple[int, int],
    objects: int,
    radius: float,
    *,
    touching: float,
    aspect: float,
) -> list[Outline]:
    """Outlines that at most graze each other; the share `touching` of them is set against an earlier one."""
    placed: list[Outline] = []
    for _ in range(objects * 60):
        if len(placed) == objects:
            break
        new = draw_outline(rng, anywhere(rng, shape), radius, aspect)
        if placed and rng.uniform() < touching:
            host, angle = placed[rng.integers(len(placed))], rng.uniform(0, 2 * np.pi)
            distance = (host.size + new.size) * rng.uniform(0.88, 1.02)
            y, x = host.centre[0] + distance * np.sin(angle), host.centre[1] + distance * np.cos(angle)
            new = replace(new, centre=(float(y), float(x)))
        inside = all(0 <= c < n for c, n in zip(new.centre, shape, strict=True))
        if inside and not any(_distance(new, other) < 0.86 * (new.size + other.size) for other in placed):
            placed.append(new)
    return placed


def own_pixels(outlines: Mapping[int, Outline], grid: Grid, bend: float = 0.0) -> Labels:
    """Label image (int32): each pixel goes to the outline in which it lies deepest.

    Neighbours so meet in a clean seam. `grid` gives the coordinates of every pixel; they may lie up to `bend`
    pixels from its row and column, which bends the outlines.
    """
    shape = (grid[0].shape[0], grid[0].shape[1])
    nearest, labels = np.ones(shape), np.zeros(shape, np.int32)
    for name, outline in outlines.items():
        window = outline.window(shape, bend)
        depth = outline.local(grid[0][window], grid[1][window])[2]
        owned = depth < nearest[window]
        labels[window][owned], nearest[window][owned] = name, depth[owned]
    return largest_pieces(labels)


def largest_pieces(labels: Labels) -> Labels:
    """Drop what is cut off from the main body of its object."""
    kept = labels.copy()
    for region in regionprops(labels):
        pieces, count = ndimage.label(region.image)
        if count > 1:
            largest = np.bincount(pieces.ravel())[1:].argmax() + 1
            kept[region.slice][(pieces > 0) & (pieces != largest)] = 0
    return kept


def divide(living: Mapping[int, Outline], mother: int, daughters: tuple[int, int]) -> dict[int, Outline]:
    """Put two smaller daughters, named `daughters`, in the place of the outline named `mother`."""
    after = {name: outline for name, outline in living.items() if name != mother}
    parent = living[mother]
    along = np.array([np.sin(-parent.angle), np.cos(parent.angle)]) * 0.72 * parent.size
    for name, side in zip(daughters, (-1, 1), strict=True):
        y, x = parent.centre + side * along
        radii = (0.78 * parent.radii[0], 0.68 * parent.radii[1])
        after[name] = replace(parent, centre=(float(y), float(x)), radii=radii)
    return after


def wander(
    rng: np.random.Generator,
    living: Mapping[int, Outline],
    velocity: Mapping[int, Float64],
    field: tuple[int, int],
) -> dict[int, Outline]:
    """One step of a persistent random walk in which nuclei push each other apart and stay in the field."""
    centres = {
        name: np.array(o.centre) + velocity[name] + rng.normal(0, 0.6, 2) for name, o in living.items()
    }
    for name, outline in living.items():
        for other, neighbour in living.items():
            apart = centres[name] - centres[other]
            overlap = 0.92 * (outline.size + neighbour.size) - float(np.hypot(*apart))
            if name != other and overlap > 0:
                centres[name] = centres[name] + 0.5 * overlap * apart / (np.hypot(*apart) + 1e-9)
    return {
        name: replace(
            outline,
            centre=(
                float(np.clip(centres[name][0], 0, field[0] - 1)),
                float(np.clip(centres[name][1], 0, field[1] - 1)),
            ),
            angle=outline.angle + float(rng.normal(0, 0.06)),
        )
        for name, outline in living.items()
    }


def _distance(one: Outline, other: Outline) -> float:
    return float(np.hypot(one.centre[0] - other.centre[0], one.centre[1] - other.centre[1]))
