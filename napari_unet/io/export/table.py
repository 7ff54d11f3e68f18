"""A table of measurements: one row for each cell and plane, for spreadsheets and statistics."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unet.core.base import InputError, Labels
from napari_unet.core.cells import Columns, measure, measure_brightness, measure_form
from napari_unet.core.image import Place, iterate_planes
from napari_unet.io import ImageFile

_STACKED = {"T": "frame", "Z": "plane"}


def tabulate(
    labels: Labels, axes: str, *, pixel_size: float | None = None, image: ImageFile | None = None
) -> Columns:
    """Measure every cell of every plane of `labels` (int32, 0 is background).

    Columns: `label` (the id), for stacks `frame` and `plane` (counted from 0), those of `core.measure` and
    `core.shape`: place and area, form, and with `image` the brightness in each of its channels
    (`mean_intensity`, or `mean_intensity_NAME` where there are several). Lengths are in pixels, and with
    `pixel_size` (µm) in µm as well, in columns ending in `_um` and `_um2`. Raises InputError for an image
    that does not fit the labels.
    """
    parts = []
    for place, plane, channels in _join_planes(labels, axes, image):
        columns = measure(plane, pixel_size=pixel_size, axes="YX")
        ids = columns.pop("index")
        where = {_STACKED[axis]: np.full(ids.size, index) for axis, index in place.items()}
        columns = {"label": ids, **where, **columns, **measure_form(plane, pixel_size)}
        for suffix, channel in channels.items():
            brightness = measure_brightness(plane, channel)
            columns |= {f"{name}{suffix}": values for name, values in brightness.items()}
        parts.append(columns)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def encode_table(columns: Columns) -> bytes:
    """Return columns of equal length as CSV: a line of names, then numbers; what is undefined stays empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*([_write(v) for v in values.tolist()] for values in columns.values()), strict=True))
    return text.getvalue().encode()


def _write(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    return f"{value:.6g}" if np.isfinite(value) else ""


def _join_planes(
    labels: Labels, axes: str, image: ImageFile | None
) -> Iterator[tuple[Place, Labels, dict[str, npt.NDArray[Any]]]]:
    """Return every plane of the labels with the image's channels there, by the ending of their columns."""
    planes = list(iterate_planes(labels, axes))
    pictures = list(iterate_planes(image.data, image.axes)) if image else []
    for place, plane in planes:
        channels: dict[str, npt.NDArray[Any]] = {}
        if image:
            found = [p for there, p in pictures if there == place and p.shape[:2] == plane.shape]
            if not found or len(pictures) != len(planes):
                raise InputError(
                    f"{image.path.name} (axes {image.axes}, shape {image.data.shape}) does not fit labels of "
                    f"axes {axes} and shape {labels.shape}: give the image that they were made of."
                )
            channels = _name_channels(np.asarray(found[0]), image)
        yield place, np.ascontiguousarray(plane), channels


def _name_channels(picture: npt.NDArray[Any], image: ImageFile) -> dict[str, npt.NDArray[Any]]:
    if picture.ndim == 2 or picture.shape[-1] == 1:
        return {"": picture.reshape(picture.shape[:2])}
    count = picture.shape[-1]
    names = ("red", "green", "blue", "alpha")[:count] if image.rgb else image.channel_names
    if len(set(names)) != count:
        names = tuple(f"channel_{number}" for number in range(count))
    return {f"_{name}": picture[..., number] for number, name in enumerate(names)}
