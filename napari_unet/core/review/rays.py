"""Closed paths around a centre: rays that go out from it, and the cheapest path across them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.draw import polygon

from napari_unet.core.base import Float64, Mask

Steps = NDArray[np.intp]

ANGLES, STEPS = 64, 48
SWING = 2
"""Steps by which a path may come nearer or go away from one ray to the next."""
STIFFNESS = 0.02
"""What one such step costs; two cost four times as much."""


@dataclass(frozen=True, slots=True)
class Rays:
    """`ANGLES` rays of `STEPS` steps each, from a centre (row, column) as far as `reach` px."""

    centre: tuple[float, float]
    reach: float

    @property
    def step(self) -> float:
        """Length of a step in px."""
        return self.reach / STEPS

    @property
    def radii(self) -> Float64:
        """Distances in px of the middles of all steps from the centre."""
        return np.arange(0.5, STEPS, dtype=np.float64) * self.step

    def sample(self, plane: Float64) -> Float64:
        """Return the values (ANGLES, STEPS) of a plane (Y, X) along the rays; beyond the plane its last."""
        return np.asarray(ndimage.map_coordinates(plane, self._places(self.radii), order=1, mode="nearest"))

    def count_clear(self, free: Mask) -> Steps:
        """Return how many steps each ray takes to a pixel of a plane that is not free, or to its end."""
        ahead = ndimage.map_coordinates(
            free.astype(np.uint8), self._places(self.radii), order=0, mode="constant", cval=0
        )
        return np.where(ahead.all(axis=1), STEPS, (ahead == 0).argmax(axis=1))

    def fill(self, path: Steps, shape: tuple[int, ...]) -> Mask:
        """Return the pixels of a plane inside a path, the last step of each ray that is inside."""
        inside = np.zeros(shape, np.bool_)
        rows, columns = self._places((path + 1.0) * np.float64(self.step))
        inside[polygon(rows, columns, shape)] = True
        return inside

    def _places(self, radii: Float64) -> tuple[Float64, Float64]:
        """Return rows and columns of points, one on each ray, or one row of them on each."""
        angles = np.arange(ANGLES) * 2 * np.pi / ANGLES
        across = radii if radii.ndim == 1 and radii.size == ANGLES else radii[None]
        along = angles if across.ndim == 1 else angles[:, None]
        return self.centre[0] + np.sin(along) * across, self.centre[1] + np.cos(along) * across


def find_path(cost: Float64) -> Steps:
    """Return the step (ANGLES) at which the cheapest closed path crosses each ray, given the costs of all."""
    turns = np.concatenate([cost, cost, cost])  # the second turn ends where it began, nearly always
    shifts = np.arange(-SWING, SWING + 1)
    swing = STIFFNESS * shifts[:, None] ** 2.0
    came = np.zeros(turns.shape, np.int8)
    total = turns[0]
    for ray, own in enumerate(turns[1:], start=1):
        wide = np.pad(total, SWING, constant_values=np.inf)
        ways = np.stack([wide[SWING + by : SWING + by + STEPS] for by in shifts]) + swing
        best = ways.argmin(axis=0)
        came[ray] = shifts[best]
        total = ways[best, np.arange(STEPS)] + own
    path = np.empty(len(turns), np.intp)
    path[-1] = total.argmin()
    for ray in range(len(turns) - 1, 0, -1):
        path[ray - 1] = path[ray] + came[ray, path[ray]]
    return path[ANGLES : 2 * ANGLES]
