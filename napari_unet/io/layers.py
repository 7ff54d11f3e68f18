"""Image files as napari takes them: array, options and layer type."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np

from napari_unet.core.base import InputError
from napari_unet.io import files
from napari_unet.io.calibration import MICROMETRES, Calibration
from napari_unet.io.zarr_read import LABELS, is_zarr, list_labels, read_multiscale, read_pixels

logger = logging.getLogger("napari_unet")

LayerData = tuple[Any, dict[str, Any], str]

_WIDE = 4096  # pixels of a side from which the coarser levels of an image are shown while it is zoomed out
_LARGEST_LABELS = 1 << 28  # pixels up to which labels are read at once, so that they can be edited


def read_layers(path: str | os.PathLike[str]) -> list[LayerData]:
    """Read an image file as napari layer data, with scale, units and axis labels.

    napari makes one layer per channel of it: a biologist sees the channels in colours over each other and
    picks one by its layer. An OME-Zarr image is lazy, and its labels follow as layers of their own. Raises
    InputError as `files.read_image` does.
    """
    path = Path(path)
    if is_zarr(path):
        return _read_zarr_layers(path)
    image = files.read_image(path)
    return [_image_layer(image.data, image, path)]


def read_result(image: Path, labels: Path | None) -> list[LayerData]:
    """Read an image, and labels of it that are to lie exactly over it, as `read_layers` does."""
    layers = read_layers(image)
    if labels is None:
        return layers
    data, said, _ = read_layers(labels)[0]
    look = {name: said[name] for name in ("scale", "units", "axis_labels")}
    over = layers[0][1]
    # The file of the labels knows the same lengths, unless they were given by hand.
    if len(over["scale"]) == len(said["scale"]):
        look = {name: over[name] for name in look}
    if not isinstance(data, list) and data.size <= _LARGEST_LABELS:
        data = np.asarray(data).astype(np.int32)
    return [*layers, (data, {"name": f"{files.stem_of(image)} cells", **look}, "labels")]


def measure_layer(ndim: int, meta: dict[str, Any]) -> tuple[str, float | None, float | None]:
    """Return the axes of a layer of labels, letters out of TZYX, its pixel size and its step in Z, in µm.

    `meta` holds the layer's `axis_labels`, `scale` and `units`; lengths that it does not know are None.
    """
    axes = "".join(str(label) for label in meta.get("axis_labels") or ()).upper()
    # Without names of its own a layer's axes are called "-3", "-2", "-1".
    if len(axes) != ndim or not {"Y", "X"} <= set(axes) <= set("TZCYX"):
        axes = "TZYX"[-ndim:]
    scale = meta.get("scale")
    units = meta.get("units") or ("pixel",) * ndim
    steps = (1.0,) * ndim if scale is None else tuple(map(float, scale))
    lengths = {
        axis: step * MICROMETRES[str(unit).lower()]
        for axis, step, unit in zip(axes, steps, units, strict=True)
        if str(unit).lower() in MICROMETRES
    }
    return axes, lengths.get("Y"), lengths.get("Z")


def _read_zarr_layers(path: Path) -> list[LayerData]:
    multiscale = read_multiscale(path)
    said = multiscale.calibration
    if multiscale.is_labels:
        return [_labels_layer(path)]
    data = read_pixels(multiscale)
    if max(data.shape) > _WIDE and len(multiscale.levels) > 1:
        data = [data, *(read_pixels(multiscale, level) for level in range(1, len(multiscale.levels)))]
    layers = [_image_layer(data, said, path)]
    for name in list_labels(multiscale.folder):
        try:
            layers.append(_labels_layer(multiscale.folder / LABELS / name))
        except InputError as error:  # no reason to keep the image from the user
            logger.warning("The labels '%s' of %s are left out: %s", name, path.name, error)
    return layers


def _image_layer(data: Any, said: Calibration, path: Path) -> LayerData:
    name = files.stem_of(path)
    if "C" not in said.axes:
        look: dict[str, Any] = {"scale": said.scale, "units": said.units, "axis_labels": said.axis_labels}
        return data, {"name": name, "rgb": said.rgb, **look}, "image"
    position = said.axes.index("C")
    count = (data[0] if isinstance(data, list) else data).shape[position]
    channels = said.channel_names
    if len(channels) != count:
        channels = tuple(f"channel {number}" for number in range(1, count + 1))
    look = {
        "channel_axis": position,
        "name": [f"{name} {channel}" for channel in channels],
        "scale": _without(said.scale, position),
        "units": _without(said.units, position),
        "axis_labels": _without(said.axis_labels, position),
    }
    return data, {"rgb": said.rgb, **look}, "image"


def _labels_layer(path: Path) -> LayerData:
    multiscale = read_multiscale(path)
    said, data = multiscale.calibration, read_pixels(multiscale)
    if data.size <= _LARGEST_LABELS:
        data = np.asarray(data).astype(np.int32)
    elif len(multiscale.levels) > 1:
        data = [data, *(read_pixels(multiscale, level) for level in range(1, len(multiscale.levels)))]
    look = {"scale": said.scale, "units": said.units, "axis_labels": said.axis_labels}
    return data, {"name": path.stem, **look}, "labels"


def _without(values: tuple[Any, ...], position: int) -> tuple[Any, ...]:
    return values[:position] + values[position + 1 :]
