"""The tools that correct a cell by one click or one stroke on the canvas, armed by a button or a key."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from app_model.types import KeyCode
from napari.layers import Labels
from psygnal import Signal
from qtpy.QtCore import QPointF, Qt, QTimer
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QApplication, QWidget

from napari_unet.app.images import OpenImages
from napari_unet.app.opened import OpenImage
from napari_unet.core import edits
from napari_unet.core.corrections import Labels as Plane
from napari_unet.core.corrections import Patch, slices
from napari_unet.core.edits import Change, cells_inside, cells_under
from napari_unet.core.suggestion import Suggestion
from napari_unet.ui.edits import EditWatch
from napari_unet.ui.history import StepHistory
from napari_unet.ui.layers import key_of, shown_plane

_TREMBLE = 4
"""A stroke that leaves no box of so many pixels of the screen is a click."""
_CLOSED = 0.25
"""A stroke is a loop when its ends are nearer to each other than this part of its length."""
_OTHER_TOOL = (KeyCode.Digit6, KeyCode.KeyZ)  # napari's pan and zoom, the mode that its layer is in already


@dataclass(slots=True)
class Stroke:
    """A stroke of the mouse: its points as (row, column) of the plane and as (x, y) of the canvas."""

    points: list[tuple[float, float]] = field(default_factory=list)
    places: list[tuple[float, float]] = field(default_factory=list)

    @property
    def is_click(self) -> bool:
        """Whether the mouse hardly moved."""
        return bool(np.ptp(self.places, axis=0).max() < _TREMBLE)

    @property
    def is_loop(self) -> bool:
        """Whether it ends near its beginning."""
        steps = np.diff(self.places, axis=0, append=self.places[:1])
        lengths = np.hypot(*steps.T)
        return not self.is_click and bool(lengths[-1] <= _CLOSED * lengths[:-1].sum())


Edit = Callable[[Plane, Stroke, Iterator[int]], Change | None]


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool: what its button says, its key, what to do with it, and what to say where that did nothing."""

    name: str
    text: str
    key: str
    hint: str
    edit: Edit | None = None
    miss: str = "There is no cell."


def _split(plane: Plane, stroke: Stroke, ids: Iterator[int]) -> Change | None:
    if not stroke.is_click:
        return edits.split_along(plane, stroke.points, ids)
    cells = cells_under(plane, stroke.points[:1])
    return edits.split_at_neck(plane, cells[0], ids) if cells else None


def _delete(plane: Plane, stroke: Stroke, _ids: Iterator[int]) -> Change | None:
    inside = cells_inside(plane, stroke.points) if stroke.is_loop else []
    return edits.delete(plane, inside or cells_under(plane, stroke.points))


def _draw(plane: Plane, stroke: Stroke, ids: Iterator[int]) -> Change | None:
    return None if stroke.is_click else edits.draw(plane, stroke.points, ids)


def _on_cells(edit: Callable[[Plane, Sequence[int]], Change | None]) -> Edit:
    return lambda plane, stroke, _: edit(plane, cells_under(plane, stroke.points))


SPLIT = Tool(
    "split",
    "Split",
    "S",
    "Draw a line across a cell, or click it to cut it at its neck.",
    _split,
    "Not divided: draw the line from background to background.",
)
MERGE = Tool(
    "merge",
    "Merge",
    "J",
    "Draw a line over the pieces of a cell, or click one, then the other.",
    _on_cells(edits.merge),
    "Draw the line over two cells at least.",
)
DELETE = Tool(
    "delete", "Delete", "D", "Click a cell, draw a line over several, or a loop around many.", _delete
)
DRAW = Tool(
    "draw",
    "Draw",
    "N",
    "Draw around a cell that was missed.",
    _draw,
    "Draw around it with the button held down; other cells stay.",
)
EXTEND = Tool("grow", "Extend", "G", "Paint out of a cell to extend it, into it to shave it. Width: [ and ]")
SMOOTH = Tool(
    "smooth",
    "Smooth",
    "O",
    "Click a cell, or draw over several, to smooth the outline.",
    _on_cells(edits.smooth),
    "There is nothing to smooth.",
)
FILL = Tool(
    "fill_holes",
    "Holes",
    "H",
    "Click a cell, or draw over several, to fill the holes.",
    _on_cells(edits.fill_holes),
    "There is no hole.",
)
ACCEPT = Tool("accept", "Accept", "A", "Click a cell that is right as it is; click again to take that back.")
TOOLS = (SPLIT, MERGE, DELETE, DRAW, EXTEND, SMOOTH, FILL, ACCEPT)


class ToolBox:
    """Arms one tool at a time on the labels layer of one image, and applies it to the plane that is shown.

    What a tool does is one step of `history`. `image` is the one to work on. `changed(name, hint)` is
    emitted with the armed tool's name, empty for none, and what to say about it.
    """

    changed = Signal(str, str)

    def __init__(self, viewer: Any, watch: EditWatch, images: OpenImages) -> None:
        self.image: OpenImage | None = None
        self.armed: Tool | None = None
        self.history = StepHistory(self._flip)
        self._viewer = viewer
        self._watch = watch
        self._images = images
        self._layer: Labels | None = None
        self._ids: Iterator[int] = iter(())
        self._numbered: object = None  # the labels that these ids are free in
        self._first: list[int] = []  # what the first of two clicks has chosen
        self._panning = False
        viewer.layers.selection.events.active.connect(self._on_active)

    def toggle(self, name: str) -> None:
        """Arm a tool, or disarm it if it is the one that is armed."""
        wanted = next(tool for tool in TOOLS if tool.name == name)
        again = wanted is self.armed
        self.disarm()
        layer = self._watch.find(self.image.key) if self.image is not None else None
        if layer is not None and not again:
            self._arm(wanted, layer)

    def disarm(self) -> None:
        """Let the mouse move the view again."""
        layer, self._layer, self.armed = self._layer, None, None
        if layer is not None:
            layer.mouse_drag_callbacks.remove(self._on_drag)
            layer.events.mode.disconnect(self._on_other_tool)
            for key in (KeyCode.Escape, KeyCode.Space, *_OTHER_TOOL):
                layer.bind_key(key, None)
            if layer.mode == "pan_zoom":
                layer.mouse_pan, layer.cursor = True, "standard"
        self.changed.emit("", "")

    def stop(self) -> None:
        """Leave the viewer and its layers as they were."""
        self.changed.disconnect()
        self.disarm()
        self._viewer.layers.selection.events.active.disconnect(self._on_active)
        self.history.stop()

    def _arm(self, tool: Tool, layer: Labels) -> None:
        self._viewer.layers.selection.active = layer
        layer.visible = True
        layer.mode = "pan_zoom"
        layer.mouse_pan, layer.cursor = False, "cross"
        if tool is EXTEND:
            layer.brush_size = layer.brush_size  # napari sizes the circle to it
            layer.cursor = "circle"
        layer.mouse_drag_callbacks.append(self._on_drag)
        layer.events.mode.connect(self._on_other_tool)
        for key in (KeyCode.Escape, *_OTHER_TOOL):
            layer.bind_key(key, lambda _: self.disarm(), overwrite=True)
        layer.bind_key(KeyCode.Space, self._pan, overwrite=True)
        self._numbered = None
        self._layer, self.armed, self._first, self._panning = layer, tool, [], False
        self._say(tool.hint)

    def _say(self, hint: str) -> None:
        self.changed.emit(self.armed.name if self.armed else "", hint)

    def _pan(self, layer: Labels) -> Iterator[None]:
        """Move the view as long as a key is held."""
        layer.mouse_pan = self._panning = True
        yield
        layer.mouse_pan = self._panning = False

    def _on_other_tool(self, _event: Any) -> None:
        self.disarm()

    def _on_active(self, _event: Any) -> None:
        # Not before all is done: an overlay may be put in and the selection put back.
        QTimer.singleShot(0, self._check_active)

    def _check_active(self) -> None:
        if self._layer is not None and self._viewer.layers.selection.active is not self._layer:
            self.disarm()

    def _on_drag(self, layer: Labels, event: Any) -> Iterator[None]:
        tool = self.armed
        if tool is None or self._panning or event.button != 1 or not layer.visible:
            return
        displayed = tuple(self._viewer.dims.displayed)
        if sorted(displayed) != list(range(self._viewer.dims.ndim))[-2:]:
            self._say("Show rows and columns, in 2D, to see which pixels are meant.")
            return
        index = _leading(layer, event)
        if tool is EXTEND:
            yield from self._extend_or_shave(layer, index, event)
            return
        stroke, preview = Stroke(), StrokePreview.over(event)
        while True:
            stroke.points.append(_point(layer, event))
            stroke.places.append(tuple(event.pos))
            preview.show_places(stroke.places, closed=tool is DRAW or (tool is DELETE and stroke.is_loop))
            if event.type == "mouse_release":
                break
            yield
        preview.remove()
        if tool is self.armed:
            self._apply(tool, layer, index, stroke)

    def _apply(self, tool: Tool, layer: Labels, index: tuple[int, ...], stroke: Stroke) -> None:
        plane = np.asarray(layer.data)[index]
        if tool is ACCEPT:
            self._accept(layer, plane, stroke)
        elif tool is MERGE and stroke.is_click:
            self._merge_one_more(layer, index, cells_under(plane, stroke.points[:1]))
        elif tool.edit is not None:
            change = tool.edit(plane, stroke, self._free_ids(layer))
            self._say(tool.hint if change else tool.miss)
            _write(layer, index, change)

    def take(self, layer: Labels, index: tuple[int, ...], suggestion: Suggestion) -> None:
        """Make the cells of a plane of a layer as is suggested, as one step."""
        plane = np.asarray(layer.data)[index]
        _write(layer, index, suggestion.plan(plane, self._free_ids(layer)))

    def _free_ids(self, layer: Labels) -> Iterator[int]:
        """Return ids that no cell has, nor any predicted one: a deleted cell's id must not mean another."""
        if self._numbered is not layer.data:
            review = self.image.review if self.image is not None else None
            predicted = [review.prediction] if review is not None else []
            self._numbered, self._ids = layer.data, edits.free_ids(np.asarray(layer.data), *predicted)
        return self._ids

    def _merge_one_more(self, layer: Labels, index: tuple[int, ...], clicked: list[int]) -> None:
        plane = np.asarray(layer.data)[index]
        pair = [cell for cell in self._first if cell not in clicked and (plane == cell).any()] + clicked
        change = edits.merge(plane, pair) if clicked else None
        _write(layer, index, change)
        self._first = [] if change else clicked
        self._say("Now click the piece that belongs to it." if self._first else MERGE.hint)

    def _accept(self, layer: Labels, plane: Plane, stroke: Stroke) -> None:
        image = self.image
        patch = edits.surround(plane, cells_under(plane, stroke.points))
        if patch is None or image is None or image.review is None:
            self._say(ACCEPT.miss)
            return
        flipped = self._images.accept(image.key, patch, shown_plane(self._viewer, layer, image.grid))
        if flipped is not None:
            self.history.note(layer, flipped)
            marked = image.review.marked[slices(flipped.box)][flipped.pixels].all()
            self._say("Accepted; click again to take that back." if marked else "No longer accepted.")

    def _flip(self, layer: Labels, patch: Patch) -> None:
        self._images.flip(key_of(layer, "image") or "", patch)

    def _extend_or_shave(self, layer: Labels, index: tuple[int, ...], event: Any) -> Iterator[None]:
        plane, radius = np.asarray(layer.data)[index], layer.brush_size / 2
        path = [_point(layer, event)]
        cells = cells_under(plane, path)
        edit = edits.extend if cells else edits.shave
        with layer.block_history():
            while True:
                cells = cells or cells_under(plane, path, radius)
                _write(layer, index, edit(plane, cells[0], path, radius) if cells else None)
                if event.type == "mouse_release":
                    return
                yield
                path = [path[-1], _point(layer, event)]


class StrokePreview(QWidget):
    """The line that is being drawn, on top of the canvas."""

    @classmethod
    def over(cls, event: Any) -> StrokePreview:
        """Return a preview on the widget that a mouse event of napari came to."""
        return cls(QApplication.widgetAt(event.native.globalPosition().toPoint()))

    def __init__(self, canvas: QWidget | None) -> None:
        super().__init__(canvas)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._line = QPolygonF()
        if canvas is not None:
            self.resize(canvas.size())

    def show_places(self, places: Sequence[tuple[float, float]], *, closed: bool) -> None:
        """Show a line through places (x, y) of the canvas, and back to the first where it is `closed`."""
        self._line = QPolygonF([QPointF(*place) for place in (*places, *places[: int(closed)])])
        self.setVisible(self.parent() is not None)
        self.update()

    def remove(self) -> None:
        """Show it no longer."""
        self.hide()
        self.deleteLater()

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """Paint the line so that it is seen on dark and on light."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for colour, width in (("black", 4), ("white", 2)):
            painter.setPen(QPen(QColor(colour), width))
            painter.drawPolyline(self._line)


def _point(layer: Labels, event: Any) -> tuple[float, float]:
    """Return the (row, column) of a layer that a mouse event points at."""
    row, column = layer.world_to_data(event.position)[-2:]
    return float(row), float(column)


def _leading(layer: Labels, event: Any) -> tuple[int, ...]:
    """Return the index, along all axes but rows and columns, of the plane that a mouse event points at."""
    position = np.round(layer.world_to_data(event.position)[:-2])
    return tuple(int(np.clip(at, 0, size - 1)) for at, size in zip(position, layer.data.shape, strict=False))


def _write(layer: Labels, index: tuple[int, ...], change: Change | None) -> None:
    """Make a change of one plane of a layer, as one step of napari's history."""
    if change is None:
        return
    here = slices(change.box)
    rows, columns = np.nonzero(np.asarray(layer.data)[index][here] != change.labels)
    values = change.labels[rows, columns]
    leading = [np.full(rows.size, at) for at in index]
    (top, _), (left, _) = change.box
    layer.data_setitem((*leading, rows + top, columns + left), values)
