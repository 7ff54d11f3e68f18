"""Labels in the formats that other programs take: Fiji, QuPath, spreadsheets, OME-Zarr viewers.

The format follows from the ending of the name, here and in napari's File > Save.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_unet.app import files, zarr_labels
from napari_unet.app.atomic import write_file
from napari_unet.app.calibration import Calibration
from napari_unet.app.files import ImageFile
from napari_unet.app.geojson import encode_geojson
from napari_unet.app.rois import encode_rois
from napari_unet.app.table import encode_table, tabulate
from napari_unet.app.zarr_image import is_zarr, read_multiscale
from napari_unet.core.axes import plan_planes
from napari_unet.core.corrections import as_labels
from napari_unet.core.errors import InputError
from napari_unet.core.planes import default_axes

ENDINGS = {"tiff": ".tif", "csv": ".csv", "rois": ".zip", "geojson": ".geojson", "zarr": ".zarr"}
"""Ending of the files of each format."""


class Exported(NamedTuple):
    """What became of a label file: what was written, and how many cells are in it, or why not."""

    labels: Path
    written: Path | None = None
    cells: int = 0
    error: str | None = None

    @property
    def sentence(self) -> str:
        """The outcome in words."""
        return f"{self.labels.name}: {self.error or f'{self.cells} cells -> {self.written}'}"


def export_labels(
    path: Path,
    labels: NDArray[Any],
    *,
    axes: str | None = None,
    pixel_size: float | None = None,
    z_step: float | None = None,
    image: ImageFile | None = None,
) -> Path:
    """Write labels in the format that the ending of `path` stands for; it appears complete or not at all.

    `labels` holds whole numbers >= 0; `axes` defaults to the last letters of TZYX; lengths are in
    micrometres. A table (.csv) also measures the brightness in `image`. OME-Zarr (.zarr) becomes the labels
    "cells" of the image of that name, where there is one, else a label image. Returns what was written.
    Raises InputError for another ending, what is no label image, an image that does not fit, and a place that
    cannot be written.
    """
    ending = path.suffix.lower()
    if ending in files.TIFF_ENDINGS:
        return files.write_labels(path, labels, axes=axes, pixel_size=pixel_size, z_step=z_step)
    labels, axes = _check(labels), axes or default_axes(labels.ndim)
    if ending == ENDINGS["zarr"]:
        if is_zarr(path) and not read_multiscale(path).is_labels:
            return zarr_labels.add_labels(path, labels)
        return zarr_labels.write_label_image(path, labels, axes, pixel_size=pixel_size, z_step=z_step)
    if ending == ENDINGS["csv"]:
        content = encode_table(tabulate(labels, axes, pixel_size=pixel_size, image=image))
    elif ending == ENDINGS["rois"]:
        content = encode_rois(labels, axes)
    elif ending == ENDINGS["geojson"]:
        content = encode_geojson(labels, axes)
    else:
        raise InputError(f"{path.name} cannot be written: choose a name in {', '.join(ENDINGS.values())}.")
    try:
        write_file(path, content)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"{path} cannot be written ({reason}): choose another place or make room."
        ) from error
    return path


def export_files(
    paths: Sequence[Path], output: Path, form: str, images: Path | None = None
) -> Iterator[Exported]:
    """Write label files into the folder `output` in a format of `ENDINGS`, each under its own stem.

    `images` is a folder with images of the same stems, which tell the axes, the pixel size where the labels
    do not, and the brightness for tables. A file that cannot be exported does not stop the rest. Raises
    InputError for an unknown format, two files of one stem, and where the only file cannot be exported.
    """
    if form not in ENDINGS:
        raise InputError(f"There is no format '{form}': choose one of {', '.join(ENDINGS)}.")
    found = files.list_images(paths)
    stems: dict[str, Path] = {}
    for path in found:
        if (other := stems.setdefault(files.stem_of(path), path)) is not path:
            raise InputError(f"{other} and {path} would be written to the same file: rename one of them.")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{output} cannot be made ({error.strerror}): choose another folder.") from error
    for path in found:
        try:
            yield _export_file(path, output, ENDINGS[form], images)
        except InputError as error:
            if len(found) == 1:
                raise
            yield Exported(path, error=str(error))


def _export_file(labels: Path, output: Path, ending: str, images: Path | None) -> Exported:
    said = files.read_calibration(labels)
    array = files.read_labels(labels)
    image = _find_image(labels, images) if images else None
    axes = said.axes if set(said.axes) <= set("TZYX") else default_axes(array.ndim)
    if image:
        grid = plan_planes(image.data.shape, image.axes)
        if grid.label_shape != array.shape:
            raise InputError(
                f"{labels.name} has the shape {array.shape}, but its image {image.path.name} needs labels of "
                f"shape {grid.label_shape}: give the image that they were made of."
            )
        axes = grid.label_axes
    told: list[Calibration] = [said, *([image] if image else [])]
    target = output / f"{files.stem_of(labels)}{ending}"
    if ending == ENDINGS["zarr"] and (output / f"{files.stem_of(labels)}.ome{ending}").exists():
        target = output / f"{files.stem_of(labels)}.ome{ending}"
    written = export_labels(
        target,
        array,
        axes=axes,
        pixel_size=next((c.pixel_size for c in told if c.pixel_size), None),
        z_step=next((c.z_step for c in told if c.z_step), None),
        image=image,
    )
    return Exported(labels, written, int(np.unique(array[array > 0]).size))


def _check(labels: NDArray[Any]) -> NDArray[np.int32]:
    labels = as_labels(labels)
    if labels.ndim < 2 or labels.size == 0:
        raise InputError(f"Labels of shape {labels.shape} cannot be written: they need at least one plane.")
    if labels.min() < 0:
        raise InputError("A label is negative: give every cell a number above 0.")
    return labels


def _find_image(labels: Path, images: Path) -> ImageFile:
    for path in files.list_images([images]):
        if files.stem_of(path) == files.stem_of(labels):
            return files.read_image(path)
    raise InputError(f"There is no image for {labels.name} in {images}: give matching files the same name.")
