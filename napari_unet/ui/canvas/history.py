"""Undo and redo of all that is done to labels by hand, strokes, tools and marks, in the order it was done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from app_model.types import KeyCode, KeyMod
from napari.layers import Labels

from napari_unet.core.review import Patch

UNDO = KeyMod.CtrlCmd | KeyCode.KeyZ
REDO = KeyMod.CtrlCmd | KeyMod.Shift | KeyCode.KeyZ
_LIMIT = 100  # steps, as in napari


@dataclass(slots=True)
class _Steps:
    """Steps of one layer, the last one last: None is one of napari's own, a patch is one of marking."""

    done: list[Patch | None] = field(default_factory=list)
    undone: list[Patch | None] = field(default_factory=list)


class StepHistory:
    """Takes over the keys of napari's undo and redo on the layers that it follows.

    napari keeps what was painted, and says when that is a step more; marks are not in the layer, and are
    kept here. `flip(layer, patch)` takes marks back, and makes them again.
    """

    def __init__(self, flip: Callable[[Labels, Patch], object]) -> None:
        self._flip = flip
        self._steps: WeakKeyDictionary[Labels, _Steps] = WeakKeyDictionary()

    def follow(self, layer: Labels) -> None:
        """Begin to note the steps of a layer."""
        self._steps[layer] = _Steps()
        layer.events.paint.connect(self._on_paint)
        layer.events.editable.connect(self._on_editable)
        layer.bind_key(UNDO, self.undo, overwrite=True)
        layer.bind_key(REDO, self.redo, overwrite=True)

    def stop(self) -> None:
        """Give napari its keys back."""
        for layer in list(self._steps):
            layer.events.paint.disconnect(self._on_paint)
            layer.events.editable.disconnect(self._on_editable)
            layer.bind_key(UNDO, None)
            layer.bind_key(REDO, None)
        self._steps.clear()

    def note(self, layer: Labels, marks: Patch | None) -> None:
        """Note which pixels were marked or unmarked just now, if any."""
        if marks is not None:
            self._add(layer, marks)

    def undo(self, layer: Labels) -> None:
        """Take back the last step of a layer."""
        steps = self._steps[layer]
        self._move(layer, steps.done, steps.undone, layer.undo)

    def redo(self, layer: Labels) -> None:
        """Do again what was taken back last."""
        steps = self._steps[layer]
        self._move(layer, steps.undone, steps.done, layer.redo)

    def _add(self, layer: Labels, step: Patch | None) -> None:
        steps = self._steps.get(layer)
        if steps is not None:
            steps.done = [*steps.done[1 - _LIMIT :], step]
            steps.undone.clear()

    def _move(
        self, layer: Labels, source: list[Patch | None], target: list[Patch | None], own: Callable[[], object]
    ) -> None:
        if source:
            target.append(step := source.pop())
            if step is None:
                own()
            else:
                self._flip(layer, step)

    def _on_paint(self, event: Any) -> None:
        self._add(event.source, None)

    def _on_editable(self, event: Any) -> None:
        if not event.source.editable:  # napari forgets its steps: the labels are about to be replaced
            self._steps[event.source] = _Steps()
