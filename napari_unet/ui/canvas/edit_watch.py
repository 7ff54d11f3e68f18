"""Notices what the user changes in labels layers and tells the open images."""

from __future__ import annotations

from typing import Any

from napari.layers import Labels
from qtpy.QtCore import QObject
from superqt.utils import QSignalDebouncer

from napari_unet.core.base import Index
from napari_unet.session import OpenImages
from napari_unet.ui.canvas.layers import key_of, labels_in, shown_plane

PAUSE = 150
"""Milliseconds without a change after which the labels are compared."""

_SMALL = 1 << 25  # pixels that are compared whole within some 30 ms
_EVENTS = ("paint", "labels_update", "set_data", "data")


class EditWatch:
    """Follows the labels layers of a viewer.

    Events only say "look again" (an undo tells less than a stroke does): what has changed is found by
    comparison, of the planes shown meanwhile where the stack is large, of everything in `flush`.
    """

    def __init__(self, viewer: Any, images: OpenImages, parent: QObject) -> None:
        self._viewer = viewer
        self._images = images
        self._layers: list[Labels] = []
        self._pending: dict[Labels, set[Index | None]] = {}
        self._pause = QSignalDebouncer(parent=parent)
        self._pause.setTimeout(PAUSE)
        self._pause.triggered.connect(self._compare_pending)

    def add(self, layer: Labels) -> None:
        """Begin to follow a layer."""
        self._layers.append(layer)
        for name in _EVENTS:
            getattr(layer.events, name).connect(self._note)

    def remove(self, layer: Labels) -> None:
        """Follow a layer no longer; what was not compared yet is forgotten."""
        if layer in self._layers:
            self._layers.remove(layer)
            self._pending.pop(layer, None)
            for name in _EVENTS:
                getattr(layer.events, name).disconnect(self._note)

    def follows(self, layer: object) -> bool:
        """Whether a layer is one of those that are followed."""
        return any(layer is known for known in self._layers)

    def find(self, key: str) -> Labels | None:
        """Return the layer that shows the labels of an image."""
        return next((layer for layer in self._layers if key_of(layer, "image") == key), None)

    def flush(self) -> None:
        """Compare all layers, whole, now."""
        self._pending.clear()
        for layer in self._layers:
            self._compare(layer, None)

    def stop(self) -> None:
        """Follow no layer any longer."""
        for layer in list(self._layers):
            self.remove(layer)

    def _note(self, event: Any) -> None:
        layer = event.source
        if layer not in self._layers:
            return
        image = self._images.get(key_of(layer, "image") or "")
        if image is not None:
            whole = layer.data.size <= _SMALL or layer.n_edit_dimensions > 2
            plane = None if whole else shown_plane(self._viewer, layer, image.grid)
            self._pending.setdefault(layer, set()).add(plane)
            self._pause.throttle()

    def _compare_pending(self) -> None:
        pending, self._pending = self._pending, {}
        for layer, planes in pending.items():
            for plane in {None} if None in planes else planes:
                self._compare(layer, plane)

    def _compare(self, layer: Labels, plane: Index | None) -> None:
        key = key_of(layer, "image")
        image = self._images.get(key or "")
        if key is not None and image is not None:
            self._images.note_edit(key, labels_in(layer, image.grid), plane)
