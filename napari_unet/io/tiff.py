"""What a TIFF file says about its array, and its pixels, of large files only those that are used.

It is read wherever a file has it, because nobody should be asked what the file already knows.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_unet.core.base import InputError
from napari_unet.core.image import ends_in_channels
from napari_unet.io.calibration import MICROMETRES, Calibration

# Cameras and drawing programs fill the TIFF resolution with print values: 72, 96, 300, 600 dots per inch
# would be pixels of 42 µm and more. No microscope has those: units of print are believed below this only.
LARGEST_PLAUSIBLE_PIXEL = 20.0
_PRINTED = ("inch", "in", "cm")

# Description, X and Y resolution, and ImageJ's metadata: what is read below.
_TOLD_BY = (270, 282, 283, 50838, 50839)
LAZY = 1 << 30
"""Bytes of pixels from which a file is not read as a whole."""
_BLOCK = 2048


@contextmanager
def open_tiff(path: Path) -> Iterator[tuple[tifffile.TiffFile, tifffile.TiffPageSeries]]:
    """Open a TIFF file and its first image of which all planes lie in it, or else the planes that do.

    The files of an OME-TIFF set name each other, and each would be read as the whole set.
    """
    with tifffile.TiffFile(path) as tif:
        own = [series for series in tif.series if _lies_in(series, tif)] if tif.is_ome else tif.series[:1]
        if own:
            yield tif, own[0]
            return
    with tifffile.TiffFile(path, is_ome=False) as tif:
        yield tif, tif.series[0]


def calibrate(tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, path: Path) -> Calibration:
    """What an open TIFF file says about the array of one of its series.

    Where the file does not name its axes, pages are Z (then T, then C). Raises InputError for a file whose
    end is missing, without pixels, or with axes that have no name here.
    """
    if _is_cut_off(tif) or _lacks_metadata(tif):
        raise InputError(f"{path.name} is incomplete: its end is missing, copy or export it again.")
    _check_pieces(tif.pages.first, path)
    if 0 in series.shape:
        raise InputError(f"{path.name} holds no pixels: its shape is {series.shape}.")
    axes = _name_axes(series, path)
    if tif.pages.first.is_ome:
        return _ome_calibration(tif.pages.first.description, axes)
    pixel_size, z_step = _tag_lengths(tif)
    return Calibration(axes=axes, pixel_size=pixel_size, z_step=z_step)


def _lies_in(series: tifffile.TiffPageSeries, tif: tifffile.TiffFile) -> bool:
    return all(page is not None and page.parent.filehandle.path == tif.filehandle.path for page in series)


def _check_pieces(page: tifffile.TiffPage, path: Path) -> None:
    """Raise InputError for a page that claims to be larger than the pieces that it lists."""
    if math.prod(page.chunked) > len(page.dataoffsets):
        raise InputError(
            f"{path.name} is damaged: it says that it is {page.imagewidth} x {page.imagelength} pixels but "
            "does not hold them. Copy or export it again."
        )


def _is_cut_off(tif: tifffile.TiffFile) -> bool:
    # tifffile logs a page it cannot find and returns the pages before it; a stack must not shrink silently.
    layout, last = tif.tiff, tif.pages[-1]
    tif.filehandle.seek(last.offset)
    (tags,) = struct.unpack(layout.tagnoformat, tif.filehandle.read(layout.tagnosize))
    tif.filehandle.seek(last.offset + layout.tagnosize + tags * layout.tagsize)
    (following,) = struct.unpack(layout.offsetformat, tif.filehandle.read(layout.offsetsize))
    return bool(following != 0)


def _lacks_metadata(tif: tifffile.TiffFile) -> bool:
    # Written behind the pixels, as ImageJ's axes may be, they go first, and tifffile passes over them.
    layout, stream = tif.tiff, tif.filehandle
    stream.seek(tif.pages.first.offset)
    (tags,) = struct.unpack(layout.tagnoformat, stream.read(layout.tagnosize))
    entries = [stream.read(layout.tagsize) for _ in range(tags)]
    for entry in entries:
        code, kind = struct.unpack(layout.tagformat1, entry[:4])
        count, value = struct.unpack(layout.tagformat2, entry[4:])
        size = count * struct.calcsize("=" + tifffile.TIFF.DATA_FORMATS.get(kind, ""))
        if code in _TOLD_BY and size > layout.tagoffsetthreshold:
            (offset,) = struct.unpack(layout.offsetformat, value)
            if offset + size > stream.size:
                return True
    return False


def _name_axes(series: tifffile.TiffPageSeries, path: Path) -> str:
    """Translate tifffile's axes to TZCYXS, with colours last."""
    axes, position = series.axes, series.axes.find("S")
    if axes.endswith("YX") and ends_in_channels(series.shape) and axes[-3] not in "TZC":
        axes = f"{axes[:-3]}YXC"
    # tifffile long stored any three or four planes as colours. Colour cameras give bytes: deeper planes are
    # channels.
    planes = 0 <= position < axes.index("X") and series.dtype != "uint8"
    if position >= 0 and (planes or series.shape[position] not in (3, 4)):
        axes = axes.replace("S", "Q" if "C" in axes else "C")
    colours = "S" * axes.count("S")
    axes = axes.replace("S", "")
    unnamed = [axis for axis in axes if axis not in "TZCYX"]
    free = [letter for letter in "ZTC" if letter not in axes][: len(unnamed)]
    names = iter(sorted(free, key="TZC".index))
    if len(free) < len(unnamed) or not {"Y", "X"} <= set(axes):
        raise InputError(
            f"{path.name} has axes {axes} that cannot be understood: save it with axes T, Z, C, Y, X."
        )
    return "".join(axis if axis in "TZCYX" else next(names) for axis in axes) + colours


def _ome_calibration(xml: str, axes: str) -> Calibration:
    image = tifffile.xml2dict(xml)["OME"]["Image"]
    pixels = (image[0] if isinstance(image, list) else image)["Pixels"]
    channels = pixels.get("Channel", [])
    names = [c.get("Name") for c in (channels if isinstance(channels, list) else [channels])]
    lengths = []
    for axis in "XZ":
        unit = MICROMETRES.get(str(pixels.get(f"PhysicalSize{axis}Unit", "um")).lower())
        length = pixels.get(f"PhysicalSize{axis}")
        lengths.append(_positive(length * unit) if length and unit else None)
    return Calibration(
        axes=axes,
        pixel_size=lengths[0],
        z_step=lengths[1],
        channel_names=tuple(map(str, names)) if "C" in axes and all(names) else (),
    )


def _tag_lengths(tif: tifffile.TiffFile) -> tuple[float | None, float | None]:
    """Pixel size and Z step in micrometres, from ImageJ's metadata or the resolution tags alone."""
    page = tif.pages.first
    per_unit = page.resolution[0]
    if tif.is_imagej:
        metadata = tif.imagej_metadata or {}
        name = str(metadata.get("unit", "")).lower()
        spacing = float(metadata.get("spacing", 0))
    else:
        name, spacing = {2: "inch", 3: "cm"}.get(int(page.resolutionunit), ""), 0.0
    unit = MICROMETRES.get(name)
    if not unit or not per_unit:
        return None, None
    pixel_size = _positive(unit / per_unit)
    if name in _PRINTED and pixel_size and pixel_size > LARGEST_PLAUSIBLE_PIXEL:
        return None, None
    return pixel_size, _positive(unit * spacing)


def _positive(length: float) -> float | None:
    # Resolution tags are 32-bit fractions: ten digits are more than they hold, and 0.65 should read 0.65.
    return float(f"{length:.6g}") if math.isfinite(length) and length > 0 else None


def is_lazy(series: tifffile.TiffPageSeries) -> bool:
    """Whether a series is better read in parts, and the packages for that are there."""
    return series.nbytes >= LAZY and all(find_spec(name) is not None for name in ("dask", "zarr"))


def open_pixels(series: tifffile.TiffPageSeries, path: Path) -> Any:
    """Return the first series of a file as a dask array, of which nothing is read yet.

    Pixels that cannot be read raise InputError when they are computed.
    """
    import dask.array

    pixels = _Pixels(path, series.shape, series.dtype.newbyteorder("="))
    chunks = tuple(min(size, _BLOCK) if size > 4 else size for size in series.shape[-3:])
    return dask.array.from_array(  # type: ignore[no-untyped-call]
        pixels,
        chunks=(1,) * (series.ndim - len(chunks)) + chunks,
        name=False,
        meta=np.empty((0,) * series.ndim, pixels.dtype),
    )


@dataclass(frozen=True, slots=True)
class _Pixels:
    """An array in a file, which is opened for every read: so it may be sent to other processes."""

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        try:
            with open_tiff(self.path) as (tif, series):
                return np.array(_open_series(tif, series)[key]).astype(self.dtype, copy=False)
        except MemoryError:
            raise
        except Exception as error:
            raise InputError(f"{self.path.name} is damaged or incomplete: export it again.") from error


def _open_series(tif: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> Any:
    """Return what reads parts of a series, by its strips or tiles."""
    import zarr

    if series.dataoffset is None:
        return zarr.open_array(series.aszarr(level=0), mode="r")
    # Pixels that lie in one piece are one strip, which would be read as a whole.
    dtype = series.dtype.newbyteorder(tif.byteorder)
    return np.memmap(tif.filehandle.path, dtype, "r", series.dataoffset, series.shape)
