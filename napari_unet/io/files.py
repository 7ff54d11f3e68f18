"""Image and label files: TIFF (OME, ImageJ, plain), photos, OME-Zarr and microscopes' own in, TIFF out.

Everything here works on whole files and either succeeds or raises InputError and leaves the disk as it was.
"""

from __future__ import annotations

import errno
import io
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_unet.core.base import InputError
from napari_unet.io.atomic import write_file
from napari_unet.io.calibration import Calibration
from napari_unet.io.failures import reading
from napari_unet.io.photo import name_axes, read_palette, read_photo
from napari_unet.io.tiff import calibrate, is_lazy, open_pixels, open_tiff
from napari_unet.io.vendor import READERS, is_vendor_image, open_vendor_image
from napari_unet.io.zarr_read import ENDING, KIND, is_zarr, read_multiscale, read_pixels

TIFF_ENDINGS = (".tif", ".tiff")
PHOTO_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
_LEFTOVERS = ("thumbs.db", "desktop.ini")
FILE_ENDINGS = (*TIFF_ENDINGS, *PHOTO_ENDINGS, *READERS)
SAMPLES = ("nuclei", "cells", "membranes", "timelapse", "stack")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile(Calibration):
    """An image file that was read: what it says about its array, and the array, dask's where it is lazy."""

    path: Path
    data: NDArray[Any]


def read_image(path: str | os.PathLike[str]) -> ImageFile:
    """Read a TIFF file, a photo (PNG, JPEG, BMP, GIF, WebP), a microscope's file, or an OME-Zarr folder.

    The array is as in the file, of any integer, float or bool dtype; nothing is scaled and no axis dropped,
    but colours are moved to the last axis and palettes become colours. Of a file with several images (a
    pyramid, several positions) the first is read. In a TIFF that does not name its axes, pages are Z (then T,
    then C). The pixels of OME-Zarr, of its finest level, of microscopes' files, and of TIFF files of a
    gigabyte and more are a dask array: they are read when they are used. Raises InputError for a file that is
    missing, empty, damaged, incomplete, no image, or needs packages that are not installed.
    """
    if is_zarr(Path(path)):
        multiscale = read_multiscale(Path(path))
        return ImageFile(path=Path(path), data=read_pixels(multiscale), **asdict(multiscale.calibration))
    path = _existing(path)
    if is_vendor_image(path):
        image = open_vendor_image(path)
        return ImageFile(path=path, data=image.pixels, **asdict(image.calibration))
    with reading(path):
        if path.suffix.lower() in TIFF_ENDINGS:
            return _read_tiff(path)
        data, axes = read_photo(path)
        return ImageFile(path=path, data=data, axes=axes)


def read_calibration(path: str | os.PathLike[str]) -> Calibration:
    """What a file says about its array, without reading the array; raises InputError as `read_image` does."""
    if is_zarr(Path(path)):
        return read_multiscale(Path(path)).calibration
    path = _existing(path)
    if is_vendor_image(path):
        return open_vendor_image(path).calibration
    with reading(path):
        if path.suffix.lower() in TIFF_ENDINGS:
            with open_tiff(path) as (tif, series):
                return calibrate(tif, series, path)
        return Calibration(axes=name_axes(path))


def read_labels(path: str | os.PathLike[str]) -> NDArray[np.int32]:
    """Read a label image: whole numbers, 0 = background, stored as any integer, bool, or float type.

    Returns int32 of the shape in the file; in a PNG with a palette the numbers are the palette's indices.
    Raises InputError for colours, fractions, negative or too large numbers, JPEG (it alters numbers) and
    whatever `read_image` refuses.
    """
    path = Path(path)
    if is_zarr(path):
        with reading(path, KIND):
            return _as_labels(np.asarray(read_image(path).data), path.name)
    path = _existing(path)
    if path.suffix.lower() in (".jpg", ".jpeg"):
        raise InputError(f"{path.name} is a JPEG, which alters label numbers: save labels as TIFF or PNG.")
    if path.suffix.lower() in PHOTO_ENDINGS:
        with reading(path):
            indices = read_palette(path)
        if indices is not None:
            return indices.astype(np.int32)
    image = read_image(path)
    if image.rgb:
        raise InputError(f"{path.name} is a colour image, not labels: save one whole number per pixel.")
    with reading(path):
        return _as_labels(np.asarray(image.data), path.name)


def write_labels(
    path: str | os.PathLike[str],
    labels: NDArray[Any],
    *,
    axes: str | None = None,
    pixel_size: float | None = None,
    z_step: float | None = None,
) -> Path:
    """Write a label image as a zlib-compressed TIFF; the file appears complete or not at all.

    `labels` holds whole numbers >= 0; `axes` defaults to the last letters of TZYX. Labels up to 65535 are
    written as uint16 in ImageJ's format, which Fiji and napari open with axes and pixel size; larger ones
    need int32, which ImageJ does not know, and go into OME-TIFF. Returns the path. Raises InputError for what
    is no label image, an ending other than .tif or .tiff, and a place that cannot be written.
    """
    path = Path(path)
    labels = _as_labels(np.asarray(labels), "The label image")
    if labels.max() <= np.iinfo(np.uint16).max:
        labels = labels.astype(np.uint16)
    return write_image(path, labels, axes=axes, pixel_size=pixel_size, z_step=z_step)


def write_image(
    path: str | os.PathLike[str],
    data: NDArray[Any],
    *,
    axes: str | None = None,
    pixel_size: float | None = None,
    z_step: float | None = None,
) -> Path:
    """Write an image as a zlib-compressed TIFF; the file appears complete or not at all.

    `axes` is as in `Calibration` and defaults to the last letters of TZYX; lengths are in micrometres. What
    ImageJ's format holds (uint8, uint16, float32) goes into that, the rest into OME-TIFF. Returns the path.
    Raises InputError for an ending other than .tif or .tiff, axes that do not fit the array, and a place that
    cannot be written.
    """
    path, axes = Path(path), axes or "TZYX"[-data.ndim :]
    if path.suffix.lower() not in TIFF_ENDINGS:
        raise InputError(f"{path.name} cannot be written: choose a name that ends in .tif.")
    named_once = len(set(axes)) == len(axes) == data.ndim
    if not named_once or not {"Y", "X"} <= set(axes) <= set("TZCYXS"):
        raise InputError(
            f"An array of shape {data.shape} cannot have the axes {axes}: give one letter per axis."
        )
    metadata: dict[str, Any] = {"axes": axes}
    options: dict[str, Any] = {"photometric": "rgb" if axes.endswith("S") else "minisblack"}
    in_order = [letter for letter in "TZCYXS" if letter in axes] == list(axes)
    imagej_types = ("uint8",) if axes.endswith("S") else ("uint8", "uint16", "float32")
    if data.dtype.name in imagej_types and in_order:
        options["imagej"] = True
        if pixel_size:
            options["resolution"] = (1 / pixel_size, 1 / pixel_size)
            metadata["unit"] = "um"
        if z_step:
            metadata["spacing"] = z_step
    else:
        options["ome"] = True
        lengths = {"PhysicalSizeX": pixel_size, "PhysicalSizeY": pixel_size, "PhysicalSizeZ": z_step}
        metadata |= {name: length for name, length in lengths.items() if length}
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, data, compression="zlib", metadata=metadata, **options)
    try:
        write_file(path, buffer.getvalue())
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"{path} cannot be written ({reason}): choose another place or make room."
        ) from error
    return path


def check_place(path: Path) -> None:
    """Raise InputError if no file can be written at ``path``: before hours are spent on what goes there."""
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{path} cannot be written ({reason}): choose another place.") from error


def list_images(paths: Sequence[str | os.PathLike[str]]) -> list[Path]:
    """The image files that `paths` name: files as they are, folders as the images right inside, by name.

    An OME-Zarr folder is an image. What file managers leave in folders is passed over. Raises InputError for
    a missing path, a file of another kind, and when there is no image at all.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        if is_zarr(path):
            found[path] = None
        elif path.is_dir():
            inside = sorted(p for p in path.iterdir() if not p.name.startswith("."))
            found |= dict.fromkeys(
                p for p in inside if is_zarr(p) or (p.is_file() and p.suffix.lower() in FILE_ENDINGS)
            )
        elif path.name.lower() not in _LEFTOVERS and not path.name.startswith("."):
            found[_existing(path)] = None
    if not found:
        names = ", ".join(str(path) for path in paths)
        raise InputError(f"There is no image in {names or 'an empty list'}: {_supported()}.")
    return list(found)


def stem_of(path: Path) -> str:
    """The name of an image file without its ending, .ome.tif and .ome.zarr being endings as a whole."""
    stem = path.stem
    return stem[: -len(".ome")] if stem.lower().endswith(".ome") else stem


def sample_path(name: str) -> Path:
    """The file of a sample image of `SAMPLES`, or of its true labels ("nuclei_labels")."""
    package = Path(__file__).parents[1]
    # A wheel carries the samples inside the package; a checkout has them next to it.
    for folder in (package / "sample_data", package.parent / "sample_data"):
        path = folder / f"{name}.tif"
        if path.is_file():
            return path
    raise InputError(f"There is no sample {name!r}: choose one of {', '.join(SAMPLES)}.")


def _existing(path: str | os.PathLike[str]) -> Path:
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder: choose an image file in it.")
    if not path.exists():
        raise InputError(f"{path} does not exist: check the name and the folder.")
    if path.suffix.lower() not in FILE_ENDINGS:
        raise InputError(f"{path.name} cannot be read: {_supported()}.")
    if not path.is_file():
        raise InputError(f"{path} is not a file but a pipe or device: choose an image file.")
    if path.stat().st_size == 0:
        raise InputError(f"{path.name} is empty (0 bytes): copy or export it again.")
    return path


def _supported() -> str:
    return f"supported are {', '.join((*FILE_ENDINGS, ENDING))}"


def _read_tiff(path: Path) -> ImageFile:
    with open_tiff(path) as (tif, series):
        calibration = calibrate(tif, series, path)
        data = open_pixels(series, path) if is_lazy(series) else series.asarray()
    if data.dtype.kind not in "biuf":
        raise InputError(f"{path.name} holds {data.dtype} values: save it as whole numbers or floats.")
    if calibration.rgb:
        data = np.moveaxis(data, series.axes.index("S"), -1)
    return ImageFile(
        path=path,
        data=data.astype(data.dtype.newbyteorder("="), copy=False),
        **asdict(calibration),
    )


def _as_labels(data: NDArray[Any], name: str) -> NDArray[np.int32]:
    if data.size == 0 or data.ndim < 2:
        raise InputError(f"{name} has the shape {data.shape}: labels need at least one plane of pixels.")
    if data.dtype.kind not in "biuf":
        raise InputError(f"{name} holds {data.dtype} values: save labels as whole numbers.")
    if data.dtype.kind == "f" and not np.array_equal(data, np.rint(data)):
        raise InputError(f"{name} holds fractions, not labels: save one whole number per pixel.")
    if data.min() < 0 or data.max() > np.iinfo(np.int32).max:
        raise InputError(f"{name} holds numbers outside 0 to 2147483647: renumber its labels.")
    return data.astype(np.int32, copy=False)
