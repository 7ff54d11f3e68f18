"""What a viewer shows of a session's images: which one is chosen, its labels, and what lies over them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari.layers import Image, Labels, Layer
from psygnal import Signal
from qtpy.QtWidgets import QWidget
from superqt.utils import QSignalDebouncer

from napari_unet.core.base import Box, InputError
from napari_unet.core.review import Patch
from napari_unet.session import OpenImage, Session
from napari_unet.ui.canvas import layers as shown
from napari_unet.ui.canvas.edit_watch import EditWatch
from napari_unet.ui.canvas.gallery import show_alone
from napari_unet.ui.canvas.overlay import ReviewedOverlay
from napari_unet.ui.canvas.toolbox import ToolBox
from napari_unet.ui.canvas.walk import Walk
from napari_unet.ui.common import paint_later

_PAUSE = 200  # ms, in which a view that moves is looked at once


class Canvas:
    """Keeps the layers of a viewer and the open images of a session together.

    `layer` is the image layer that the panel is about, `image` the same in the session, None where it is not
    open yet. Signals: `changed` when another one is chosen, or the list of image layers is another one;
    `opened(image)` when the image that was chosen is open.
    """

    changed = Signal()
    opened = Signal(OpenImage)

    def __init__(self, viewer: Any, session: Session, panel: QWidget) -> None:
        self.viewer, self.session, self._panel = viewer, session, panel
        self.tinted = False
        self.overlay = ReviewedOverlay(viewer)
        self.watch = EditWatch(viewer, session.images, panel)
        self.tools = ToolBox(viewer, self.watch, session.images)
        self.walk = Walk(viewer, session.images, self.watch, self.tools, lambda: self.image)
        self._chosen: Image | None = None
        self._pause = QSignalDebouncer(parent=panel)
        self._pause.setTimeout(_PAUSE)
        self._pause.triggered.connect(self.changed.emit)
        images = session.images
        images.labels_replaced.connect(self._show_labels)
        images.put_away.connect(self._hide_labels)
        images.measured.connect(self._show_features)
        images.reviewed.connect(self._tint)
        images.flushing.connect(self.watch.flush)
        events = viewer.layers.events
        events.inserted.connect(self._on_inserted)
        events.removing.connect(self._on_removing)
        events.removed.connect(self._on_removed)
        events.reordered.connect(self._follow_list)
        viewer.layers.selection.events.active.connect(self._follow_selection)
        for moved in (viewer.scene.camera.events, viewer.dims.events):
            moved.connect(self._on_moved)

    @property
    def layer(self) -> Image | None:
        """The image layer that the panel is about."""
        return self._chosen if self._chosen in self.viewer.layers else None

    @property
    def image(self) -> OpenImage | None:
        """The same image in the session, None where it is not open yet."""
        return self.session.images.find(shown.source_of(self.layer)) if self.layer is not None else None

    @property
    def labels(self) -> Labels | None:
        """The layer with the labels of that image."""
        return self.watch.find(self.image.key) if self.image is not None else None

    @property
    def sees_place(self) -> bool:
        """Whether the view shows the place that is looked at; true where there is none."""
        image, layer = self.image, self.labels
        if image is None or layer is None or image.open_place is None:
            return True
        return shown.is_in_view(self.viewer, layer, image.grid, image.open_place)

    def list_images(self) -> list[Image]:
        """Return the image layers, the topmost last."""
        return shown.image_layers(self.viewer)

    def choose(self, layer: Image | None) -> None:
        """Be about another image from now on, and open it."""
        if layer is not self._chosen and self.session.run is None and not self.session.is_error:
            self.session.runner.say("")  # what was said is about another image
        self._chosen = layer
        if layer is not None:
            show_alone(self.viewer, layer, self._find_labels)
            self.session.images.open(shown.source_of(layer), self.opened.emit)
        self.changed.emit()

    def choose_topmost(self) -> None:
        """Be about the topmost image, as when the panel opens."""
        self._follow_list()

    def find_layers(self, image: OpenImage) -> list[Image]:
        """Return the layers that show an image."""
        find = self.session.images.find
        return [layer for layer in self.list_images() if find(shown.source_of(layer)) is image]

    def refresh(self) -> None:
        """Let the tools and the walk follow the image."""
        self.tools.image = self.image
        self.walk.refresh()

    def show_reviewed(self, wanted: bool) -> None:
        """Tint what was reviewed, or tint nothing."""
        self.tinted = wanted
        layer, image = self.layer, self.image
        if wanted and layer is not None and image is not None and image.review is not None:
            self.overlay.show(layer, image)
        else:
            self.overlay.hide()

    def change_view(self, action: Callable[[str, Box], Patch | None]) -> None:
        """Do something to what the canvas shows of the labels: `action(key, box)`, as a step to undo."""
        image, layer = self.image, self.labels
        if image is None or layer is None:
            return
        self.watch.flush()
        try:
            box = shown.view_of(self.viewer, layer, image.grid)
        except InputError as error:
            self.session.runner.refuse(str(error))
        else:
            self.tools.history.note(layer, action(image.key, box))

    def stop(self) -> None:
        """Leave the viewer and its layers as they were."""
        self.changed.disconnect()
        self.opened.disconnect()
        events = self.viewer.layers.events
        events.inserted.disconnect(self._on_inserted)
        events.removing.disconnect(self._on_removing)
        events.removed.disconnect(self._on_removed)
        events.reordered.disconnect(self._follow_list)
        self.viewer.layers.selection.events.active.disconnect(self._follow_selection)
        for moved in (self.viewer.scene.camera.events, self.viewer.dims.events):
            moved.disconnect(self._on_moved)
        for layer in self.list_images():
            layer.events.name.disconnect(self._follow_list)
        self.tools.stop()
        self.watch.stop()

    def _find_labels(self, layer: Image) -> Labels | None:
        image = self.session.images.find(shown.source_of(layer))
        return self.watch.find(image.key) if image is not None else None

    def _follow_list(self, _event: object = None) -> None:
        layers = self.list_images()
        if self._chosen in layers:
            self.changed.emit()
        else:
            self.choose(layers[-1] if layers else None)

    def _on_inserted(self, event: Any) -> None:
        if isinstance(event.value, Image):
            event.value.events.name.connect(self._follow_list)
            self.choose(event.value)

    def _on_moved(self, _event: Any) -> None:
        if self.image is not None and self.image.tour is not None:
            self._pause.throttle()

    def _on_removing(self, event: Any) -> None:
        layer = self.viewer.layers[event.index]
        if self.watch.follows(layer):
            self.watch.flush()
            self.watch.remove(layer)

    def _on_removed(self, _event: Any) -> None:
        for key, image in list(self.session.images.items()):
            if self.watch.find(key) is None and not self.find_layers(image):
                self.session.images.close(key)
        self._follow_list()

    def _follow_selection(self, event: Any) -> None:
        layer: Layer | None = event.value
        if isinstance(layer, Image):
            image_layer: Image | None = layer
        else:
            keys = [shown.key_of(layer, role) for role in ("image", "cells")] if layer is not None else []
            image = self.session.images.get(next(filter(None, keys), ""))
            image_layer = next(iter(self.find_layers(image)), None) if image is not None else None
        if image_layer is not None and image_layer is not self._chosen:
            self.choose(image_layer)

    def _show_labels(self, key: str, labels: Any) -> None:
        image = self.session.images[key]
        layer, over = self.watch.find(key), next(iter(self.find_layers(image)), None)
        if layer is None and over is not None:
            layer = shown.make_labels(over, image, labels)
            layer.name = shown.free_name(self.viewer, layer.name)
            paint_later(self._panel)
            self.viewer.layers.insert(self.viewer.layers.index(over) + 1, layer)
            self.viewer.layers.selection.active = layer
            self.watch.add(layer)
            self.tools.history.follow(layer)
        elif layer is not None:
            shown.replace_labels(layer, image, labels)
        self.show_reviewed(self.tinted)

    def _hide_labels(self, key: str) -> None:
        layer = self.watch.find(key)
        if layer is not None:
            self.overlay.hide()
            self.walk.outline.remove()
            self.watch.remove(layer)
            shown.remove_soon(self.viewer, layer)

    def _show_features(self, key: str) -> None:
        layer = self.watch.find(key)
        if layer is not None:
            layer.features = shown.features_of(self.session.images[key])

    def _tint(self, key: str, box: Box) -> None:
        self.overlay.update(self.session.images[key], box)
