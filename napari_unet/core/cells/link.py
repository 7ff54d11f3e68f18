"""Cells of single planes become cells of a stack, and cells of single frames keep their number over time.

What overlaps from section to section, be it planes of a stack or frames of a time-lapse, is matched one to
one and so that the sum of the overlaps is largest; then one missing section is bridged. Numbers change and
nothing else: no pixel is added or taken away. Cells are numbered 1, 2, ... in the order in which they appear.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import ndimage, sparse
from scipy.optimize import linear_sum_assignment
from scipy.sparse.csgraph import connected_components

from napari_unet.core.base import Float64, Ids, Labels

SAME_IN_DEPTH = 0.5
"""Share of the smaller of two areas that a cell's outlines in neighbouring planes have in common."""
SAME_IN_TIME = 0.1
"""IoU from which a cell is the same in the next frame: less is chance, as cells wander."""
WAIST = 0.75
"""Two cells lie on top of each other where the area falls below this part of what it is on either side."""
FRAGMENT = 3
"""Most planes of a fragment; a third of the typical cell's planes where that is fewer."""
IN_MOTHER = 0.3
"""Share of each daughter's area that lay in the mother a frame before."""
ALIKE = 0.7
"""Ratio of the areas of two daughters from which they are a pair."""


def link_cells(labels: Labels, axes: str) -> Labels:
    """Link the cells of int32 ``labels`` through depth and time; ``axes`` are letters of TZYX in any order.

    Each plane has ids of its own (0 is background); the same id in two planes means nothing. Without T and Z
    the labels come back as they are.
    """
    order = [axes.index(axis) for axis in "TZYX" if axis in axes]
    stack = labels.transpose(order)
    if "Z" in axes:
        stack = np.stack([link_planes(frame) for frame in stack]) if "T" in axes else link_planes(stack)
    if "T" in axes:
        stack = link_frames(stack)
    return np.ascontiguousarray(stack.transpose(np.argsort(order)))


def link_planes(labels: Labels) -> Labels:
    """Link the cells of the planes of a stack (Z, Y, X) into cells in depth.

    Outlines in neighbouring planes, or across one plane in which the cell is missing, are one cell where
    half of the smaller lies in the larger. A column of outlines is cut at a waist, where one cell lies on top
    of another. A fragment of few planes, half of which lies over or under a longer cell, is a part of that
    cell that was drawn apart.
    """
    pieces = _Pieces.of(labels)
    tables = [pieces.overlap(plane, plane + 1) for plane in range(len(labels) - 1)]
    links = _Links(len(pieces.areas))
    for table in tables:
        links.match(table, _depth_scores(table, pieces.areas))
    for plane in range(len(labels) - 2):
        table = pieces.overlap(plane, plane + 2)
        links.match(table, _depth_scores(table, pieces.areas))
    columns = [part for chain in links.chains() for part in _cut_waists(chain, pieces.areas, links.scores)]
    return pieces.paint(_join_fragments(columns, pieces.areas, tables))


def link_frames(labels: Labels) -> Labels:
    """Give the cells of the frames of a time-lapse (T, Y, X) or (T, Z, Y, X) one number over time.

    A cell goes on in the next frame, or where it is missing there in the one after, by its IoU with the
    cells of that frame. The daughters of a division get numbers of their own.
    """
    pieces = _Pieces.of(labels)
    tables = [pieces.overlap(frame, frame + 1) for frame in range(len(labels) - 1)]
    links = _Links(len(pieces.areas))
    for table in tables:
        links.match(table, _time_scores(table, pieces.areas))
    for number, table in enumerate(tables):
        for mother, daughters in _find_divisions(table, pieces.areas, links, last=number == len(tables) - 1):
            links.divide(mother, daughters)
    for frame in range(len(labels) - 2):
        table = pieces.overlap(frame, frame + 2)
        links.match(table, _time_scores(table, pieces.areas))
    return pieces.paint(links.chains())


class _Overlap(NamedTuple):
    """Pixels that pieces of two sections have in common: three arrays of one length."""

    before: Ids
    after: Ids
    shared: Ids


@dataclass(frozen=True, slots=True)
class _Pieces:
    """The cells of single sections, numbered from 1 through all sections (S, ...); `areas` in pixels."""

    labels: Labels
    areas: Ids

    @classmethod
    def of(cls, labels: Labels) -> _Pieces:
        """Number the pieces section by section in the order of their first pixels, whatever their ids."""
        numbered = np.zeros(labels.shape, np.int32)
        areas = [np.zeros(1, np.int64)]
        taken = 0
        for section, result in zip(labels, numbered, strict=True):
            inside = section != 0
            ids, first, where, counts = np.unique(
                section[inside], return_index=True, return_inverse=True, return_counts=True
            )
            order = np.argsort(first)
            numbers = np.empty(len(ids), np.int32)
            numbers[order] = np.arange(1, len(ids) + 1) + taken
            result[inside] = numbers[where]
            areas.append(counts[order])
            taken += len(ids)
        return cls(numbered, np.concatenate(areas))

    def overlap(self, before: int, after: int) -> _Overlap:
        """Count the pixels shared by the pieces of two sections."""
        first, second = self.labels[before], self.labels[after]
        both = (first > 0) & (second > 0)
        codes, shared = np.unique(
            first[both].astype(np.int64) * len(self.areas) + second[both], return_counts=True
        )
        return _Overlap(codes // len(self.areas), codes % len(self.areas), shared.astype(np.int64))

    def paint(self, cells: Sequence[Sequence[int]]) -> Labels:
        """Return the labels of cells given as pieces, numbered in the order in which they appear."""
        names = np.zeros(len(self.areas), np.int32)
        for name, cell in enumerate(sorted(cells, key=min), start=1):
            names[list(cell)] = name
        for section in self.labels:
            section[...] = names[section]
        return self.labels


class _Links:
    """Which piece is followed by which: `following` and `previous` hold 0 where there is none.

    `scores` says how well a piece agrees with the one that follows it.
    """

    def __init__(self, count: int) -> None:
        self.following, self.previous = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self.scores = np.zeros(count)
        self.closed_after, self.closed_before = np.zeros(count, np.bool_), np.zeros(count, np.bool_)

    def match(self, table: _Overlap, scores: Float64) -> None:
        """Link pieces that nothing is linked to yet, one to one, where the score is above 0."""
        open_ends = ~self.closed_after[table.before] & ~self.closed_before[table.after]
        keep = np.flatnonzero((scores > 0) & open_ends)
        keep = keep[_assign(table.before[keep], table.after[keep], scores[keep])]
        before, after = table.before[keep], table.after[keep]
        self.following[before], self.previous[after], self.scores[before] = after, before, scores[keep]
        self.closed_after[before] = self.closed_before[after] = True

    def divide(self, mother: int, daughters: Sequence[int]) -> None:
        """End a cell and begin two."""
        self.following[mother] = 0
        self.previous[list(daughters)] = 0
        self.closed_after[mother] = True
        self.closed_before[list(daughters)] = True

    def chains(self) -> list[list[int]]:
        """Return the linked pieces, each chain from its first to its last."""
        following = self.following.tolist()
        chains = []
        for first in np.flatnonzero(self.previous[1:] == 0) + 1:
            chain = [int(first)]
            while following[chain[-1]]:
                chain.append(following[chain[-1]])
            chains.append(chain)
        return chains


def _ious(table: _Overlap, areas: Ids) -> Float64:
    return table.shared / (areas[table.before] + areas[table.after] - table.shared)


def _depth_scores(table: _Overlap, areas: Ids) -> Float64:
    """Score pairs of outlines; 0 for those that are not the same cell.

    A cell may grow and shrink a lot from plane to plane, so one outline need only contain the other; among
    outlines that do, the IoU decides.
    """
    contained = table.shared / np.minimum(areas[table.before], areas[table.after])
    return np.where(contained >= SAME_IN_DEPTH, contained + _ious(table, areas), 0.0)


def _time_scores(table: _Overlap, areas: Ids) -> Float64:
    ious = _ious(table, areas)
    return np.where(ious >= SAME_IN_TIME, ious, 0.0)


def _assign(before: Ids, after: Ids, scores: Float64) -> Ids:
    """Return which pairs to keep so that no piece is in two of them and the sum of the scores is largest.

    Groups of pieces that share no pair are solved apart: they are small, whatever the size of the image.
    """
    rows, row = np.unique(before, return_inverse=True)
    columns, column = np.unique(after, return_inverse=True)
    size = len(rows) + len(columns)
    graph = sparse.coo_array((np.ones(len(scores)), (row, column + len(rows))), shape=(size, size))
    groups = connected_components(graph, directed=False)[1][row] if size else row
    order = np.argsort(groups, kind="stable")
    kept = []
    for group in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1):
        if len(group) < 2:
            kept.append(group)
            continue
        _, y = np.unique(row[group], return_inverse=True)
        _, x = np.unique(column[group], return_inverse=True)
        gain = np.zeros((y.max() + 1, x.max() + 1))
        gain[y, x] = scores[group]
        partner = np.full(len(gain), -1)
        chosen, partners = linear_sum_assignment(gain, maximize=True)
        partner[chosen] = partners
        kept.append(group[partner[y] == x])
    return np.sort(np.concatenate(kept)).astype(np.int64)


def _cut_waists(chain: list[int], areas: Ids, scores: Float64) -> list[list[int]]:
    """Cut a column of outlines where it is much thinner than below and above.

    The profile is smoothed by a median, so that an outline that is too small in one plane is no waist.
    """
    if len(chain) < 3:
        return [chain]
    profile = ndimage.median_filter(areas[chain].astype(np.float64), 3, mode="nearest")
    below = np.maximum.accumulate(profile)
    above = np.maximum.accumulate(profile[::-1])[::-1]
    width = profile / np.minimum(below, above)
    thinnest = int(np.lexsort((areas[chain], width))[0])
    if width[thinnest] >= WAIST:
        return [chain]
    at = thinnest if scores[chain[thinnest - 1]] < scores[chain[thinnest]] else thinnest + 1
    return [*_cut_waists(chain[:at], areas, scores), *_cut_waists(chain[at:], areas, scores)]


def _join_fragments(columns: list[list[int]], areas: Ids, tables: Sequence[_Overlap]) -> list[list[int]]:
    """Join fragments to the longer column that they overlap most in the planes next to them."""
    length = [len(column) for column in columns]
    owner = np.zeros(len(areas), np.int64)
    for number, column in enumerate(columns):
        owner[column] = number
    most = min(FRAGMENT, _typical_length(columns, areas) // 3)
    fragments = [number for number, planes in enumerate(length) if planes <= most]
    neighbours: dict[int, list[tuple[int, float]]] = {p: [] for n in fragments for p in columns[n]}
    for table in tables:
        contained = table.shared / np.minimum(areas[table.before], areas[table.after])
        for before, after, share in zip(*table[:2], contained, strict=True):
            if share >= SAME_IN_DEPTH:
                for piece, neighbour in ((before, after), (after, before)):
                    if piece in neighbours:
                        neighbours[piece].append((neighbour, share))
    for number in sorted(fragments, key=lambda n: (areas[columns[n]].sum(), n)):
        hosts = [
            (share, -owner[neighbour])
            for piece in columns[number]
            for neighbour, share in neighbours[piece]
            if length[owner[neighbour]] > length[number]
        ]
        if hosts:
            host = -max(hosts)[1]
            owner[columns[number]] = host
            columns[host] = columns[host] + columns[number]
            columns[number] = []
    return [column for column in columns if column]


def _typical_length(columns: list[list[int]], areas: Ids) -> int:
    """Return the number of planes of the cell that the median pixel of all cells lies in."""
    lengths = np.array([len(column) for column in columns], np.int64)
    order = np.argsort(lengths)
    volumes = np.cumsum([areas[columns[number]].sum() for number in order])
    return int(lengths[order][np.searchsorted(volumes, volumes[-1] / 2)]) if len(volumes) else 0


def _find_divisions(table: _Overlap, areas: Ids, links: _Links, *, last: bool) -> list[tuple[int, list[int]]]:
    """Return the cells that divide between two frames, each with its two daughters.

    Daughters come in pairs, are alike in size, lay in the mother, and are both there in the next frame too,
    unless this one is the ``last``: a cell that falls apart in one frame and is whole again has not divided.
    """
    previous = links.previous[table.after]
    inside = table.shared >= IN_MOTHER * areas[table.after]
    candidates = np.flatnonzero(inside & ((previous == 0) | (previous == table.before)))
    divisions = []
    for mother, first, count in zip(
        *np.unique(table.before[candidates], return_index=True, return_counts=True), strict=True
    ):
        daughters = table.after[candidates[first : first + count]]  # a table is sorted by `before`
        if count != 2 or links.following[mother] not in daughters:
            continue
        small, large = np.sort(areas[daughters])
        if small >= ALIKE * large and (last or (links.following[daughters] > 0).all()):
            divisions.append((int(mother), [int(daughter) for daughter in daughters]))
    return divisions
