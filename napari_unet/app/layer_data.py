"""Image files as napari takes them: array, options and layer type."""

from __future__ import annotations

import os
from typing import Any

from napari_unet.app import files

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


def _without(values: tuple[Any, ...], position: int) -> tuple[Any, ...]:
    return values[:position] + values[position + 1 :]
