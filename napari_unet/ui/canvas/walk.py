"""The walk from one doubtful place to the next, where a key takes what is suggested or accepts what is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from napari.layers import Labels

from napari_unet.core.base import slices
from napari_unet.core.review import Patch, Place, surround
from napari_unet.session import OpenImage, OpenImages
from napari_unet.ui.canvas.edit_watch import EditWatch
from napari_unet.ui.canvas.layers import look_at, plane_of, shown_plane
from napari_unet.ui.canvas.overlay import PlaceOverlay
from napari_unet.ui.canvas.toolbox import ToolBox


class Walk:
    """Shows the places of the image that `find_image()` returns, with what is suggested there."""

    def __init__(
        self,
        viewer: Any,
        images: OpenImages,
        watch: EditWatch,
        tools: ToolBox,
        find_image: Callable[[], OpenImage | None],
    ) -> None:
        self.outline = PlaceOverlay(viewer)
        self._viewer = viewer
        self._images = images
        self._watch = watch
        self._tools = tools
        self._find_image = find_image
        images.visited.connect(self._look_at)

    def refresh(self) -> None:
        """Outline a place no longer where somebody has seen to it; again where that was undone."""
        image = self._find_image()
        layer = self._watch.find(image.key) if image is not None else None
        place = image.open_place if image is not None else None
        if image is None or layer is None or place is None:
            self.outline.hide()
        elif self.outline.is_over(layer):
            self.outline.show(layer, plane_of(layer, image.grid, place.plane), place)

    def visit_next(self) -> None:
        """Show the place that is most worth a look."""
        image = self._find_image()
        if image is not None:
            self._images.visit_next(image.key)

    def take(self) -> None:
        """Make the cells as is suggested in the place that is looked at, and go on to the next."""
        self._finish(self._take)

    def accept(self) -> None:
        """Note that the place that is looked at is right as it is, and go on to the next."""
        self._finish(self._accept)

    def _finish(self, settle: Callable[[OpenImage, Labels, Place], bool]) -> None:
        self._watch.flush()
        image = self._find_image()
        layer = self._watch.find(image.key) if image is not None else None
        if image is None or layer is None:
            return
        if image.open_place is None:
            self._tools.say("No place is shown: press Next to fix (Shift-N) first.")
            return
        place = image.open_place
        if self._viewer.dims.ndisplay != 2 or shown_plane(self._viewer, layer, image.grid) != place.plane:
            self._look_at(image.key, place)  # nothing is changed that is out of sight
        elif settle(image, layer, place):
            self.visit_next()

    def _take(self, image: OpenImage, layer: Labels, place: Place) -> bool:
        if place.suggestion is None:
            self._tools.say("Nothing is suggested here: mend the cell, or press R if it is right.")
            return False
        self._tools.take(layer, plane_of(layer, image.grid, place.plane), place.suggestion)
        return True

    def _accept(self, image: OpenImage, layer: Labels, place: Place) -> bool:
        plane = np.asarray(layer.data)[plane_of(layer, image.grid, place.plane)]
        fix = place.suggestion
        cells = (fix.find_cells(plane) or []) if fix is not None else [place.label] * bool(place.label)
        patch = surround(plane, cells)
        if patch is None:  # what was taken for a missed cell is background
            patch = Patch(place.box, plane[slices(place.box)] == 0)
        self._tools.history.note(layer, self._images.accept(image.key, patch, place.plane))
        return True

    def _look_at(self, key: str, place: Place) -> None:
        layer, grid = self._watch.find(key), self._images[key].grid
        if layer is None:
            return
        look_at(self._viewer, layer, grid, place)
        self.outline.show(layer, plane_of(layer, grid, place.plane), place)
