"""The door: labels for an image from whatever file another program wrote."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from napari_unet.core.base import InputError
from napari_unet.core.image import plan_planes
from napari_unet.io import PHOTO_ENDINGS, TIFF_ENDINGS, ImageFile
from napari_unet.io.labels.geojson import read_geojson
from napari_unet.io.labels.pixels import read_pixels
from napari_unet.io.labels.rois import read_rois
from napari_unet.io.labels.target import LabelFile, Target

OUTLINE_ENDINGS = (".zip", ".roi", ".geojson", ".json")
LABEL_ENDINGS = (*TIFF_ENDINGS, *PHOTO_ENDINGS[:1], ".npy", *OUTLINE_ENDINGS)
"""Endings of the files that `read_labels` takes, beside OME-Zarr folders."""

_READERS: dict[str, Callable[[Path, Target], LabelFile]] = {
    **dict.fromkeys((".zip", ".roi"), read_rois),
    **dict.fromkeys((".geojson", ".json"), read_geojson),
}


def read_labels(
    path: str | os.PathLike[str],
    shape: tuple[int, ...],
    axes: str | None = None,
    pixel_size: float | None = None,
) -> LabelFile:
    """Read labels for an image: a label TIFF or PNG, OME-Zarr, `.npy`, ImageJ ROIs or GeoJSON.

    `shape` is that of the labels: the image's without channels. `axes` are its letters out of TZYX,
    by default the last of these; `pixel_size`, in µm, tells outlines in µm from those in pixels. Cells keep
    their numbers.

    Raises InputError, in one sentence, for a file that is missing, damaged, of another kind or of another
    image, and for a `.npy` file that holds more than arrays and numbers.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist: check the name and the folder.")
    if (
        path.is_file()
        and path.suffix.lower() not in LABEL_ENDINGS
        and path.suffix.lower() not in PHOTO_ENDINGS
    ):
        endings = ", ".join(LABEL_ENDINGS)
        raise InputError(f"{path.name} is no label file: choose one that ends in {endings}, or OME-Zarr.")
    read = _READERS.get(path.suffix.lower(), read_pixels) if path.is_file() else read_pixels
    return read(path, Target.of(shape, axes, pixel_size))


def read_labels_of(path: str | os.PathLike[str], image: ImageFile, axes: str | None = None) -> LabelFile:
    """Read labels for an image file, as `read_labels` does; `axes` are the image's where it names others."""
    grid = plan_planes(image.data.shape, axes or image.axes)
    return read_labels(path, grid.label_shape, grid.label_axes, image.pixel_size)
