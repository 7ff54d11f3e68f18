"""Masks from elsewhere: the menu that offers them, files dropped on the window, and what became of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Image, Labels, Layer
from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QMenu,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_unet.io.labels import LABEL_ENDINGS
from napari_unet.session import name_masks
from napari_unet.ui.canvas import Canvas
from napari_unet.ui.canvas import layers as shown
from napari_unet.ui.common import Sentence

_NEVER_IMAGES = (".zip", ".roi", ".geojson", ".json", "_seg.npy")
"""Endings of files that hold masks only; napari opens the others as layers."""


class MasksBar(QWidget):
    """Offers masks made elsewhere, and says where the labels come from where they are such masks."""

    def __init__(self, canvas: Canvas) -> None:
        super().__init__(objectName="masks")
        self._canvas, self._session = canvas, canvas.session
        self.use = QToolButton(objectName="use_masks")
        self.use.setText("Use masks")
        self.use.setToolTip("Take labels made elsewhere: of a layer, or a file of Cellpose, Fiji, QuPath ...")
        self.use.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.menu = QMenu(self.use)
        self.menu.aboutToShow.connect(self._fill_menu)
        self.use.setMenu(self.menu)
        self.words = Sentence("masks_words")
        self.mark_all = QPushButton("Mark all as reviewed", objectName="mark_all")
        self.mark_all.setToolTip(
            "These masks are right everywhere, background included: learn from all of them"
        )
        self.mark_all.clicked.connect(self._mark_all)
        row = QHBoxLayout()
        row.addWidget(self.words, 1)
        row.addWidget(self.mark_all)
        self._about = QWidget()
        self._about.setLayout(row)
        row.setContentsMargins(0, 0, 0, 0)
        column = QVBoxLayout(self)
        column.setContentsMargins(9, 0, 9, 0)
        column.addWidget(self._about)
        self.drops = MaskDrops(self.take_files)

    def watch(self, window: QWidget) -> None:
        """Take masks that are dropped anywhere on a window."""
        for widget in (window, *window.findChildren(QWidget)):
            if widget.acceptDrops():
                widget.installEventFilter(self.drops)

    def refresh(self) -> None:
        """Show where the labels of the image come from."""
        image, busy = self._canvas.image, self._session.run is not None
        self.use.setEnabled(self._canvas.layer is not None and not busy)
        name = name_masks(image) if image is not None and image.review is not None else ""
        self.setVisible(bool(name))
        self.words.say(f"Masks: {name}")
        counts = image.counts if image is not None else None
        self.mark_all.setEnabled(not busy and counts is not None and counts.reviewed_fraction < 1)

    def take_files(self, paths: Sequence[Path]) -> None:
        """Use dropped or chosen files as the labels of the image."""
        layer = self._canvas.layer
        if layer is None:
            self._session.runner.refuse("There is no image for these masks yet: open their image first.")
        elif len(paths) > 1:
            self._session.runner.refuse("These are several files: use the masks of this image only.")
        elif self._session.trial is not None:
            self._session.runner.refuse("The new model is on trial: press Keep or Roll back, then use masks.")
        else:
            self._session.masks.use_file(shown.source_of(layer), paths[0])

    def take_layer(self, masks: Layer) -> None:
        """Use another layer as the labels of the image, and hide it: what is corrected lies above."""
        layer = self._canvas.layer
        if layer is None or masks not in self._canvas.viewer.layers:
            return
        if self._session.trial is not None:
            self._session.runner.refuse("The new model is on trial: press Keep or Roll back, then use masks.")
            return
        self._session.masks.use_array(shown.source_of(layer), np.array(finest(masks)), masks.name)
        masks.visible = False

    def choose_file(self) -> None:
        """Ask for a file with masks and use it."""
        endings = " ".join(f"*{ending}" for ending in LABEL_ENDINGS)
        name, _ = QFileDialog.getOpenFileName(self, "Use masks", "", f"Masks ({endings});;All files (*)")
        if name:
            self.take_files([Path(name)])

    def _fill_menu(self) -> None:
        self.menu.clear()
        layer = self._canvas.layer
        for candidate in list_candidates(self._canvas.viewer, layer) if layer is not None else ():
            self.menu.addAction(f"Layer '{candidate.name}'", partial(self.take_layer, candidate))
        if self.menu.actions():
            self.menu.addSeparator()
        self.menu.addAction("From a file…", self.choose_file)

    def _mark_all(self) -> None:
        image, layer = self._canvas.image, self._canvas.labels
        if image is not None and layer is not None:
            self._session.images.flushing.emit()
            self._canvas.tools.history.note(layer, self._session.masks.mark_all(image.key))


class MaskDrops(QObject):
    """Takes files that hold masks only out of what is dropped on the windows that it watches."""

    def __init__(self, take: Callable[[Sequence[Path]], object]) -> None:
        super().__init__()
        self._take = take

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802, ARG002 - Qt's
        """Use masks that are dropped; whatever else is dropped is napari's."""
        if event is None or event.type() != QEvent.Type.Drop:
            return False
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        if not paths or not all(path.name.lower().endswith(_NEVER_IMAGES) for path in paths):
            return False
        event.acceptProposedAction()
        self._take(paths)
        return True


def list_candidates(viewer: Any, layer: Image) -> list[Layer]:
    """Return the layers that may hold the masks of an image layer: whole numbers, of its size in pixels."""
    rows = np.array(finest(layer).shape[-2 - layer.rgb :][:2])
    return [
        candidate
        for candidate in viewer.layers
        if candidate is not layer
        and isinstance(candidate, (Labels, Image))
        and not getattr(candidate, "rgb", False)
        and shown.METADATA not in candidate.metadata
        and finest(candidate).dtype.kind in "biu"
        and np.array_equal(finest(candidate).shape[-2:], rows)
    ]


def finest(layer: Layer) -> Any:
    """Return the array of a layer, of a pyramid the finest level."""
    return layer.data[0] if layer.multiscale else layer.data
