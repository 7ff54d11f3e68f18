"""The tools that correct a cell by one key, click or stroke: names, keys, hints, and what each does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from napari_unet.core.base import Labels as Plane
from napari_unet.core.review import Change, cells_inside, cells_under, edits
from napari_unet.ui.canvas.stroke import Stroke

Edit = Callable[[Plane, Stroke, Iterator[int]], Change | None]


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool: what its button says, its key, what to do with it, and what to say where that did nothing.

    `miss` is about a stroke, and about a click where `miss_at` is empty. `acts_at_once` says whether the key
    that takes it up is a click as well.
    """

    name: str
    text: str
    key: str
    hint: str
    edit: Edit | None = None
    miss: str = "There is no cell."
    miss_at: str = ""
    acts_at_once: bool = True


def _split(plane: Plane, stroke: Stroke, ids: Iterator[int]) -> Change | None:
    if not stroke.is_click:
        return edits.split_along(plane, stroke.points, ids)
    cells = cells_under(plane, stroke.points[:1])
    return edits.split_at_neck(plane, cells[0], ids) if cells else None


def _delete(plane: Plane, stroke: Stroke, _ids: Iterator[int]) -> Change | None:
    inside = cells_inside(plane, stroke.points) if stroke.is_loop else []
    return edits.delete(plane, inside or cells_under(plane, stroke.points))


def _merge(plane: Plane, stroke: Stroke, _ids: Iterator[int]) -> Change | None:
    cells = cells_under(plane, stroke.points)
    if stroke.by_key:
        return edits.join(plane, cells[0]) if cells else None
    return edits.merge(plane, cells)


def _draw(plane: Plane, stroke: Stroke, ids: Iterator[int]) -> Change | None:
    return edits.draw(plane, stroke.points, ids)


def _on_cells(edit: Callable[[Plane, Sequence[int]], Change | None]) -> Edit:
    return lambda plane, stroke, _: edit(plane, cells_under(plane, stroke.points))


SPLIT = Tool(
    "split",
    "Split",
    "S",
    "Press S over a cell, or click it, to cut at its neck; or draw a line across.",
    _split,
    "Not divided: draw the line from background to background.",
    "There is no neck to cut: draw a line across a cell.",
)
MERGE = Tool(
    "merge",
    "Merge",
    "J",
    "Press J over a piece to join it, or draw a line over the pieces.",
    _merge,
    "Draw the line over two cells at least.",
    "There is no cell with a neighbour that touches it: draw a line over the pieces.",
)
DELETE = Tool(
    "delete",
    "Delete",
    "D",
    "Press D over a cell, or click it; or draw over or around several.",
    _delete,
)
DRAW = Tool(
    "draw",
    "Draw",
    "N",
    "Click a missed or wrong cell, press N again over it, or draw around it.",
    _draw,
    "Draw around it with the button held down; other cells stay.",
    acts_at_once=False,
)
EXTEND = Tool(
    "grow",
    "Extend",
    "G",
    "Paint out of a cell to extend it, into it to shave it. Width: [ and ]",
    acts_at_once=False,
)
SMOOTH = Tool(
    "smooth",
    "Smooth",
    "O",
    "Press O over a cell to smooth it, or click it, or draw over several.",
    _on_cells(edits.smooth),
    "There is nothing to smooth.",
)
FILL = Tool(
    "fill_holes",
    "Holes",
    "H",
    "Press H over a cell to fill its holes, or click it, or draw over several.",
    _on_cells(edits.fill_holes),
    "There is no hole.",
)
ACCEPT = Tool(
    "accept",
    "Accept",
    "A",
    "Press A over a right cell, or click it; Shift-click takes that back.",
)
TOOLS = (SPLIT, MERGE, DELETE, DRAW, EXTEND, SMOOTH, FILL, ACCEPT)
