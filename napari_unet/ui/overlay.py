"""Shows where the labels have been reviewed, as a tint over the image."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_unet.app.opened import OpenImage
from napari_unet.core.corrections import Box, slices
from napari_unet.ui.layers import METADATA, key_of, labels_in, place_over, spread_shape

NAME = "reviewed"
TINT = "#56B4E9"


class ReviewedOverlay:
    """At most one layer that tints what was reviewed of one image; updated box by box."""

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer

    @property
    def layer(self) -> Labels | None:
        """The layer, while it is shown."""
        return next((layer for layer in self._viewer.layers if key_of(layer, "reviewed")), None)

    def show(self, over: Image, image: OpenImage) -> None:
        """Show what was reviewed of `image` right above its layer, in place of any other overlay."""
        self.hide()
        assert image.review is not None
        place = place_over(over, image.grid)
        layer = Labels(
            image.review.reviewed().astype(np.uint8).reshape(spread_shape(image.grid)),
            name=NAME,
            metadata={METADATA: {"reviewed": image.key}},
            opacity=0.3,
            colormap=DirectLabelColormap(color_dict={None: "transparent", 0: "transparent", 1: TINT}),
            **place,
        )
        layer.editable = False
        active = self._viewer.layers.selection.active
        self._viewer.layers.insert(self._viewer.layers.index(over) + 1, layer)
        self._viewer.layers.selection.active = active

    def hide(self) -> None:
        """Remove the layer."""
        layer = self.layer
        if layer is not None:
            self._viewer.layers.remove(layer)

    def update(self, image: OpenImage, box: Box) -> None:
        """Show what has changed in a box of an image's review."""
        layer = self.layer
        if layer is None or key_of(layer, "reviewed") != image.key or image.review is None:
            return
        where, review = slices(box), image.review
        shown = labels_in(layer, image.grid)
        shown[where] = (review.labels[where] != review.prediction[where]) | review.marked[where]
        layer.refresh()
