"""The pixels of a TIFF file, of which only the parts that are used are read."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_unet.core.base.errors import InputError

LAZY = 1 << 30
"""Bytes of pixels from which a file is not read as a whole."""

_BLOCK = 2048


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
            with tifffile.TiffFile(self.path) as tif:
                return np.array(_open_series(tif)[key]).astype(self.dtype, copy=False)
        except MemoryError:
            raise
        except Exception as error:
            raise InputError(f"{self.path.name} is damaged or incomplete: export it again.") from error


def _open_series(tif: tifffile.TiffFile) -> Any:
    """Return what reads parts of the first series, by its strips or tiles."""
    import zarr

    series = tif.series[0]
    if series.dataoffset is None:
        return zarr.open_array(series.aszarr(level=0), mode="r")
    # Pixels that lie in one piece are one strip, which would be read as a whole.
    dtype = series.dtype.newbyteorder(tif.byteorder)
    return np.memmap(tif.filehandle.path, dtype, "r", series.dataoffset, series.shape)
