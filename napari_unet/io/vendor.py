"""Images in formats of microscope makers (Zeiss, Leica, Nikon), read by bioio.

bioio 3 and its readers are an extra: they are many packages, and most users have TIFF files. The extra holds
readers under permissive licences only; that of CZI files is under the GPL, and users add it themselves.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unet.core.base import InputError
from napari_unet.io.calibration import Calibration
from napari_unet.io.failures import reading

READERS = {".czi": "bioio-czi", ".lif": "bioio-lif", ".nd2": "bioio-nd2"}
"""The reader for files of each ending: a package that is called the same, but for the dash."""

_NOT_IN_EXTRA = ("bioio-czi",)

logger = logging.getLogger("napari_unet")


@dataclass(frozen=True, slots=True)
class VendorImage:
    """An open file, of which no pixels are read yet: what it says, and a dask array of its pixels."""

    calibration: Calibration
    pixels: Any


def is_vendor_image(path: Path) -> bool:
    """Whether a file has the ending of a microscope maker's format."""
    return path.suffix.lower() in READERS


def open_vendor_image(path: Path) -> VendorImage:
    """Open a file; of several images in it, the first.

    Axes of length 1 but Y and X are left out: bioio adds them to every image. Raises InputError, now or when
    pixels are computed, for what is damaged, and where the packages that read it are not installed.
    """
    with reading(path, _kind(path)):
        image = _open(path)
        if len(image.scenes) > 1:
            count, first = len(image.scenes), image.current_scene
            logger.warning("%s holds %d images, of which the first, %s, is used.", path.name, count, first)
        order: str = image.dims.order
        if "M" in order:
            raise InputError(f"{path.name} holds tiles that are not stitched: stitch and export them first.")
        kept = [axis in "YX" or size > 1 for axis, size in zip(order, image.dims.shape, strict=True)]
        pixels = image.dask_data[tuple(slice(None) if keep else 0 for keep in kept)]
        if pixels.dtype.kind not in "biuf" or 0 in pixels.shape:
            raise InputError(
                f"{path.name} holds {pixels.dtype} values of shape {pixels.shape}: save it as numbers."
            )
        axes = "".join(axis for axis, keep in zip(order, kept, strict=True) if keep)
        return VendorImage(_calibrate(image, axes), _make_lazy(pixels, path))


def _kind(path: Path) -> str:
    return path.suffix[1:].upper()


def _open(path: Path) -> Any:
    try:
        from bioio import BioImage

        # It would say which readers it tried: the sentence for the user says enough.
        logging.getLogger("bioio").setLevel(logging.ERROR)
        return BioImage(path)
    except Exception as error:
        reader = READERS[path.suffix.lower()]
        # Another reader may have been tried, so what is missing counts only once the file is not read.
        if all(find_spec(name) is not None for name in ("bioio", reader.replace("-", "_"))):
            raise
        packages = " ".join(("'napari-unet[bio]'", *(name for name in _NOT_IN_EXTRA if name == reader)))
        raise InputError(
            f"{path.name} needs more packages: install them with pip install {packages}."
        ) from error


def _calibrate(image: Any, axes: str) -> Calibration:
    sizes, names = image.physical_pixel_sizes, image.channel_names or ()
    return Calibration(
        axes=axes,
        pixel_size=_length(sizes.X),
        z_step=_length(sizes.Z) if "Z" in axes else None,
        channel_names=tuple(map(str, names)) if "C" in axes and all(names) else (),
    )


def _length(micrometres: float | None) -> float | None:
    if micrometres is None or not math.isfinite(micrometres) or micrometres <= 0:
        return None
    return float(f"{micrometres:.6g}")


def _make_lazy(pixels: Any, path: Path) -> Any:
    import dask.array

    return dask.array.from_array(  # type: ignore[no-untyped-call]
        _Pixels(pixels, path),
        chunks=pixels.chunks,
        name=False,
        meta=np.empty((0,) * pixels.ndim, pixels.dtype),
    )


@dataclass(frozen=True, slots=True)
class _Pixels:
    """A dask array whose damage is told in a sentence, however long after opening."""

    array: Any
    path: Path

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.array.shape)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.array.dtype).newbyteorder("=")

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:
        with reading(self.path, _kind(self.path)):
            # On this very thread: it is one of dask's already.
            pixels = self.array[key].compute(scheduler="synchronous")
            return np.asarray(pixels).astype(self.dtype, copy=False)
