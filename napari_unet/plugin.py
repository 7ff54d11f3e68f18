"""What napari calls by the names in napari.yaml, apart from the panel: opening, samples and saving."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from napari_unet.io import files
from napari_unet.io.calibration import MICROMETRES
from napari_unet.io.layers import LayerData, read_layers
from napari_unet.io.zarr_read import is_zarr


def get_zarr_reader(path: str | list[str]) -> Callable[[Any], list[LayerData]] | None:
    """What reads an OME-Zarr folder, labels included; called when a folder is opened or dropped in napari."""
    return _read_zarr if isinstance(path, str) and is_zarr(Path(path)) else None


def _read_zarr(path: str | list[str]) -> list[LayerData]:
    return read_layers(path if isinstance(path, str) else path[0])


def write_labels(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Save a Labels layer with its pixel size and axes; called by napari's File > Save.

    The ending of `path` decides: .tif, .zip for Fiji's ROI Manager, .geojson for QuPath, .csv for a table.
    """
    from napari_unet.io.export.export import export_labels

    labels = np.asarray(data[0] if meta.get("multiscale") else data)
    axes = "".join(str(label) for label in meta.get("axis_labels") or ()).upper()
    # Without names of its own a layer's axes are called "-3", "-2", "-1".
    if len(axes) != labels.ndim or not {"Y", "X"} <= set(axes) <= set("TZCYX"):
        axes = "TZYX"[-labels.ndim :]
    scale = meta.get("scale") or (1.0,) * labels.ndim
    units = meta.get("units") or ("pixel",) * labels.ndim
    lengths = {
        axis: step * MICROMETRES[str(unit).lower()]
        for axis, step, unit in zip(axes, map(float, scale), units, strict=True)
        if str(unit).lower() in MICROMETRES
    }
    export_labels(Path(path), labels, axes=axes, pixel_size=lengths.get("Y"), z_step=lengths.get("Z"))
    return [path]


def open_nuclei() -> list[LayerData]:
    """Fluorescent nuclei, many of them touching."""
    return read_layers(files.sample_path("nuclei"))


def open_cells() -> list[LayerData]:
    """Cells as in phase contrast."""
    return read_layers(files.sample_path("cells"))


def open_membranes() -> list[LayerData]:
    """Neurites as in an electron micrograph."""
    return read_layers(files.sample_path("membranes"))


def open_timelapse() -> list[LayerData]:
    """Nuclei that move, one of which divides."""
    return read_layers(files.sample_path("timelapse"))


def open_stack() -> list[LayerData]:
    """Nuclei in a volume."""
    return read_layers(files.sample_path("stack"))
