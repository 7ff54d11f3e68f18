"""Of several images that are open, one is shown at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari.layers import Image, Labels

from napari_unet.ui.canvas.layers import image_layers, source_of


def show_alone(viewer: Any, chosen: Image, find_labels: Callable[[Image], Labels | None]) -> None:
    """Hide the images of other files, with their labels, and fit the view to the chosen one.

    Channels that lie in layers of their own are of one file, and images of no file may belong together:
    they stay as they are.
    """
    path, moved = source_of(chosen).path, not chosen.visible
    for layer in image_layers(viewer):
        other = source_of(layer).path
        if path is None or other is None:
            continue
        visible = other == path
        moved |= layer.visible and not visible
        for each in (layer, find_labels(layer)):
            if each is not None and each.visible != visible:
                each.visible = visible
    if moved:
        viewer.fit_to_view()
