"""Overlap-tile: a plan of tiles whose kept parts, side by side, are the whole image.

Each tile is read with a halo of context on every side, mirrored where the image ends (Ronneberger et
al. 2015, figure 2), and only its middle is kept. With a halo at least as wide as the network's reach and
all tiles on the pooling grid, the stitched result equals the prediction on the whole image.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.blocks import Reader, Shape, Span, slices


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


def read_tile(read: Reader, shape: Shape, tile: Tile) -> NDArray[np.float32]:
    """Return the tile's pixels (y, x, C) of an image of ``shape`` (Y, X), mirrored beyond its edges."""
    rows, columns = (mirror_indices(span, size) for span, size in zip(tile.read, shape, strict=True))
    top, left = int(rows.min()), int(columns.min())
    pixels = read(((top, int(rows.max()) + 1), (left, int(columns.max()) + 1)))
    return pixels[np.ix_(rows - top, columns - left)]


def move_tile(tile: Tile, by: Shape) -> Tile:
    """Return a tile of a part of an image that begins at ``by`` (Y, X) as a tile of the image."""
    (top, left), ((above, below), (before, behind)) = by, tile.read
    (first, last), (start, stop) = tile.keep
    return Tile(
        read=((above + top, below + top), (before + left, behind + left)),
        keep=((first + top, last + top), (start + left, stop + left)),
    )


def halve_tile(tile: Tile, halo: Span, multiple: int) -> list[Tile]:
    """Cut a tile into up to four of half its kept side, on the same grid; none if it is too small."""
    sides = [stop - start - sum(halo) for start, stop in tile.read]
    halves = [-(-side // (2 * multiple)) * multiple for side in sides]
    if halves == sides:
        return []
    parts = [
        [(_read(start, half, halo), (start, min(start + half, stop))) for start in range(first, stop, half)]
        for (first, stop), half in zip(tile.keep, halves, strict=True)
    ]
    return [Tile((row[0], column[0]), (row[1], column[1])) for row in parts[0] for column in parts[1]]


def stitch(
    shape: Shape, parts: Iterable[tuple[Tile, NDArray[np.float32]]], channels: int
) -> NDArray[np.float32]:
    """Assemble an image (Y, X, channels) of ``shape`` from tiles and their kept parts."""
    result = np.empty((*shape, channels), np.float32)
    for tile, part in parts:
        result[slices(tile.keep)] = part
    return result
