"""What the first labels of a window need, done before they arrive so that they do not halt it."""

from __future__ import annotations

import gc
from functools import cache
from importlib import import_module

import numpy as np
from napari.layers import Labels


@cache
def spare_the_first_labels() -> None:
    """Do once, now, while the panel opens, what would halt the window when the first labels arrive.

    That is what napari builds once for labels, and the collection of all that start-up left, of 0.2 s.
    """
    Labels(np.zeros((1, 1), np.int32))
    gc.collect()


def preload() -> None:
    """Do now, on another thread, what napari would do with its first labels layer, for 0.1 s."""
    for name in ("pandas", "skimage.color", "skimage.exposure"):
        import_module(name)
    import_module("vispy.visuals.line.dash_atlas").DashAtlas()  # fills a cache
