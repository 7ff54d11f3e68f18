"""Labels in the formats that other programs take: Fiji, QuPath, spreadsheets, OME-Zarr viewers.

The format follows from the ending of the name, here and in napari's File > Save.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.base import InputError, Progress, Report, as_labels
from napari_unet.core.image import default_axes, plan_planes
from napari_unet.io import Calibration, ImageFile, OnPart, files, is_zarr, read_multiscale, write_file
from napari_unet.io import zarr_write as zarr_labels
from napari_unet.io.export.geojson import encode_geojson
from napari_unet.io.export.rois import encode_rois
from napari_unet.io.export.table import encode_table, tabulate

ENDINGS = {"tiff": ".tif", "csv": ".csv", "rois": ".zip", "geojson": ".geojson", "zarr": ".zarr"}
"""Ending of the files of each format."""


FORMATS = {
    "rois": "ROIs for Fiji",
    "csv": "Table of measurements",
    "geojson": "GeoJSON for QuPath",
    "tiff": "Label image",
    "zarr": "OME-Zarr",
}
"""What each format is for, in the order in which a window offers them."""


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
    on_part: OnPart = lambda done, total: None,
) -> Path:
    """Write labels in the format that the ending of `path` stands for; it appears complete or not at all.

    `labels` holds whole numbers >= 0; `axes` defaults to the last letters of TZYX; lengths are in
    micrometres. A table (.csv) also measures the brightness in `image`. OME-Zarr (.zarr) becomes the labels
    "cells" of the image of that name, where there is one, else a label image; for it alone, labels may be
    lazy and bigger than memory, and `on_part` is told how far it is. Returns what was written. Raises
    InputError for another ending, what is no label image, an image that does not fit, and a place that cannot
    be written.
    """
    ending = path.suffix.lower()
    if ending in files.TIFF_ENDINGS:
        return files.write_labels(path, labels, axes=axes, pixel_size=pixel_size, z_step=z_step)
    _check_shape(labels)
    axes = axes or default_axes(labels.ndim)
    if ending == ENDINGS["zarr"]:
        if _is_image(path):
            return zarr_labels.add_labels(path, labels, on_part=on_part)
        size, step = pixel_size, z_step
        return zarr_labels.write_label_image(
            path, labels, axes, pixel_size=size, z_step=step, on_part=on_part
        )
    labels = _check_values(labels)
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


def complete_name(path: Path, form: str) -> Path:
    """Return a name whose ending says a format: its own where it says one, else that of `form`.

    Only the endings of `ENDINGS` count: in `cells_0.5` there is none.
    """
    known = (*ENDINGS.values(), *files.TIFF_ENDINGS)
    return path if path.suffix.lower() in known else path.with_name(path.name + ENDINGS[form])


def export_files(
    paths: Sequence[Path],
    output: Path | None,
    form: str,
    images: Path | None = None,
    report: Report = lambda progress: None,
) -> Iterator[Exported]:
    """Write label files into the folder `output` in a format of `ENDINGS`, each under its own stem.

    `images` is a folder with images of the same stems, which tell the axes, the pixel size where the labels
    do not, and the brightness for tables. Without `output`, OME-Zarr labels go into those images. A file that
    cannot be exported does not stop the rest. Raises InputError for an unknown format, two files of one stem,
    no folder to write to, and where the only file cannot be exported.
    """
    if form not in ENDINGS:
        raise InputError(f"There is no format '{form}': choose one of {', '.join(ENDINGS)}.")
    if output is None and (form != "zarr" or images is None):
        raise InputError("There is no folder for the files: name one, or for zarr the OME-Zarr images.")
    found = files.list_images(paths)
    stems: dict[str, Path] = {}
    for path in found:
        if (other := stems.setdefault(files.stem_of(path), path)) is not path:
            raise InputError(f"{other} and {path} would be written to the same file: rename one of them.")
    try:
        if output is not None:
            output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{output} cannot be made ({error.strerror}): choose another folder.") from error
    for path in found:
        try:
            yield _export_file(path, output, ENDINGS[form], images, report)
        except InputError as error:
            if len(found) == 1:
                raise
            yield Exported(path, error=str(error))


def _export_file(
    labels: Path, output: Path | None, ending: str, images: Path | None, report: Report
) -> Exported:
    said = files.read_calibration(labels)
    array = _open_labels(labels) if ending == ENDINGS["zarr"] else files.read_labels(labels)
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

    def on_part(done: int, total: int) -> None:
        report(Progress(done / total, f"{labels.name}: part {done + 1} of {total}"))

    written = export_labels(
        _name_target(labels, output, ending, image),
        array,
        axes=axes,
        pixel_size=next((c.pixel_size for c in told if c.pixel_size), None),
        z_step=next((c.z_step for c in told if c.z_step), None),
        image=image,
        on_part=on_part,
    )
    return Exported(labels, written, _count_cells(array))


def _open_labels(path: Path) -> Any:
    """Return labels, lazy where they are OME-Zarr."""
    pixels = files.read_image(path).data if is_zarr(path) else None
    return pixels if pixels is not None and pixels.dtype.kind in "iub" else files.read_labels(path)


def _name_target(labels: Path, output: Path | None, ending: str, image: ImageFile | None) -> Path:
    stem = files.stem_of(labels)
    if output is None:
        assert image is not None
        if not _is_image(image.path):
            raise InputError(f"{image.path.name} is no OME-Zarr image: name a folder for its labels instead.")
        return image.path
    ome = output / f"{stem}.ome{ending}"
    return ome if ending == ENDINGS["zarr"] and ome.exists() else output / f"{stem}{ending}"


def _is_image(path: Path) -> bool:
    return is_zarr(path) and not read_multiscale(path).is_labels


def _count_cells(labels: Any) -> int:
    ids = np.zeros(0, np.int64)
    for part in zarr_labels.plan_parts(labels.shape):
        ids = np.union1d(ids, np.asarray(labels[part]))
    return int(np.count_nonzero(ids))


def _check_shape(labels: Any) -> None:
    if labels.ndim < 2 or 0 in labels.shape:
        raise InputError(f"Labels of shape {labels.shape} cannot be written: they need at least one plane.")


def _check_values(labels: NDArray[Any]) -> NDArray[np.int32]:
    labels = as_labels(labels)
    if labels.min() < 0:
        raise InputError("A label is negative: give every cell a number above 0.")
    return labels


def _find_image(labels: Path, images: Path) -> ImageFile:
    for path in files.list_images([images]):
        if files.stem_of(path) == files.stem_of(labels):
            return files.read_image(path)
    raise InputError(f"There is no image for {labels.name} in {images}: give matching files the same name.")
