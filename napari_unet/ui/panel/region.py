"""What the user wants segmented, as the viewer shows it; and regions of images too large for a review."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.transforms import Affine
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_unet.core.base import InputError
from napari_unet.core.image import Channels
from napari_unet.session import WHOLE, OpenImage, Planes, Scope, View
from napari_unet.store import Region
from napari_unet.ui.canvas import Canvas
from napari_unet.ui.canvas import layers as shown
from napari_unet.ui.common import Sentence

PLANE, STACK, VIEW, ALL = "plane", "stack", "view", "all"
"""What of an image is segmented: a plane, all of it, what is seen; `ALL` is from the disk to the disk."""

_LOOK = ("colormap", "contrast_limits", "gamma", "interpolation2d")


class RegionBar(QWidget):
    """Says where the cells of a large image are, and has the buttons that put them there and elsewhere."""

    def __init__(self, canvas: Canvas) -> None:
        super().__init__(objectName="region")
        self._canvas, self._session = canvas, canvas.session
        self.words = Sentence("region_words")
        self.put_back = QPushButton("Put cells into the whole image", objectName="put_back")
        self.put_back.setToolTip(
            "Write the cells of this region, as they are now, into those of the whole image"
        )
        self.take_back = QPushButton("Take back", objectName="take_back")
        self.take_back.setToolTip(
            "Take out of the whole image again what was put in last; the region keeps its cells"
        )
        self.add_to_image = QPushButton("Save cells into the image", objectName="add_to_image")
        self.add_to_image.setToolTip(
            "Write the cells of the whole image into its own file, as labels that other programs find there"
        )
        row = QHBoxLayout()
        row.addWidget(self.put_back, 1)
        row.addWidget(self.add_to_image, 1)
        row.addWidget(self.take_back)
        column = QVBoxLayout(self)
        column.setContentsMargins(9, 4, 9, 4)
        column.addWidget(self.words)
        column.addLayout(row)
        self.hide()
        regions = self._session.regions
        self.put_back.clicked.connect(lambda: regions.write(canvas.image))
        self.take_back.clicked.connect(lambda: regions.take_back(canvas.image))
        self.add_to_image.clicked.connect(lambda: regions.add_to_image(canvas.image))

    def refresh(self) -> None:
        """Show what can be done with the cells of a region of an open image, or of such an image."""
        regions, image = self._session.regions, self._canvas.image
        large = regions.find_large(image) if image is not None else None
        has_cells = large is not None and regions.has_cells(large.key)
        self.setVisible(large is not None and (has_cells or large is not image))
        if image is None or large is None:
            return
        if large is image:
            self.words.say(f"The cells of all of '{large.name}' are in the project folder.")
        else:
            more = "" if has_cells else " Segment all of it to put these cells there."
            self.words.say(f"A region of '{large.name}'.{more}")
        idle = self._session.run is None
        self.put_back.setVisible(has_cells and large is not image)
        self.put_back.setEnabled(idle and image.review is not None)
        self.add_to_image.setVisible(large is image and regions.can_add_to_image(image))
        self.add_to_image.setEnabled(idle)
        self.take_back.setVisible(has_cells)
        self.take_back.setEnabled(idle and regions.can_take_back(large.key))


class Scopes:
    """Starts what the user has chosen to segment, and shows regions and what is on the disk."""

    def __init__(self, canvas: Canvas) -> None:
        self._canvas, self._viewer, self._session = canvas, canvas.viewer, canvas.session
        canvas.opened.connect(self._welcome)
        self._session.regions.cells_written.connect(self._show_cells)
        self._session.regions.cut_out.connect(self._show_region)

    def segment(self, layer: Image, image: OpenImage | None, chosen: str, channel: Channels) -> None:
        """Segment what is chosen of an image; one that is not open yet is segmented as a whole."""
        try:
            scope = self._read_scope(layer, image, chosen) if image is not None else None
        except InputError as error:
            self._session.runner.refuse(str(error))
            return
        self._session.segment(shown.source_of(layer), scope, channel=channel)

    def _read_scope(self, layer: Image, image: OpenImage, chosen: str) -> Scope:
        if chosen == VIEW:
            *steps, rows, columns = shown.view_of(self._viewer, layer, image.grid)
            return View(tuple(start for start, _ in steps), (rows, columns))
        if chosen == PLANE and image.grid.stack_shape:
            return Planes((shown.shown_plane(self._viewer, layer, image.grid),))
        return WHOLE

    def announce(self, image: OpenImage | None, scope: str, channel: Channels) -> None:
        """Say what it takes to segment all of a large image, where that is chosen."""
        if image is not None and image.is_large and scope == ALL:
            self._session.regions.estimate(image, channel)

    def _welcome(self, image: OpenImage) -> None:
        """Show the cells of a large image that has just been opened, unless they are shown."""
        if image.is_large and self._find_cells(image.key) is None:
            self._session.regions.show_cells(image)

    def _show_region(self, key: str, region: Region, pixels: np.ndarray, channel: Channels) -> None:
        image = self._session.images[key]
        layer = next(iter(self._canvas.find_layers(image)), None)
        if layer is not None:
            added = self._find_region(region) or self._add_region(layer, image, region, pixels)
            self._viewer.layers.selection.active = added
            self._session.open_region(shown.source_of(added), channel=channel)

    def _find_region(self, region: Region) -> Image | None:
        layers = shown.image_layers(self._viewer)
        return next((layer for layer in layers if shown.key_of(layer, "region") == region), None)

    def _add_region(self, over: Image, image: OpenImage, region: Region, pixels: np.ndarray) -> Image:
        corner = region.corner(image.grid.axes.replace("S", ""))
        place = Affine(scale=over.scale, translate=over.translate, rotate=over.rotate, shear=over.shear)
        source = shown.source_of(over)
        look = {name: getattr(over, name) for name in _LOOK if not over.rgb or name == "interpolation2d"}
        layer = Image(
            pixels,
            name=shown.free_name(self._viewer, f"{over.name} {region.describe()}"),
            rgb=over.rgb,
            scale=over.scale,
            translate=place(np.asarray(corner)),
            rotate=over.rotate,
            shear=over.shear,
            affine=over.affine,
            units=over.units,
            axis_labels=over.axis_labels,
            metadata={shown.METADATA: {"path": source.path, "axes": image.grid.axes, "region": region}},
            **look,
        )
        self._viewer.layers.insert(self._top_of(over, image), layer)
        return layer

    def _top_of(self, over: Image, image: OpenImage) -> int:
        """Return where a layer is to be put above a large image, and above its cells."""
        cells = self._find_cells(image.key)
        layers = self._viewer.layers
        return 1 + max(layers.index(layer) for layer in (over, cells) if layer is not None)

    def _find_cells(self, key: str) -> Labels | None:
        layers = self._viewer.layers
        return next((layer for layer in layers if shown.key_of(layer, "cells") == key), None)

    def _show_cells(self, key: str, levels: list[Any]) -> None:
        image, layer = self._session.images[key], self._find_cells(key)
        over = next(iter(self._canvas.find_layers(image)), None)
        if over is None:
            return
        if layer is not None:
            layer.data = shown.spread_levels(levels, image.grid)
            return
        active = self._viewer.layers.selection.active
        made = shown.make_disk_labels(over, image, levels)
        made.name = shown.free_name(self._viewer, made.name)
        self._viewer.layers.insert(self._viewer.layers.index(over) + 1, made)
        self._viewer.layers.selection.active = active if active in self._viewer.layers else over
