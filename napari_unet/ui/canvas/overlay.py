"""What is shown over an image: a tint where its labels were reviewed, outlines at a doubtful place."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_unet.core.base import Box, slices
from napari_unet.core.cells import depth_in_pixels
from napari_unet.core.review import Fix, Place
from napari_unet.session import OpenImage
from napari_unet.ui.canvas.layers import METADATA, key_of, labels_in, place_over, spread_shape

NAME = "reviewed"
TINT = "#56B4E9"
OUTLINES: dict[int | None, str] = {
    **{None: "transparent", 0: "transparent"},
    **{1: "#F0E442", 2: "#D55E00", 3: "#FFFFFF"},
}
"""Colours of new cells, 1, of those that are to go, 2, and of what is only to be looked at, 3."""

_THIN = 60  # sides of a place by the width of its outlines
_PLACE = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")


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


class PlaceOverlay:
    """At most one layer, above all others: it outlines what is suggested in a place, or the cell there."""

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._shown: Place | None = None
        self._at: tuple[Any, ...] = ()

    @property
    def layer(self) -> Labels | None:
        """The layer, while there is one."""
        return next((layer for layer in self._viewer.layers if key_of(layer, "suggestion")), None)

    def is_over(self, layer: Labels) -> bool:
        """Whether there is a layer, made for the one with these labels."""
        return self.layer is not None and key_of(self.layer, "suggestion") == str(layer.unique_id)

    def show(self, over: Labels, index: tuple[int, ...], place: Place) -> None:
        """Outline a place of the plane `index` of a layer with labels."""
        if not self.is_over(over):
            self.remove()
            self._add(over)
        layer = self.layer
        assert layer is not None
        if place is not self._shown:
            self._clear(layer)
            self._shown, self._at = place, (*index, *slices(place.box))
            layer.data[self._at] = _draw_outlines(place, np.asarray(over.data)[self._at])
            layer.visible = True
            layer.refresh()

    def hide(self) -> None:
        """Outline nothing."""
        layer = self.layer
        if layer is not None and self._shown is not None:
            self._clear(layer)
            self._shown = None
            layer.visible = False

    def remove(self) -> None:
        """Remove the layer, if there is one."""
        layer, self._shown = self.layer, None
        if layer is not None:
            self._viewer.layers.remove(layer)

    def _clear(self, layer: Labels) -> None:
        if self._shown is not None:
            layer.data[self._at] = 0

    def _add(self, over: Labels) -> None:
        layer = Labels(
            np.zeros(over.data.shape, np.uint8),
            name="suggestion",
            metadata={METADATA: {"suggestion": str(over.unique_id)}},
            opacity=1.0,
            colormap=DirectLabelColormap(color_dict=OUTLINES),
            **{name: getattr(over, name) for name in _PLACE},
        )
        layer.editable = False
        active = self._viewer.layers.selection.active
        self._viewer.layers.append(layer)
        self._viewer.layers.selection.active = active


def _draw_outlines(place: Place, labels: np.ndarray) -> np.ndarray:
    """Return the outlines of new cells as 1, of cells that only go as 2, of others as 3, as thick as they are
    large; `labels` are those in the box of the place. Where a cell may be missing a circle is drawn.
    """
    fix, colour = place.suggestion, 3
    if fix is not None:
        colour = 2 if fix.fix is Fix.DELETE else 1
        cells = fix.before if colour == 2 else fix.after
    elif place.label:
        cells = np.where(labels == place.label, labels, 0)
    else:
        cells = _fill_ellipse(labels.shape)
    depth = depth_in_pixels(np.pad(cells, 1))[1:-1, 1:-1]  # the box may end where the cell does
    thick = max(1, min(labels.shape) // _THIN)
    return np.where((depth > 0) & (depth <= thick), colour, 0).astype(np.uint8)


def _fill_ellipse(shape: tuple[int, ...]) -> np.ndarray:
    sides = [np.linspace(-1, 1, side) for side in shape]
    return (np.hypot(*np.meshgrid(*sides, indexing="ij")) <= 1).astype(np.int32)
