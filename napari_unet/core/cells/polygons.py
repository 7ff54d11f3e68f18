"""Label images as polygons along pixel edges, and back.

Corners are whole numbers, (x, y), in the frame where the first pixel covers 0 to 1: then a label image and
its polygons say the same, and either gives the other exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from skimage.measure import label

Ring = npt.NDArray[np.int64]
"""Corners of a closed line, (n, 2) as x, y; the last is joined to the first."""
Polygon = list[Ring]
"""The outer ring of one connected piece, clockwise as displayed, then those of its holes, anticlockwise."""
Window = tuple[slice, slice]

# A pixel's sides in the order top, right, bottom, left, each walked with the pixel to the right.
_AHEAD = np.array([(0, 1), (1, 0), (0, -1), (-1, 0)])
_OUTWARD = np.array([(-1, 0), (0, 1), (1, 0), (0, -1)])
_START = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])  # x, y of the corner a side starts from


def trace_polygons(labels: npt.NDArray[Any]) -> dict[int, list[Polygon]]:
    """Return the polygons of every cell of a plane (Y, X; whole numbers, 0 is background), by ascending id.

    One polygon for each piece; pixels that touch at a corner only are pieces of their own. No ring crosses or
    touches itself, so that the polygons are valid where that is asked for. 0.5 s for 2048 x 2048 pixels.
    """
    pieces = np.pad(label(labels, background=0, connectivity=1), 1)
    flat, width = pieces.ravel(), pieces.shape[1]
    edges = _find_edges(flat, width)
    pixels, sides = np.divmod(edges, 4)
    found: dict[int, Polygon] = {}
    polygons: dict[int, list[Polygon]] = {}
    for walk in _walk(_follow(edges, flat, width)):
        side = sides[walk]
        corners = walk[side != np.roll(side, 1)]
        y, x = np.divmod(pixels[corners], width)
        ring = np.stack([x, y], axis=1) - 1 + _START[sides[corners]]
        piece = int(flat[pixels[walk[0]]])
        if piece not in found:
            found[piece] = []
            polygons.setdefault(int(labels[y[0] - 1, x[0] - 1]), []).append(found[piece])
        for simple in _split(ring):
            found[piece].insert(0 if _is_clockwise(simple) else len(found[piece]), simple)
    return dict(sorted(polygons.items()))


def fill_rings(
    rings: Sequence[npt.NDArray[Any]], shape: tuple[int, int]
) -> tuple[Window, npt.NDArray[np.bool_]]:
    """Return the pixels of a plane of `shape` whose centres lie inside an odd number of `rings`.

    Rings are (n, 2) corners as x, y, of any real numbers; what lies outside the plane is cut off. The mask is
    that of the window around them. For polygons along pixel edges this undoes `trace_polygons`.
    """
    start = np.concatenate([np.asarray(ring, np.float64) for ring in rings])
    end = np.concatenate([np.roll(np.asarray(ring, np.float64), -1, 0) for ring in rings])
    start, end = np.where((start[:, 1] <= end[:, 1])[:, None], [start, end], [end, start])
    first, stop = (np.clip(np.ceil(y - 0.5), 0, shape[0]).astype(np.int64) for y in (start[:, 1], end[:, 1]))
    counts = stop - first  # a level line passes no row's centre
    edge = np.repeat(np.arange(len(counts)), counts)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
    along = (row + 0.5 - start[edge, 1]) / (end - start)[edge, 1]
    x = start[edge, 0] + along * (end - start)[edge, 0]
    column = np.clip(np.ceil(x - 0.5), 0, shape[1]).astype(np.int64)
    if not len(row):
        return (slice(0, 0), slice(0, 0)), np.zeros((0, 0), np.bool_)
    window = (slice(row.min(), row.max() + 1), slice(column.min(), column.max()))
    height, width = window[0].stop - window[0].start, window[1].stop - window[1].start
    place = (row - window[0].start) * (width + 1) + column - window[1].start
    crossings = np.bincount(place, minlength=height * (width + 1)).reshape(height, width + 1)
    return window, (np.cumsum(crossings, axis=1)[:, :width] % 2).astype(np.bool_)


def _find_edges(flat: npt.NDArray[Any], width: int) -> npt.NDArray[np.int64]:
    """Return, sorted, the sides between a piece and what is not that piece, as 4 x pixel + side."""
    pixels = np.flatnonzero(flat)
    edges = [
        4 * pixels[flat[pixels] != flat[pixels + step]] + side
        for side, step in enumerate(_OUTWARD @ (width, 1))
    ]
    return np.sort(np.concatenate(edges))


def _follow(edges: npt.NDArray[np.int64], flat: npt.NDArray[Any], width: int) -> list[int]:
    """Return the position among `edges` of the one that comes after each, around its piece."""
    pixels, sides = np.divmod(edges, 4)
    ahead = pixels + (_AHEAD @ (width, 1))[sides]
    beyond = ahead + (_OUTWARD @ (width, 1))[sides]
    right = flat[ahead] != flat[pixels]
    straight = ~right & (flat[beyond] != flat[pixels])
    pixel = np.where(right, pixels, np.where(straight, ahead, beyond))
    side = (sides + np.where(right, 1, np.where(straight, 0, 3))) % 4
    following: list[int] = np.searchsorted(edges, 4 * pixel + side).tolist()
    return following


def _walk(following: list[int]) -> list[npt.NDArray[np.int64]]:
    """Return the closed walks that `following` consists of."""
    walks, seen = [], bytearray(len(following))
    for first in range(len(following)):
        walk, at = [], first
        while not seen[at]:
            seen[at] = True
            walk.append(at)
            at = following[at]
        if walk:
            walks.append(np.array(walk))
    return walks


def _split(ring: Ring) -> list[Ring]:
    """Divide a ring where it touches itself."""
    corners = list(map(tuple, ring.tolist()))
    if len(set(corners)) == len(corners):
        return [ring]
    rings: list[Ring] = []
    path: list[tuple[int, ...]] = []
    passed: set[tuple[int, ...]] = set()
    for corner in corners:
        if corner in passed:
            since = path.index(corner)
            rings.append(np.array(path[since:]))
            passed.difference_update(path[since:])
            del path[since:]
        path.append(corner)
        passed.add(corner)
    return [*rings, np.array(path)]


def _is_clockwise(ring: Ring) -> bool:
    x, y = ring.T
    return bool(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) > 0)
