"""What an image file says about its array: axes, pixel size, channel names.

It is read wherever a file has it, because nobody should be asked what the file already knows.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path

import tifffile

from napari_unet.core.base.errors import InputError

MICROMETRES = {
    **dict.fromkeys(("pm", "picometer"), 1e-6),
    **dict.fromkeys(("å", "angstrom"), 1e-4),
    **dict.fromkeys(("nm", "nanometer"), 1e-3),
    **dict.fromkeys(("um", "µm", "μm", "\\u00b5m", "micron", "microns", "micrometer", "micrometre"), 1.0),
    **dict.fromkeys(("mm", "millimeter"), 1e3),
    **dict.fromkeys(("cm", "centimeter"), 1e4),
    **dict.fromkeys(("inch", "in"), 25400.0),
    **dict.fromkeys(("m", "meter"), 1e6),
}
"""Micrometres in the units of length that files and napari use, by lower-case name."""

# Cameras and drawing programs fill the TIFF resolution with print values: 72, 96, 300, 600 dots per inch
# would be pixels of 42 um and more. No microscope has those: the tag alone is believed below this only.
LARGEST_PLAUSIBLE_PIXEL = 20.0

# Description, X and Y resolution, and ImageJ's metadata: what is read below.
_TOLD_BY = (270, 282, 283, 50838, 50839)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What a file says about its array.

    `axes` has one letter of TZCYXS per axis of the array; S stands for red, green, blue (and alpha) and comes
    last. `pixel_size` (along Y and X) and `z_step` are in micrometres, None where the file does not say.
    `channel_names` has one name per channel, or is empty.
    """

    axes: str
    pixel_size: float | None = None
    z_step: float | None = None
    channel_names: tuple[str, ...] = ()

    @property
    def rgb(self) -> bool:
        """True if the last axis holds colours."""
        return self.axes.endswith("S")

    @property
    def scale(self) -> tuple[float, ...]:
        """Step along each axis but S: micrometres where the file gives a length, else 1."""
        return tuple(self._length(axis) or 1.0 for axis in self.axes if axis != "S")

    @property
    def units(self) -> tuple[str, ...]:
        """Unit of each axis but S: "um" where `scale` is a length, else "pixel"."""
        return tuple("um" if self._length(axis) else "pixel" for axis in self.axes if axis != "S")

    @property
    def axis_labels(self) -> tuple[str, ...]:
        """Lower-case letter of each axis but S."""
        return tuple(self.axes.replace("S", "").lower())

    def _length(self, axis: str) -> float | None:
        return {"Z": self.z_step, "Y": self.pixel_size, "X": self.pixel_size}.get(axis)


def calibrate(tif: tifffile.TiffFile, path: Path) -> Calibration:
    """What an open TIFF file says about the array of its first series.

    Where the file does not name its axes, pages are Z (then T, then C). Raises InputError for a file whose
    end is missing, without pixels, or with axes that have no name here.
    """
    if _is_cut_off(tif) or _lacks_metadata(tif):
        raise InputError(f"{path.name} is incomplete: its end is missing, copy or export it again.")
    series = tif.series[0]
    if 0 in series.shape:
        raise InputError(f"{path.name} holds no pixels: its shape is {series.shape}.")
    axes = _name_axes(series, path)
    if tif.is_ome:
        return _ome_calibration(tif.ome_metadata or "", axes)
    pixel_size, z_step = _tag_lengths(tif)
    return Calibration(axes=axes, pixel_size=pixel_size, z_step=z_step)


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
        unit = MICROMETRES.get(str(metadata.get("unit", "")).lower())
        if not unit:
            return None, None
        pixel_size = _positive(unit / per_unit) if per_unit else None
        return pixel_size, _positive(unit * float(metadata.get("spacing", 0)))
    unit = {2: MICROMETRES["inch"], 3: MICROMETRES["cm"]}.get(int(page.resolutionunit))
    pixel_size = _positive(unit / per_unit) if unit and per_unit else None
    return (pixel_size if pixel_size and pixel_size <= LARGEST_PLAUSIBLE_PIXEL else None), None


def _positive(length: float) -> float | None:
    # Resolution tags are 32-bit fractions: ten digits are more than they hold, and 0.65 should read 0.65.
    return float(f"{length:.6g}") if math.isfinite(length) and length > 0 else None
