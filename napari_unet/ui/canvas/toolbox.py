"""What arms one of the tools, by its button or its key, and applies it to the labels that are shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from app_model.types import KeyCode
from napari.layers import Labels
from psygnal import Signal
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication

from napari_unet.core.base import InputError, slices
from napari_unet.core.base import Labels as Plane
from napari_unet.core.review import Change, Patch, Suggestion, cells_under, edits, grow_at
from napari_unet.jobs import read_window
from napari_unet.session import OpenImage, OpenImages
from napari_unet.ui.canvas.edit_watch import EditWatch
from napari_unet.ui.canvas.history import StepHistory
from napari_unet.ui.canvas.layers import key_of, shown_plane
from napari_unet.ui.canvas.stroke import Stroke, StrokePreview, find_pointer
from napari_unet.ui.canvas.tools import ACCEPT, DELETE, DRAW, EXTEND, MERGE, TOOLS, Tool

_OTHER_TOOL = (KeyCode.Digit6, KeyCode.KeyZ)  # napari's pan and zoom, the mode that its layer is in already


class ToolBox:
    """Arms one tool at a time on the labels layer of one image, and applies it to the plane that is shown.

    The key of a tool arms it, and is a click where the pointer is: at once over a cell, but for those that
    draw, and anywhere once the tool is armed. No tool is put away by its key.
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
        self._bound: tuple[KeyCode | str, ...] = ()
        viewer.layers.selection.events.active.connect(self._on_active)

    def toggle(self, name: str) -> None:
        """Arm a tool, or disarm it if it is the one that is armed: its button was pressed again."""
        wanted = next(tool for tool in TOOLS if tool.name == name)
        again = wanted is self.armed
        self.disarm()
        layer = self._watch.find(self.image.key) if self.image is not None else None
        if layer is not None and not again:
            self._arm(wanted, layer)

    def press(self, name: str) -> None:
        """Arm a tool by its key; where the pointer is over a cell, do what a click would do as well."""
        if self.armed is None or self.armed.name != name:
            self.toggle(name)
        if self._layer is not None and self.armed is not None and self.armed.acts_at_once:
            self._apply_at_pointer(self._layer, on_cell=True)

    def disarm(self) -> None:
        """Let the mouse move the view again."""
        layer, self._layer, self.armed = self._layer, None, None
        if layer is not None:
            layer.mouse_drag_callbacks.remove(self._on_drag)
            layer.events.mode.disconnect(self._on_other_tool)
            for key in self._bound:
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
        layer.bind_key(
            tool.key, lambda layer: self._apply_at_pointer(layer), overwrite=True
        )  # napari ignores repeats of keys held
        self._bound = (KeyCode.Escape, KeyCode.Space, *_OTHER_TOOL, tool.key)
        self._numbered = None
        self._layer, self.armed, self._first, self._panning = layer, tool, [], False
        self.say(tool.hint)

    def say(self, hint: str) -> None:
        """Show what to do, or what came of it, in place of the armed tool's hint."""
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
        if not self._shows_plane():
            return
        index = _leading(layer, event.position)
        if tool is EXTEND:
            yield from self._extend_or_shave(layer, index, event)
            return
        stroke = Stroke(with_shift="Shift" in event.modifiers)
        preview = StrokePreview.over(event)
        while True:
            stroke.points.append(_point(layer, event.position))
            stroke.places.append(tuple(event.pos))
            preview.show_places(stroke.places, closed=tool is DRAW or (tool is DELETE and stroke.is_loop))
            if event.type == "mouse_release":
                break
            yield
        preview.remove()
        if tool is self.armed:
            self._apply(tool, layer, index, stroke)

    def _shows_plane(self) -> bool:
        dims = self._viewer.dims
        if sorted(dims.displayed) == list(range(dims.ndim))[-2:]:
            return True
        self.say("Show rows and columns, in 2D, to see which pixels are meant.")
        return False

    def _apply_at_pointer(self, layer: Labels, *, on_cell: bool = False) -> None:
        """Do what a click where the pointer is would do, if wanted only where there is a cell."""
        tool = self.armed
        if tool is None or not layer.visible or QApplication.mouseButtons() != Qt.MouseButton.NoButton:
            return
        position = find_pointer(self._viewer)
        if on_cell and (position is None or not self._is_cell_at(layer, position)):
            return
        if tool is EXTEND:
            self.say(tool.hint)
        elif position is None:
            self.say(f"Move the pointer over a cell, then press {tool.key}.")
        elif self._shows_plane():
            stroke = Stroke([_point(layer, position)], by_key=True)
            self._apply(tool, layer, _leading(layer, position), stroke)

    def _is_cell_at(self, layer: Labels, position: Sequence[float]) -> bool:
        plane = np.asarray(layer.data)[_leading(layer, position)]
        return self._shows_plane() and bool(cells_under(plane, [_point(layer, position)]))

    def _apply(self, tool: Tool, layer: Labels, index: tuple[int, ...], stroke: Stroke) -> None:
        plane = np.asarray(layer.data)[index]
        if tool is ACCEPT:
            self._accept(layer, plane, stroke)
        elif tool is DRAW and stroke.is_click:
            self._grow(layer, index, plane, stroke.points[0])
        elif tool is MERGE and stroke.is_click and not stroke.by_key:
            self._merge_one_more(layer, index, cells_under(plane, stroke.points[:1]))
        elif tool.edit is not None:
            change = tool.edit(plane, stroke, self._free_ids(layer))
            miss = (stroke.is_click and tool.miss_at) or tool.miss
            self.say(tool.hint if change else miss)
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
        self.say("Now click the piece that belongs to it." if self._first else MERGE.hint)

    def _grow(self, layer: Labels, index: tuple[int, ...], plane: Plane, point: tuple[float, float]) -> None:
        """Draw the cell that the image shows at a point, or draw that which is there anew."""
        image = self.image
        if image is None:
            return
        shown = shown_plane(self._viewer, layer, image.grid)
        known = bool(cells_under(plane, [point]))
        try:
            change = grow_at(
                plane,
                lambda box: read_window(image.source.data, image.grid, shown, box, image.channel),
                point,
                self._free_ids(layer),
            )
        except InputError as error:
            self.say(str(error))
            return
        if change is None:
            seen = "The image shows no other outline here" if known else "No cell stands out here"
            self.say(f"{seen}: draw around it with the button held down.")
        else:
            self.say(DRAW.hint)
        _write(layer, index, change)

    def _accept(self, layer: Labels, plane: Plane, stroke: Stroke) -> None:
        image = self.image
        patch = edits.surround(plane, cells_under(plane, stroke.points))
        if patch is None or image is None or image.review is None:
            self.say(ACCEPT.miss)
            return
        change = self._images.take_back if stroke.with_shift else self._images.accept
        flipped = change(image.key, patch, shown_plane(self._viewer, layer, image.grid))
        self.history.note(layer, flipped)
        if stroke.with_shift:
            self.say("No longer accepted." if flipped is not None else "It was not accepted.")
        else:
            self.say("Accepted. Shift-click takes that back." if flipped is not None else "Already accepted.")

    def _flip(self, layer: Labels, patch: Patch) -> None:
        self._images.flip(key_of(layer, "image") or "", patch)
        self.say(self.armed.hint if self.armed else "")

    def _extend_or_shave(self, layer: Labels, index: tuple[int, ...], event: Any) -> Iterator[None]:
        plane, radius = np.asarray(layer.data)[index], layer.brush_size / 2
        path = [_point(layer, event.position)]
        cells = cells_under(plane, path)
        edit = edits.extend if cells else edits.shave
        with layer.block_history():
            while True:
                cells = cells or cells_under(plane, path, radius)
                _write(layer, index, edit(plane, cells[0], path, radius) if cells else None)
                if event.type == "mouse_release":
                    return
                yield
                path = [path[-1], _point(layer, event.position)]


def _point(layer: Labels, position: Sequence[float]) -> tuple[float, float]:
    """Return the (row, column) of a layer at a position of the world."""
    row, column = layer.world_to_data(position)[-2:]
    return float(row), float(column)


def _leading(layer: Labels, position: Sequence[float]) -> tuple[int, ...]:
    """Return the index, along all axes but rows and columns, of the plane at a position of the world."""
    steps = np.round(layer.world_to_data(position)[:-2])
    return tuple(int(np.clip(at, 0, size - 1)) for at, size in zip(steps, layer.data.shape, strict=False))


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
