"""Cells of a plane that is too large for memory: what `label_instances` gives, pixel for pixel.

Every step of it asks about whole pieces - of cores, of foreground, of background - or about a pixel's
neighbourhood. Pieces are numbered block by block and joined where they meet. Cells grow from their cores by
watershed in windows that never depend on the block size. What lies beyond a window is not known, so it is
widened until nothing that comes in from there, however early, could reach the part that is kept. The block
size therefore changes the memory that is needed, and not one pixel.

Only one case differs from `label_instances`: foreground whose cell is decided more than `REACH` px away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.base import Float32, InstanceParams, Labels, Mask, PlaneBox, slices
from napari_unet.core.cells.instances import (
    RISE,
    SMOOTHING_REACH,
    Pockets,
    cell_landscape,
    compare_tops,
    grow_markers,
    measure_levels,
    plan_levels,
)
from napari_unet.core.cells.targets import depth_in_pixels
from napari_unet.core.image import Components, Reader, Shape, grow_box, plan_blocks, within

Table = NDArray[Any]
"""A number for each id, to index by id."""

WINDOW = 1024
"""Side in px of the windows in which cells grow."""
MARGIN, REACH = 64, 1024
"""How far in px a window looks beyond that, at first and at most."""


@dataclass(slots=True)
class BlockPlane:
    """A plane of ``shape`` whose output maps ``read`` gives, and how it is worked on.

    ``scratch`` is an int32 array of that shape, in memory or on disk, and ``depth`` a float64 one, which is
    used only where there is no distance map. ``on_block`` is called with the finished and all blocks and
    windows of all steps.
    """

    shape: Shape
    read: Reader
    outputs: tuple[str, ...]
    params: InstanceParams
    scratch: Any
    depth: Any
    block: int
    on_block: Callable[[int, int], object] = lambda done, total: None
    window: int = WINDOW
    margin: int = MARGIN
    reach: int = REACH
    _done: int = field(default=0, init=False)
    _total: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        blocks, windows = (len(list(plan_blocks(self.shape, side))) for side in (self.block, self.window))
        self._total = 5 * blocks + windows + (0 if "distance" in self.outputs else 2 * blocks + windows)

    def maps(self, box: PlaneBox) -> dict[str, Float32]:
        """Return the named maps (y, x) of a box."""
        pixels = self.read(box)
        return {name: pixels[..., index] for index, name in enumerate(self.outputs)}

    def blocks(self) -> Iterator[PlaneBox]:
        """Return the blocks one by one."""
        return self._walk(self.block)

    def windows(self) -> Iterator[PlaneBox]:
        """Return the windows one by one."""
        return self._walk(self.window)

    def _walk(self, side: int) -> Iterator[PlaneBox]:
        for box in plan_blocks(self.shape, side):
            yield box
            self._done += 1
            self.on_block(self._done, self._total)


def label_blocks(plane: BlockPlane, labels: Any, smallest: float) -> int:
    """Write the cells of a plane into ``labels``, int32 (Y, X), in memory or on disk; return how many.

    They have the numbers that `label_instances` gives them. Those smaller than ``smallest`` px are dropped.
    """
    if "distance" not in plane.outputs:
        _measure_depth(plane)
    markers, count = _mark(plane)
    areas, sums = np.zeros(count + 1, np.int64), np.zeros(count + 1)
    for box in plane.windows():
        grown, foreground = _grow(plane, box, markers, count)
        areas += np.bincount(grown.ravel(), minlength=count + 1)
        sums += np.bincount(grown.ravel(), foreground.ravel(), minlength=count + 1)
        labels[slices(box)] = grown
    certain = np.where(sums >= plane.params.certainty * areas, np.arange(count + 1), 0).astype(np.int32)
    areas[certain == 0] = 0
    owner, filled = _find_holes(plane, labels, certain, areas)
    kept = (certain > 0) & (areas + filled >= smallest)
    final = (np.cumsum(kept) * kept).astype(np.int32)
    for box in plane.blocks():
        where = slices(box)
        found = certain[labels[where]]
        labels[where] = final[np.where(found == 0, owner[plane.scratch[where]], found)]
    return int(final.max())


def _read_landscape(plane: BlockPlane, box: PlaneBox) -> tuple[Float32, Float32]:
    """Return the foreground and the landscape (y, x) of a box."""
    window = grow_box(box, SMOOTHING_REACH, plane.shape)
    named = plane.maps(window)
    if "distance" not in named:
        named["depth"] = np.asarray(plane.depth[slices(window)], np.float32)
    inner = within(box, window)
    return named["foreground"][inner], cell_landscape(named, plane.params.blend)[inner]


def _mark(plane: BlockPlane) -> tuple[Table, int]:
    """Mark every pixel by its core, or else by minus its piece of foreground, in ``scratch``.

    Returns the marker that each mark stands for, and how many markers there are. Pieces without a core are
    markers as a whole.
    """
    peaks = BlockCores(plane.shape, plane.params.prominence)
    for box in plane.blocks():
        foreground, landscape = _read_landscape(plane, box)
        peaks.add(landscape, foreground > plane.params.foreground, box)
    peaks.join()
    cores, pieces = Components(plane.shape), Components(plane.shape)
    cored = [np.zeros(0, np.int32)]
    for box in plane.blocks():
        foreground, landscape = _read_landscape(plane, box)
        inside = foreground > plane.params.foreground
        core = cores.add(peaks.find(landscape, inside, box), box)
        piece = pieces.add(inside, box)
        cored.append(np.unique(piece[core > 0]))
        plane.scratch[slices(box)] = np.where(core > 0, core, -piece)
    core_number, piece_number = cores.join(), pieces.join()
    coreless = np.ones(int(piece_number.max()) + 1, bool)
    coreless[[0, *piece_number[np.concatenate(cored)]]] = False
    count = int(core_number.max())
    piece_marker = ((np.cumsum(coreless) + count) * coreless)[piece_number]
    # Indexed by a negative mark, the table is read from its end.
    table = np.concatenate([core_number, piece_marker[:0:-1]]).astype(np.int32)
    return table, count + int(coreless.sum())


def _grow(plane: BlockPlane, box: PlaneBox, markers: Table, count: int) -> tuple[Labels, Float32]:
    """Return the cells (y, x) of a box, grown from the markers around, and its foreground."""
    margin, beyond = plane.margin, count + 1
    while True:
        window = grow_box(box, margin, plane.shape)
        inner = within(box, window)
        marks = plane.scratch[slices(window)]
        seeds, inside = markers[marks], marks != 0
        if not inside[inner].any():
            return np.zeros_like(seeds[inner]), np.zeros(seeds[inner].shape, np.float32)
        if margin < plane.reach:
            _fence(seeds, inside, window, plane.shape, beyond)
        foreground, landscape = _read_landscape(plane, window)
        grown = grow_markers(landscape, seeds, inside)[inner]
        if margin >= plane.reach or not (grown == beyond).any():
            return grown, foreground[inner]
        margin *= 2


def _fence(seeds: Labels, inside: NDArray[np.bool_], window: PlaneBox, shape: Shape, beyond: int) -> None:
    """Make a marker of the foreground at those edges of a window behind which the plane goes on.

    It grows from the start, which is earlier than anything can come in from there.
    """
    for axis, ((start, stop), size) in enumerate(zip(window, shape, strict=True)):
        for edge, goes_on in ((0, start > 0), (-1, stop < size)):
            if goes_on:
                side = seeds.swapaxes(0, axis)[edge]
                side[inside.swapaxes(0, axis)[edge] & (side == 0)] = beyond


def _find_holes(plane: BlockPlane, labels: Any, certain: Table, areas: Table) -> tuple[Table, Table]:
    """Number the pockets of background in ``scratch``.

    Returns the cell that each becomes a part of, or 0, and the pixels that each cell gains.
    """
    components = Components(plane.shape)
    for box in plane.blocks():
        where = slices(box)
        plane.scratch[where] = components.add(certain[labels[where]] == 0, box)
    number = components.join()
    pockets = Pockets(int(number.max()))
    for box in plane.blocks():
        window = grow_box(box, 1, plane.shape)
        found = certain[labels[slices(window)]]
        numbers = np.zeros_like(found)
        inner = within(box, window)
        numbers[inner] = number[plane.scratch[slices(box)]]
        pockets.see(numbers, found)
        for side in _outer_sides(numbers[inner], box, plane.shape):
            pockets.reach_edge(side)
    owner = pockets.find_owners(areas)
    filled = np.bincount(owner, pockets.areas, minlength=len(areas))
    filled[0] = 0
    return owner[number], filled


def _outer_sides(block: Labels, box: PlaneBox, shape: Shape) -> list[Labels]:
    """Return those sides of a block at which the plane ends."""
    (top, bottom), (left, right) = box
    ends = (top == 0, bottom == shape[0], left == 0, right == shape[1])
    sides = (block[0], block[-1], block[:, 0], block[:, -1])
    return [side for side, is_end in zip(sides, ends, strict=True) if is_end]


def _measure_depth(plane: BlockPlane) -> None:
    """Write into ``depth`` how deep in its piece of foreground each pixel lies, 1 for the deepest."""
    pieces = Components(plane.shape)
    for box in plane.blocks():
        inside = plane.maps(box)["foreground"] > plane.params.foreground
        plane.scratch[slices(box)] = pieces.add(inside, box)
    number = pieces.join()
    largest = np.zeros(int(number.max()) + 1)
    for box in plane.windows():
        margin = plane.margin
        while True:
            window = grow_box(box, margin, plane.shape)
            ids = number[plane.scratch[slices(window)]]
            inner = within(box, window)
            depth = depth_in_pixels(ids)[inner]
            if window == grow_box(window, 1, plane.shape):
                break
            if ids.min() == ids.max() > 0:  # no edge is seen, so there is nothing to measure from
                depth = np.full(depth.shape, np.inf)
            # An edge that lies outside of the window is farther away than the margin.
            if margin >= plane.reach or depth.max() <= margin + 1:
                break
            margin *= 2
        depth = np.minimum(depth, plane.reach)
        np.maximum.at(largest, ids[inner].ravel(), depth.ravel())
        plane.depth[slices(box)] = depth
    largest[0] = 1
    for box in plane.blocks():
        where = slices(box)
        plane.depth[where] /= largest[number[plane.scratch[where]]]


class BlockCores:
    """The cores of a landscape of ``shape`` that is seen block by block.

    `add` every block once, in the order of `plan_blocks`, and `join`; then `find` tells the cores of a block.
    """

    def __init__(self, shape: Shape, prominence: float) -> None:
        self._heights = plan_levels(prominence)
        self._pieces = [Components(shape) for _ in range(len(self._heights) - RISE + 1)]
        self._tops = [[np.zeros(1, np.int8)] for _ in self._pieces]
        self._is_core: list[Mask] = []

    def add(self, landscape: Float32, inside: Mask, box: PlaneBox) -> None:
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

    def find(self, landscape: Float32, inside: Mask, box: PlaneBox) -> Mask:
        """Return the mask (y, x) of the cores in a block, of what was seen there."""
        levels = measure_levels(landscape, inside, self._heights)
        cores = np.zeros(levels.shape, bool)
        for level, pieces in self._reached(levels):
            cores |= self._is_core[level][pieces.find(levels >= level, box)]
        return cores

    def _reached(self, levels: NDArray[np.int16]) -> list[tuple[int, Components]]:
        return list(enumerate(self._pieces[: int(levels.max()) + 1]))
