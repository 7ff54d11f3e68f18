"""The cores of cells in a plane that is too large for memory: those of `find_cores`, pixel for pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.cells.instances import RISE, compare_tops, measure_levels, plan_levels
from napari_unet.core.image.blocks import Box, Components, Shape

Float32 = NDArray[np.float32]
Mask = NDArray[np.bool_]


class BlockCores:
    """The cores of a landscape of ``shape`` that is seen block by block.

    `add` every block once, in the order of `plan_blocks`, and `join`; then `find` tells the cores of a block.
    """

    def __init__(self, shape: Shape, prominence: float) -> None:
        self._heights = plan_levels(prominence)
        self._pieces = [Components(shape) for _ in range(len(self._heights) - RISE + 1)]
        self._tops = [[np.zeros(1, np.int8)] for _ in self._pieces]
        self._is_core: list[Mask] = []

    def add(self, landscape: Float32, inside: Mask, box: Box) -> None:
        """Look at the landscape (y, x) of a block, and at where it is foreground."""
        levels = measure_levels(landscape, inside, self._heights)
        for level, pieces in self._reached(levels):
            start = pieces.count
            ids = pieces.add(levels >= level, box)
            ids[ids > 0] -= start
            tops = compare_tops(levels, ids, pieces.count - start, level + RISE)
            self._tops[level].append(tops[1:])

    def join(self) -> None:
        """Decide, now that all blocks were seen, which pieces are cores."""
        for pieces, tops in zip(self._pieces, self._tops, strict=True):
            number = pieces.join()
            top = np.zeros(int(number.max()) + 1, np.int8)
            np.maximum.at(top, number, np.concatenate(tops))
            self._is_core.append((top == 1)[number])

    def find(self, landscape: Float32, inside: Mask, box: Box) -> Mask:
        """Return the mask (y, x) of the cores in a block, of what was seen there."""
        levels = measure_levels(landscape, inside, self._heights)
        cores = np.zeros(levels.shape, bool)
        for level, pieces in self._reached(levels):
            cores |= self._is_core[level][pieces.find(levels >= level, box)]
        return cores

    def _reached(self, levels: NDArray[np.int16]) -> list[tuple[int, Components]]:
        return list(enumerate(self._pieces[: int(levels.max()) + 1]))
