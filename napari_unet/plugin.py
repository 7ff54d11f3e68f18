"""What napari calls by the names in napari.yaml, apart from the panel: samples and saving."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from napari_unet.app import files
from napari_unet.app.calibration import MICROMETRES

LayerData = tuple[Any, dict[str, Any], str]


def read_layers(path: str | os.PathLike[str]) -> list[LayerData]:
    """Read an image file as napari layer data, with scale, units and axis labels.

    napari makes one layer per channel of it: a biologist sees the channels in colours over each other and
    picks one by its layer. Raises InputError as `files.read_image` does.
    """
    image = files.read_image(path)
    name = image.path.stem.removesuffix(".ome")
    if "C" not in image.axes:
        look: dict[str, Any] = {"scale": image.scale, "units": image.units, "axis_labels": image.axis_labels}
        return [(image.data, {"name": name, "rgb": image.rgb, **look}, "image")]
    position = image.axes.index("C")
    count = image.data.shape[position]
    channels = image.channel_names
    if len(channels) != count:
        channels = tuple(f"channel {number}" for number in range(1, count + 1))
    look = {
        "channel_axis": position,
        "name": [f"{name} {channel}" for channel in channels],
        "scale": _without(image.scale, position),
        "units": _without(image.units, position),
        "axis_labels": _without(image.axis_labels, position),
    }
    return [(image.data, {"rgb": image.rgb, **look}, "image")]


def write_labels(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Save a Labels layer as TIFF with its pixel size and axes; called by napari's File > Save."""
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
    files.write_labels(path, labels, axes=axes, pixel_size=lengths.get("Y"), z_step=lengths.get("Z"))
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


def _without(values: tuple[Any, ...], position: int) -> tuple[Any, ...]:
    return values[:position] + values[position + 1 :]
