"""Overlap-tile: a plan of tiles whose kept parts, side by side, are the whole image.

Each tile is read with a halo of context on every side, mirrored where the image ends (Ronneberger et
al. 2015, figure 2), and only its middle is kept. With a halo at least as wide as the network's reach and
all tiles on the pooling grid, the stitched result equals the prediction on the whole image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile: the pixels to read (may reach beyond the image) and the part of the image it fills."""

    read: tuple[Span, Span]
    keep: tuple[Span, Span]


@dataclass(frozen=True, slots=True)
class TilePlan:
    """Tiles of one shape that cover an image of ``shape`` (Y, X) exactly once."""

    shape: tuple[int, int]
    tile_shape: tuple[int, int]
    halo: Span
    tiles: tuple[Tile, ...]


def plan_tiles(shape: tuple[int, int], *, core: int, halo: Span, multiple: int) -> TilePlan:
    """Cover ``shape`` (Y, X) with equal tiles.

    ``core`` is the largest kept side in px; the kept sides are evened out so that little is read twice,
    and are multiples of ``multiple`` (the network's pooling step). ``halo`` is the context read before
    and after the kept part.
    """
    if core < multiple:
        raise ValueError(f"core {core} is smaller than the pooling step {multiple}")
    sides = [_even_side(size, core, multiple) for size in shape]
    spans = [list(_split(size, side, halo)) for size, side in zip(shape, sides, strict=True)]
    tiles = tuple(
        Tile(read=(row[0], column[0]), keep=(row[1], column[1])) for row in spans[0] for column in spans[1]
    )
    tile_shape = (sides[0] + sum(halo), sides[1] + sum(halo))
    return TilePlan((shape[0], shape[1]), tile_shape, halo, tiles)


def _even_side(size: int, core: int, multiple: int) -> int:
    largest = core // multiple * multiple
    count = -(-size // largest)
    return -(-size // (count * multiple)) * multiple


def _split(size: int, side: int, halo: Span) -> Iterator[tuple[Span, Span]]:
    return ((_read(start, side, halo), (start, min(start + side, size))) for start in range(0, size, side))


def _read(start: int, side: int, halo: Span) -> Span:
    return start - halo[0], start + side + halo[1]


def mirror_indices(span: Span, size: int) -> NDArray[np.intp]:
    """Return the pixels of an axis of ``size`` seen at ``span``, mirrored about the first and last pixel."""
    return mirror(np.arange(*span), size)


def mirror(positions: NDArray[np.intp], size: int) -> NDArray[np.intp]:
    """Fold any integer positions into an axis of ``size``, mirrored about the first and last pixel."""
    if size == 1:
        return np.zeros_like(positions)
    period = 2 * (size - 1)
    folded = np.mod(positions, period)
    return np.minimum(folded, period - folded)


def read_tile(image: NDArray[np.float32], tile: Tile) -> NDArray[np.float32]:
    """Return the tile's pixels (y, x, C) of an image (Y, X, C), mirrored beyond its edges."""
    rows, columns = (
        mirror_indices(span, size) for span, size in zip(tile.read, image.shape[:2], strict=True)
    )
    return image[np.ix_(rows, columns)]


def stitch(
    plan: TilePlan, predict: Callable[[Tile], NDArray[np.float32]], channels: int
) -> NDArray[np.float32]:
    """Assemble (Y, X, channels) from ``predict(tile)``, which returns the tile's middle without its halo."""
    result = np.empty((*plan.shape, channels), np.float32)
    for tile in plan.tiles:
        (top, bottom), (left, right) = tile.keep
        result[top:bottom, left:right] = predict(tile)[: bottom - top, : right - left]
    return result
