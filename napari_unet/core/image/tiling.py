"""Overlap-tile: a plan of tiles whose kept parts, side by side, are the whole image.

Each tile is read with a halo of context on every side (Ronneberger et al. 2015, figure 2), and only its
middle is kept. Beyond the image lies a mirrored border, and there tiles end, as the whole image would. With a
halo at least as wide as the network's reach and all tiles on the pooling grid, the stitched result equals
the prediction on the whole image with its border.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.base import PlaneBox, Span
from napari_unet.core.image.blocks import Reader, Shape, within


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


def plan_tiles(shape: Shape, *, area: int, halo: Span, multiple: int, border: int) -> TilePlan:
    """Cover ``shape`` (Y, X) with equal tiles so that as few pixels as possible are read.

    A tile reads at most ``area`` pixels, or as few as it can. Its kept sides are multiples of ``multiple``
    (the network's pooling step). ``halo`` is the context read before and after the kept part, ``border`` how
    much of it is read beyond the image (see `clip_tile`).
    """
    sides = _choose_sides(shape, area, halo, multiple, border)
    spans = [list(_split(size, side, halo)) for size, side in zip(shape, sides, strict=True)]
    tiles = tuple(
        Tile(read=(row[0], column[0]), keep=(row[1], column[1])) for row in spans[0] for column in spans[1]
    )
    return TilePlan((shape[0], shape[1]), (sides[0] + sum(halo), sides[1] + sum(halo)), halo, tiles)


def _choose_sides(shape: Shape, area: int, halo: Span, multiple: int, border: int) -> Shape:
    """Return the kept sides with which the fewest pixels are read."""
    best, sides = math.inf, (multiple, multiple)
    edge = min(border, halo[0]) + min(border, halo[1])

    def measure(size: int, count: int) -> tuple[int, int, int]:
        """Return the kept side, the side that a tile reads at most, and what all tiles of an axis read."""
        side = -(-size // (count * multiple)) * multiple
        number = -(-size // side)
        return side, min(side + sum(halo), size + edge), size + edge + (number - 1) * sum(halo)

    columns = 1
    most_columns = -(-shape[1] // multiple)
    for rows in range(-(-shape[0] // multiple), 0, -1):
        height, read_height, all_rows = measure(shape[0], rows)
        while columns < most_columns and read_height * measure(shape[1], columns)[1] > area:
            columns += 1
        width, read_width, all_columns = measure(shape[1], columns)
        if read_height * read_width > area and best < math.inf:
            break
        if all_rows * all_columns < best:
            best, sides = all_rows * all_columns, (height, width)
    return sides


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


def clip_tile(tile: Tile, shape: Shape, *, border: int, multiple: int) -> Tile:
    """Return a tile that reads no farther than ``border`` px beyond an image of ``shape`` (Y, X).

    Behind it the image is taken to reach up to the next multiple of the pooling step.
    """
    spans = [
        (max(start, -border), min(stop, -(-size // multiple) * multiple + border))
        for (start, stop), size in zip(tile.read, shape, strict=True)
    ]
    return Tile((spans[0], spans[1]), tile.keep)


def count_read(plan: TilePlan, *, border: int, multiple: int) -> int:
    """Return how many pixels all tiles of a plan read, those that they share as often as they are read."""
    clipped = (clip_tile(tile, plan.shape, border=border, multiple=multiple) for tile in plan.tiles)
    return sum(math.prod(stop - start for start, stop in tile.read) for tile in clipped)


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
    box: PlaneBox, parts: Iterable[tuple[Tile, NDArray[np.float32]]], channels: int
) -> NDArray[np.float32]:
    """Assemble a box (y, x, channels) of an image from the tiles that cover it and their kept parts."""
    (top, bottom), (left, right) = box
    result = np.empty((bottom - top, right - left, channels), np.float32)
    for tile, part in parts:
        result[within(tile.keep, box)] = part
    return result
