"""What a user does to cells by one click or one stroke: split, merge, delete, draw, extend, smooth and so on.

Each function looks at one plane of labels, int32 (Y, X) with 0 as background, and at a path, (row, column)
points in pixels, which may leave the plane. It returns the change, None where there is nothing to change,
and leaves the plane as it is. No function touches other cells than those it is about, and these keep
their ids.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.draw import line as line_pixels
from skimage.measure import label as label_pieces
from skimage.morphology import h_maxima
from skimage.segmentation import watershed

from napari_unet.core.base import Box, Labels, Mask, slices
from napari_unet.core.cells import measure_cells
from napari_unet.core.review.review import Patch, changed_box

Path = Sequence[Sequence[float]]
Pixels = npt.NDArray[np.int32]

CHIP = 0.02
"""A piece cut off that is smaller than this part of its cell stays with the rest."""
REACH = 3.0
"""A line that ends within so many pixels of the outline is taken across it."""
NECKS = (0.4, 0.3, 0.2, 0.1, 0.05)
"""Depths of the neck where a cell is cut, in parts of the half width of the cell: the deepest comes first."""
GAP = 2
"""Pixels of background that may lie between two pieces of a cell."""
RIM = 3
"""Pixels of background around a cell that are right when the cell is."""
SMOOTHING = 0.05
"""Width of the smoothing, in parts of the diameter of a disc of the cell's area."""

_LAST_ID = int(np.iinfo(np.int32).max)
_DEPTHS = 64  # levels that a pixel of distance is divided into
_AROUND = np.ones((3, 3), np.bool_)


@dataclass(frozen=True, slots=True)
class Change:
    """New labels of one box of a plane: `labels` int32 of the box's shape."""

    box: Box
    labels: Labels

    @classmethod
    def between(cls, plane: Labels, box: Box, labels: Labels) -> Change | None:
        """Return the smallest change that makes `box` of a plane become `labels`, None where it is that."""
        found = changed_box(plane[slices(box)], labels)
        if found is None:
            return None
        moved = tuple((at + start, at + stop) for (at, _), (start, stop) in zip(box, found, strict=True))
        return cls(moved, labels[slices(found)].copy())

    def apply(self, plane: Labels) -> None:
        """Make the change, in place."""
        plane[slices(self.box)] = self.labels


def free_ids(*labels: Labels) -> Iterator[int]:
    """Yield ids that none of the arrays holds: those above the largest, then the gaps."""
    yield from range(max(0, *(int(array.max(initial=0)) for array in labels)) + 1, _LAST_ID + 1)
    used = set(np.concatenate([np.unique(array) for array in labels]).tolist())
    yield from (label for label in itertools.count(1) if label not in used)


def cells_under(plane: Labels, path: Path, radius: float = 0.0) -> list[int]:
    """Return the ids of the cells that a path, or a brush along it, covers; the most covered first."""
    if radius > 0:
        box, brush = _brush(plane, path, radius)
        covered = plane[slices(box)][brush]
    else:
        covered = plane[_trace(plane.shape, path)]
    ids, counts = measure_cells(covered)
    return [int(ids[at]) for at in np.argsort(-counts, kind="stable")]


def cells_inside(plane: Labels, contour: Path) -> list[int]:
    """Return the ids of the cells of which more than half lies inside a contour."""
    box, inside = _fill_contour(plane, contour)
    ids, counts = measure_cells(plane[slices(box)][inside])
    _, areas = measure_cells(plane[np.isin(plane, ids)])
    inner: list[int] = ids[2 * counts > areas].tolist()
    return inner


def split_along(plane: Labels, line: Path, ids: Iterator[int]) -> Change | None:
    """Cut the cell that a line divides, of several the one that most of it lies in.

    The largest piece keeps its id, the others take the next of `ids`. The cell keeps all its pixels.
    """
    reaching = _reach_out(line)
    cut = np.zeros(plane.shape, np.bool_)
    cut[_trace(plane.shape, reaching)] = True
    for cell in cells_under(plane, reaching):
        box = _box_of(plane, [cell])
        mask = plane[slices(box)] == cell
        seeds = _seed_sides(mask, cut[slices(box)])
        if seeds is not None:
            # All that is in reach of a side, the pixels under the line too, goes to the nearest one.
            return _divide(plane, box, watershed(np.zeros(mask.shape), seeds, 2, mask=mask), ids)
    return None


def split_at_neck(plane: Labels, cell: int, ids: Iterator[int]) -> Change | None:
    """Cut a cell at its narrowest neck, where it has any, by a watershed of its distance map.

    The largest piece keeps its id, the others take the next of `ids`. The cell keeps all its pixels.
    """
    box = _box_of(plane, [cell])
    mask = plane[slices(box)] == cell
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    depth = np.round(_DEPTHS * ndimage.gaussian_filter(depth, 1)).astype(np.int64) * mask
    for neck in NECKS:
        peaks = label_pieces(h_maxima(depth, max(1, round(neck * int(depth.max())))), connectivity=2)
        areas = np.bincount(watershed(-depth, peaks, mask=mask).ravel())
        peaks[areas[peaks] < CHIP * np.count_nonzero(mask)] = 0
        if np.unique(peaks[peaks != 0]).size > 1:
            return _divide(plane, box, watershed(-depth, peaks, mask=mask), ids)
    return None


def merge(plane: Labels, cells: Sequence[int]) -> Change | None:
    """Make one cell of several, with the id of the largest, of equals the smallest id."""
    if len(cells) < 2:
        return None
    box = _box_of(plane, cells)
    labels = plane[slices(box)].copy()
    areas = {cell: np.count_nonzero(labels == cell) for cell in sorted(cells)}
    labels[np.isin(labels, cells)] = max(areas, key=lambda cell: areas[cell])
    return Change.between(plane, box, labels)


def join(plane: Labels, piece: int) -> Change | None:
    """Merge a piece with the neighbour along most of its outline, and close the gap between them."""
    neighbour = _find_neighbour(plane, piece)
    if neighbour is None:
        return None
    box = _box_of(plane, [piece, neighbour])
    labels = plane[slices(box)].copy()
    parts = [labels == piece, labels == neighbour]
    kept = max(zip(parts, (piece, neighbour), strict=True), key=lambda pair: (pair[0].sum(), -pair[1]))[1]
    labels[parts[0] | parts[1] | (_between(*parts) & (labels == 0))] = kept
    return Change.between(plane, box, labels)


def _between(first: Mask, second: Mask) -> Mask:
    """Return the pixels that have two masks on opposite sides, at most `GAP` px away both."""
    ways, near = [], np.ones(first.shape, np.bool_)
    for mask in (first, second):
        away, nearest = ndimage.distance_transform_edt(~mask, return_indices=True)
        ways.append(nearest - np.indices(mask.shape))
        near &= away <= GAP
    opposite: Mask = near & ((ways[0] * ways[1]).sum(axis=0) < 0)
    return opposite


def _find_neighbour(plane: Labels, piece: int) -> int | None:
    """Return the cell that lies along most of a piece's outline, `GAP` px away at most; None for none."""
    labels = plane[slices(_box_of(plane, [piece], GAP + 2))]
    others = (labels != 0) & (labels != piece)
    if not others.any():
        return None
    away, nearest = ndimage.distance_transform_edt(~others, return_indices=True)
    own = labels == piece
    outline = own & ~ndimage.binary_erosion(own) & (away < GAP + 1.5)
    ids, lengths = measure_cells(labels[tuple(nearest)][outline])
    return int(ids[lengths.argmax()]) if ids.size else None


def delete(plane: Labels, cells: Sequence[int]) -> Change | None:
    """Clear some cells."""
    if not cells:
        return None
    box = _box_of(plane, cells)
    labels = plane[slices(box)].copy()
    labels[np.isin(labels, cells)] = 0
    return Change.between(plane, box, labels)


def draw(plane: Labels, contour: Path, ids: Iterator[int]) -> Change | None:
    """Make a new cell of the background inside a contour, of several pieces the largest."""
    box, inside = _fill_contour(plane, contour)
    labels = plane[slices(box)].copy()
    free = _largest_piece(inside & (labels == 0))
    if not free.any():
        return None
    labels[free] = next(ids)
    return Change.between(plane, box, labels)


def extend(plane: Labels, cell: int, path: Path, radius: float) -> Change | None:
    """Give a cell the background under a brush, as far as it hangs together with it."""
    box, brush = _brush(plane, path, radius)
    labels = plane[slices(box)].copy()
    own = labels == cell
    pieces = label_pieces(own | (brush & (labels == 0)), connectivity=1)
    labels[np.isin(pieces, np.unique(pieces[own])) & (pieces != 0)] = cell
    return Change.between(plane, box, labels)


def shave(plane: Labels, cell: int, path: Path, radius: float) -> Change | None:
    """Take from a cell what is under a brush."""
    box, brush = _brush(plane, path, radius)
    labels = plane[slices(box)].copy()
    labels[brush & (labels == cell)] = 0
    return Change.between(plane, box, labels)


def fill_holes(plane: Labels, cells: Sequence[int]) -> Change | None:
    """Fill the background that each of some cells encloses."""

    def fill(labels: Labels, cell: int) -> None:
        labels[ndimage.binary_fill_holes(labels == cell) & (labels == 0)] = cell

    return _change_each(plane, cells, fill, margin=0.0)


def smooth(plane: Labels, cells: Sequence[int]) -> Change | None:
    """Round off the outlines of some cells, where they border on background."""
    return _change_each(plane, cells, _smooth_one, margin=1.0)


def surround(plane: Labels, cells: Sequence[int], rim: int = RIM) -> Patch | None:
    """Return the pixels of some cells and of the background up to `rim` pixels around them."""
    if not cells:
        return None
    box = _box_of(plane, cells, rim)
    labels = plane[slices(box)]
    own = np.isin(labels, cells)
    near = ndimage.distance_transform_edt(~own) <= rim
    return Patch(box, own | (near & (labels == 0)))


def _trace(shape: Sequence[int], path: Path) -> tuple[Pixels, Pixels]:
    """Return rows and columns of the pixels of a plane that a path runs through, one touching the next."""
    points = np.round(np.asarray(path, float).reshape(-1, 2)).astype(int)
    segments = [
        line_pixels(*first, *last) for first, last in itertools.pairwise(points[[0, *range(len(points))]])
    ]
    rows, columns = (np.concatenate(parts) for parts in zip(*segments, strict=True))
    inside = (rows >= 0) & (columns >= 0) & (rows < shape[0]) & (columns < shape[1])
    return rows[inside], columns[inside]


def _reach_out(line: Path) -> Path:
    """Return a line that goes on at both ends, straight, by `REACH` pixels."""
    points = np.asarray(line, float).reshape(-1, 2)

    def beyond(ends: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        steps = ends[0] - ends
        lengths = np.hypot(*steps.T)
        far = np.flatnonzero(lengths >= REACH)  # a hand trembles: one pixel gives no direction
        at = int(far[0]) if far.size else int(lengths.argmax())
        return ends[0] + steps[at] * REACH / max(lengths[at], 1e-9)

    reaching: Path = np.vstack([beyond(points), points, beyond(points[::-1])]).tolist()
    return reaching


def _box_of(plane: Labels, cells: Sequence[int], margin: float = 0.0) -> Box:
    """Return the smallest box that holds all pixels of some cells, with a margin as far as there is room."""
    hits = plane == cells[0] if len(cells) == 1 else np.isin(plane, cells)
    found = (np.flatnonzero(hits.any(axis=1)), np.flatnonzero(hits.any(axis=0)))
    room = int(np.ceil(margin))
    return tuple(
        (max(0, int(at[0]) - room), min(size, int(at[-1]) + 1 + room))
        for at, size in zip(found, plane.shape, strict=True)
    )


def _seed_sides(mask: Mask, cut: Mask) -> Pixels | None:
    """Return the numbered parts of a cell on the sides of a cut, None where it does not divide the cell."""
    parts = label_pieces(mask & ~cut, connectivity=1)
    beside = parts[ndimage.binary_dilation(cut & mask, _AROUND)]
    sides = np.unique(beside[beside != 0])
    sides = sides[np.bincount(parts.ravel())[sides] >= CHIP * np.count_nonzero(mask)]
    return np.where(np.isin(parts, sides), parts, 0).astype(np.int32) if sides.size > 1 else None


def _divide(plane: Labels, box: Box, pieces: Pixels, ids: Iterator[int]) -> Change | None:
    """Give all but the largest of the numbered pieces of a cell new ids."""
    areas = np.bincount(pieces.ravel())
    areas[0] = 0
    labels = plane[slices(box)].copy()
    for piece in np.argsort(-areas, kind="stable")[1 : np.count_nonzero(areas)]:
        labels[pieces == piece] = next(ids)
    return Change.between(plane, box, labels)


def _change_each(
    plane: Labels, cells: Sequence[int], edit: Callable[[Labels, int], None], margin: float
) -> Change | None:
    """Let `edit` change some cells in place, one by one, in a box with a margin in parts of their size."""
    if not cells:
        return None
    tight = _box_of(plane, cells)
    box = _box_of(plane, cells, margin * max(stop - start for start, stop in tight))
    labels = plane[slices(box)].copy()
    for cell in cells:
        edit(labels, cell)
    return Change.between(plane, box, labels)


def _smooth_one(labels: Labels, cell: int) -> None:
    own = labels == cell
    width = max(1.0, SMOOTHING * 2 * float(np.sqrt(np.count_nonzero(own) / np.pi)))
    # Other cells and what lies outside the image have no say, so that borders with them stay.
    theirs_to_say = (own | (labels == 0)).astype(float)
    weights = ndimage.gaussian_filter(theirs_to_say, width, mode="constant")
    share = ndimage.gaussian_filter(own.astype(float), width, mode="constant")
    smoothed = _largest_piece((share > 0.5 * weights) & (theirs_to_say > 0))
    if smoothed.any():
        labels[own] = 0
        labels[smoothed] = cell


def _largest_piece(mask: Mask) -> Mask:
    if not mask.any():
        return mask
    pieces = label_pieces(mask, connectivity=1)
    areas = np.bincount(pieces.ravel())
    areas[0] = 0
    return (pieces == areas.argmax()) & mask


def _fill_contour(plane: Labels, contour: Path) -> tuple[Box, Mask]:
    """Return the pixels of a plane inside a contour and under it, none where it is a line, and a box around.

    The contour is closed by a straight line. What of it is outside the plane runs along the border.
    """
    points = np.clip(np.asarray(contour, float).reshape(-1, 2), -1, plane.shape)
    corner = np.floor(points.min(axis=0)).astype(int) - 1
    outline = np.zeros(np.ceil(points.max(axis=0)).astype(int) - corner + 2, np.bool_)
    outline[_trace(outline.shape, [*(points - corner), points[0] - corner])] = True
    pieces = label_pieces(~outline, connectivity=1)
    filled = (pieces != pieces[0, 0]) & (pieces.max() > 1)
    box = tuple(
        (max(0, int(start)), min(size, int(start) + length))
        for start, length, size in zip(corner, outline.shape, plane.shape, strict=True)
    )
    inside = tuple(
        slice(start - at, stop - at) for (start, stop), at in zip(box, corner.tolist(), strict=True)
    )
    return box, filled[inside]


def _brush(plane: Labels, path: Path, radius: float) -> tuple[Box, Mask]:
    """Return the pixels of a plane nearer than `radius`, at least one, to a path, and a box around."""
    points = np.asarray(path, float).reshape(-1, 2)
    box = _clip(plane, points.min(axis=0), points.max(axis=0), radius + 1)
    away = np.ones([stop - start for start, stop in box], np.bool_)
    rows, columns = _trace(plane.shape, path)
    away[rows - box[0][0], columns - box[1][0]] = False
    if away.all():
        return box, ~away
    return box, ndimage.distance_transform_edt(away) < max(radius, 0.5)


def _clip(plane: Labels, first: Sequence[float], last: Sequence[float], room: float) -> Box:
    """Return the part of a plane between two corners, with some room around, which may be empty."""
    sides = []
    for low, high, size in zip(first, last, plane.shape, strict=True):
        start = min(max(0, int(np.floor(low - room))), size)
        sides.append((start, max(start, min(size, int(np.ceil(high + room)) + 1))))
    return tuple(sides)
