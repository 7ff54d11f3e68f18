"""What napari calls by the names in napari.yaml, apart from the panel: opening, samples and saving."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from napari_unet.io import LayerData, files, is_zarr, measure_layer, read_layers


def get_zarr_reader(path: str | list[str]) -> Callable[[Any], list[LayerData]] | None:
    """What reads an OME-Zarr folder, labels included; called when a folder is opened or dropped in napari."""
    return _read_zarr if isinstance(path, str) and is_zarr(Path(path)) else None


def _read_zarr(path: str | list[str]) -> list[LayerData]:
    return read_layers(path if isinstance(path, str) else path[0])


def write_tiff(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Save a Labels layer as a TIFF with its pixel size and axes; called by napari's File > Save."""
    return _write_labels(path, data, meta, "tiff")


def write_rois(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Save a Labels layer as ROIs for Fiji; called by napari's File > Save."""
    return _write_labels(path, data, meta, "rois")


def write_geojson(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Save a Labels layer as GeoJSON for QuPath; called by napari's File > Save."""
    return _write_labels(path, data, meta, "geojson")


def write_table(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Save what the cells of a Labels layer measure as CSV; called by napari's File > Save."""
    return _write_labels(path, data, meta, "csv")


def _write_labels(path: str, data: Any, meta: dict[str, Any], form: str) -> list[str]:
    """Write a layer in the format that its name asks for, else in `form`, whose ending the name gets."""
    from napari_unet.io.export import complete_name, export_labels

    labels = np.asarray(data[0] if meta.get("multiscale") else data)
    axes, pixel_size, z_step = measure_layer(labels.ndim, meta)
    target = complete_name(Path(path), form)
    return [str(export_labels(target, labels, axes=axes, pixel_size=pixel_size, z_step=z_step))]


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
