"""Opening image files: napari does it, and this package what napari has no reader for.

Microscopes' own files have no reader in napari.yaml, for the reason that is given there: beside the reader of
another plugin it would make napari ask, for each file, which of them to use.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from npe2 import PluginManager
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_unet.io import FILE_ENDINGS, LayerData, read_layers
from napari_unet.session import Runner
from napari_unet.ui.canvas import METADATA


def ask_for_images(parent: QWidget) -> list[Path]:
    """Return the image files that the user picks."""
    endings = " ".join(f"*{ending}" for ending in FILE_ENDINGS)
    names, _ = QFileDialog.getOpenFileNames(parent, "Open images", "", f"Images ({endings})")
    return list(map(Path, names))


def open_images(viewer: Any, paths: Sequence[Path], runner: Runner) -> None:
    """Show image files in the viewer; the runner says what keeps one from being shown."""
    for path in paths:
        if any(PluginManager.instance().iter_compatible_readers(path)):
            viewer.open(path, plugin=None)
            continue

        def show(layers: list[LayerData], path: Path = path) -> None:
            runner.say("")
            add_layers(viewer, layers, path)

        runner.say(f"Opening {path.name}")
        runner.later(partial(read_layers, path), show)


def add_layers(viewer: Any, layers: list[LayerData], path: Path) -> None:
    """Show what was read from a file, as layers that know where it is."""
    for data, options, kind in layers:
        getattr(viewer, f"add_{kind}")(data, **options, metadata={METADATA: {"path": str(path)}})
