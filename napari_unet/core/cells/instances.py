"""Output maps to cells: an int32 label image in which touching cells are separate."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse import csgraph
from skimage.segmentation import watershed

from napari_unet.core.base import Float32, InstanceParams
from napari_unet.core.cells.targets import distance as cell_depth

SMOOTHING_REACH = 6
"""How far in px the smoothing of the landscape looks."""

RISE = 5
"""Levels that the landscape is told apart in, from a core's top to where it ends."""

_LOWEST = 0.1  # height below which nothing is told apart
_FILLED_HOLE = 0.25
_STRIP = 512  # rows
_SMOOTHING = 1.5  # px; a ripple of the transposed convolutions is no core


def label_instances(
    maps: Float32, outputs: tuple[str, ...], params: InstanceParams, *, object_size: float | None = None
) -> NDArray[np.int32]:
    """Return the cells (Y, X) drawn by output maps (Y, X, len(outputs)).

    Markers are the cores of cells; a watershed grows them to the foreground's edge. The cores are the peaks
    of a landscape from which it falls by a share of their height, ``params.prominence``, before it rises
    higher (h-maxima, Soille, Morphological Image Analysis, 2nd ed., 6.3.4, of its logarithm). The landscape
    is the predicted distance map, or a blend of it and the foreground; without that map, the foreground's own
    distance transform, lowered along predicted borders if there are any.
    ``object_size`` is a typical cell's diameter in px; objects much smaller are dropped, and those whose mean
    foreground probability is below ``params.certainty``.
    """
    named = {name: maps[..., index] for index, name in enumerate(outputs)}
    inside = named["foreground"] > params.foreground
    if not inside.any():
        return np.zeros(inside.shape, np.int32)
    if "distance" not in named:
        named["depth"] = cell_depth(label_pieces(inside))
    elevation = cell_landscape(named, params.blend)
    cores = label_pieces(find_cores(elevation, inside, params.prominence))
    markers = _add_coreless(cores, inside)
    labels = grow_markers(elevation, markers, inside)
    labels = _drop_uncertain(labels, named["foreground"], params.certainty)
    return _drop_small(_fill_holes(labels), smallest_area(params, object_size))


def needed_maps(outputs: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of a network's maps that cells are made of."""
    other = "distance" if "distance" in outputs else "border"
    return tuple(name for name in ("foreground", other) if name in outputs)


def smallest_area(params: InstanceParams, object_size: float | None) -> float:
    """Return the area in px below which a cell is dropped, where a typical one is ``object_size`` px wide."""
    return params.min_area * np.pi / 4 * object_size**2 if object_size else 4.0


def cell_landscape(named: dict[str, Float32], blend: float = 0.0) -> Float32:
    """Return a landscape (Y, X) in [0, 1], high in the middle of cells and low between them.

    It is the distance map, ``blend``ed with the foreground and smoothed, or the ``depth`` of the foreground
    without borders.
    """
    if "distance" in named:
        heights = (
            (1 - blend) * named["distance"] + blend * named["foreground"] if blend else named["distance"]
        )
        return smooth(heights)
    landscape = smooth(named["depth"])
    return landscape * (1 - named["border"]) if "border" in named else landscape


def smooth(heights: Float32) -> Float32:
    """Return a map (Y, X) smoothed by a Gaussian, its strips by several threads."""
    result = np.empty_like(heights)

    def smooth_strip(top: int) -> None:
        start, stop = max(top - SMOOTHING_REACH, 0), top + _STRIP
        strip = ndimage.gaussian_filter(heights[start : stop + SMOOTHING_REACH], _SMOOTHING)
        result[top:stop] = strip[top - start : top - start + _STRIP]

    tops = range(0, len(heights), _STRIP)
    if len(tops) == 1:
        smooth_strip(0)
    else:
        with ThreadPoolExecutor(min(len(tops), os.cpu_count() or 1)) as pool:
            list(pool.map(smooth_strip, tops))
    return result


def plan_levels(prominence: float) -> NDArray[np.float64]:
    """Return the heights at which the levels of a landscape begin, level 1 first.

    From each level to the one ``RISE`` levels below, a landscape falls by that share of its height.
    """
    fall = np.log(1 - prominence) / RISE
    return _LOWEST * np.exp(-fall * np.arange(1, np.log(_LOWEST) / fall + 1))


def measure_levels(
    landscape: Float32, inside: NDArray[np.bool_], heights: NDArray[np.float64]
) -> NDArray[np.int16]:
    """Return the level of each pixel (Y, X), 0 to ``len(heights)``, and -1 outside of a mask."""
    levels = np.full(inside.shape, -1, np.int16)
    levels[inside] = np.digitize(landscape[inside], heights)
    return levels


def find_cores(landscape: Float32, inside: NDArray[np.bool_], prominence: float) -> NDArray[np.bool_]:
    """Return the mask (Y, X) of the cores of a landscape: of each peak, what is higher than where it ends.

    A piece of what lies at or above a level is a core if its top is exactly one rise above that level: were
    there a higher top that is reached without falling as far, it would be in the same piece.

    Pixels of one level that touch are one zone; from the highest level down, zones become pieces where they
    meet. So each pixel is looked at once, whatever the number of levels.
    """
    levels = measure_levels(landscape, inside, plan_levels(prominence))
    zones = label_pieces((levels + 1).astype(np.uint8))
    level_of = np.full(int(zones.max()) + 1, -1, np.int16)
    level_of[zones] = levels
    level_of[0] = -1
    highest = int(level_of.max())
    ends = _find_neighbours(zones)
    meeting = level_of[ends].min(axis=0)
    order = np.argsort(-meeting, kind="stable")
    ends, bounds = ends[:, order], np.searchsorted(-meeting[order], -np.arange(highest, -2, -1))
    piece: NDArray[np.integer] = np.arange(len(level_of))
    top = level_of.copy()
    is_core = np.zeros(len(level_of), bool)
    for level, first, last in zip(range(highest, -1, -1), bounds[:-1], bounds[1:], strict=True):
        piece, top = _join_pieces(piece, top, piece[ends[:, first:last]])
        is_core |= (top[piece] == level + RISE) & (level_of >= level)
    return is_core[zones]


def label_pieces(image: NDArray[np.generic]) -> NDArray[np.int32]:
    """Return the number of the connected piece of equal values that each pixel (Y, X) is part of; 0 stays 0.

    Pixels are connected along Y and X. Pieces are numbered from 1 in reading order.
    """
    numbers: NDArray[np.int32] = cc3d.connected_components(image, connectivity=4, out_dtype=np.uint32)
    return numbers.view(np.int32)


def _find_neighbours(zones: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the numbers of zones (2, N) that share an edge of a pixel, each pair once or more often."""
    pairs = []
    for here, there in ((zones[1:], zones[:-1]), (zones[:, 1:], zones[:, :-1])):
        where = np.flatnonzero((here != there) & (here > 0) & (there > 0))
        pairs.append(np.stack([np.take(here, where), np.take(there, where)]))
    return np.concatenate(pairs, axis=1)


def _join_pieces(
    piece: NDArray[np.integer], top: NDArray[np.int16], pairs: NDArray[np.integer]
) -> tuple[NDArray[np.integer], NDArray[np.int16]]:
    """Join pairs (2, N) of pieces; return the new piece of each zone, and the highest level of each piece."""
    if not pairs.size:
        return piece, top
    graph = sparse.coo_array((np.ones(pairs.shape[1], bool), tuple(pairs)), shape=(len(top), len(top)))
    count, joined = csgraph.connected_components(graph, directed=False)
    highest = np.full(count, -1, np.int16)
    np.maximum.at(highest, joined, top)
    return joined[piece], highest


def compare_tops(
    levels: NDArray[np.int16], pieces: NDArray[np.int32], count: int, level: int
) -> NDArray[np.int8]:
    """Return, to index by piece, whether the top of a piece is below a level (0), at it (1) or above (2)."""
    tops = np.zeros(count + 1, np.int8)
    tops[pieces[levels == level]] = 1
    tops[pieces[levels > level]] = 2
    return tops


def grow_markers(
    landscape: Float32, markers: NDArray[np.int32], inside: NDArray[np.bool_]
) -> NDArray[np.int32]:
    """Return the cells (Y, X) that markers grow to, from the heights of a landscape down, within a mask.

    Of marked pixels that are equally high the first in reading order grows first, so that what is decided
    does not depend on how much of a plane is seen.
    """
    height = landscape.astype(np.float64, order="C")
    marked = np.flatnonzero(markers)
    # A float32 leaves the last 29 bits of a float64 free: enough to put these pixels in order.
    height.ravel().view(np.int64)[marked] += np.arange(len(marked), 0, -1)
    return watershed(-height, markers, mask=inside).astype(np.int32)


def _add_coreless(cores: NDArray[np.int32], inside: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Make a marker of every connected piece of foreground in which no core rises."""
    pieces = label_pieces(inside)
    cored = np.zeros(int(pieces.max()) + 1, bool)
    cored[pieces[cores > 0]] = True
    cored[0] = True
    if cored.all():
        return cores
    extra = label_pieces(~cored[pieces])
    return np.where(extra > 0, extra + cores.max(), cores).astype(np.int32)


def _fill_holes(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Give each pocket of background that one cell encloses to that cell, unless it is large."""
    numbers = label_pieces(labels == 0)
    pockets = Pockets(int(numbers.max()))
    for side in (numbers[0], numbers[-1], numbers[:, 0], numbers[:, -1]):
        pockets.reach_edge(side)
    pockets.see(numbers, labels)
    owner = pockets.find_owners(np.bincount(labels.ravel()))
    return np.where(labels == 0, owner[numbers], labels).astype(np.int32)


class Pockets:
    """Connected pockets of background, numbered from 1: their ``areas`` in px, and which cells touch them."""

    def __init__(self, count: int) -> None:
        self.areas = np.zeros(count + 1, np.int64)
        self._lowest = np.full(count + 1, np.iinfo(np.int32).max)
        self._highest = np.zeros(count + 1, np.int32)
        self._edge = np.zeros(count + 1, bool)

    def reach_edge(self, numbers: NDArray[np.int32]) -> None:
        """Note that these pockets reach the edge of the image."""
        self._edge[numbers] = True

    def see(self, numbers: NDArray[np.int32], labels: NDArray[np.int32]) -> None:
        """Look at pockets (y, x) among cells (y, x), or at a part of them; no pixel may be seen twice."""
        self.areas += np.bincount(numbers.ravel(), minlength=len(self.areas))
        before, after, every = slice(None, -1), slice(1, None), slice(None)
        for here, there in ((before, after), (after, before)):
            self._touch(numbers[here], labels[there])
            self._touch(numbers[every, here], labels[every, there])

    def _touch(self, pocket: NDArray[np.int32], cell: NDArray[np.int32]) -> None:
        touching = np.flatnonzero((pocket > 0) & (cell > 0))
        here, there = np.take(pocket, touching), np.take(cell, touching)
        np.minimum.at(self._lowest, here, there)
        np.maximum.at(self._highest, here, there)

    def find_owners(self, cell_areas: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return the cell that each pocket becomes a part of, to index by pocket; 0 for none."""
        enclosed = (self._highest == self._lowest) & ~self._edge
        owner = np.where(enclosed, self._highest, 0).astype(np.int32)
        owner[self.areas >= _FILLED_HOLE * cell_areas[owner]] = 0
        # A background of one piece is no hole, even where it meets no edge.
        return owner if len(owner) > 2 else np.zeros_like(owner)


def _drop_uncertain(labels: NDArray[np.int32], foreground: Float32, least: float) -> NDArray[np.int32]:
    inside = np.flatnonzero(labels)
    owner = np.take(labels, inside)
    areas = np.bincount(owner)
    keep = np.bincount(owner, np.take(foreground, inside)) >= least * areas
    keep[0] = False
    return np.where(keep[labels], labels, 0).astype(np.int32)


def _drop_small(labels: NDArray[np.int32], smallest: float) -> NDArray[np.int32]:
    areas = np.bincount(labels.ravel())
    keep = areas >= smallest
    keep[0] = False
    renumbered = np.cumsum(keep) * keep
    return renumbered[labels].astype(np.int32)
