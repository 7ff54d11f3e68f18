"""Images in OME-Zarr, versions 0.4 (Zarr 2) and 0.5 (Zarr 3): what the metadata say, and lazy pixels.

Follows the specification of the Open Microscopy Environment (ngff.openmicroscopy.org). Only zarr is used:
ome-zarr-py 0.18 would bring clients of cloud storage and a web server, and cannot replace labels in one step.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from napari_unet.core.base import InputError
from napari_unet.io.calibration import MICROMETRES, Calibration
from napari_unet.io.failures import reading

if TYPE_CHECKING:
    import zarr

ENDING = ".zarr"
KIND = "OME-Zarr"
LABELS = "labels"
"""Group of an image in which its labels lie."""

_MOST_CHECKED = 100_000
_MOST_BLOCKS = 10_000_000
_MARKS = ("zarr.json", ".zgroup", ".zarray")


@dataclass(frozen=True, slots=True)
class Multiscale:
    """The metadata of one image: `axes` letters, their descriptions, and the levels, the finest first."""

    folder: Path
    zarr_format: Literal[2, 3]
    axes: str
    axis_entries: list[dict[str, Any]]
    levels: list[dict[str, Any]]
    transformations: list[dict[str, Any]]
    channel_names: tuple[str, ...]
    is_labels: bool

    @property
    def scale(self) -> list[float]:
        """Step along each axis at the finest level, in the unit of that axis."""
        steps = [1.0] * len(self.axes)
        for entry in (*self.levels[0].get("coordinateTransformations", ()), *self.transformations):
            if entry.get("type") == "scale":
                steps = [step * float(factor) for step, factor in zip(steps, entry["scale"], strict=True)]
        return steps

    @property
    def calibration(self) -> Calibration:
        """The image's axes, lengths in micrometres and channel names."""
        lengths = {}
        for axis, entry, step in zip(self.axes, self.axis_entries, self.scale, strict=True):
            unit = MICROMETRES.get(str(entry.get("unit", "")).lower())
            if unit and math.isfinite(step) and step > 0:
                lengths[axis] = float(f"{step * unit:.6g}")
        return Calibration(
            axes=self.axes,
            pixel_size=lengths.get("X"),
            z_step=lengths.get("Z"),
            channel_names=self.channel_names,
        )

    def open_level(self, number: int) -> zarr.Array[Any]:
        """Open the array of a level; raises whatever zarr does."""
        import zarr

        return zarr.open_array(self.folder / self.levels[number]["path"], mode="r")


def is_zarr(path: Path) -> bool:
    """True for a folder that is a Zarr group, or is called one."""
    return path.is_dir() and (path.suffix == ENDING or any((path / mark).is_file() for mark in _MARKS))


def read_multiscale(path: Path) -> Multiscale:
    """Read the metadata of the image in a folder; of bioformats2raw's layout, of the first image.

    Raises InputError where the package zarr is missing, and for a folder that holds no image or is damaged.
    """
    with reading(path, KIND):
        import zarr

        group = zarr.open(path, mode="r", use_consolidated=False)
        attributes: dict[str, Any] = group.attrs.asdict()
        metadata: dict[str, Any] = attributes.get("ome", attributes)
        if "multiscales" not in metadata and "bioformats2raw.layout" in metadata:
            return read_multiscale(path / "0")
        if not isinstance(group, zarr.Group) or not metadata.get("multiscales"):
            raise InputError(
                f"{path.name} has no 'multiscales' metadata, so it is no OME-Zarr image: choose the folder "
                "of one image in it, or convert it to OME-Zarr."
            )
        image = metadata["multiscales"][0]
        first = zarr.open_array(path / image["datasets"][0]["path"], mode="r")
        entries = [
            a if isinstance(a, dict) else {"name": a} for a in image.get("axes", "tczyx"[-first.ndim :])
        ]
        return Multiscale(
            folder=path,
            zarr_format=group.metadata.zarr_format,
            axes=_name_axes(entries, first.ndim, path),
            axis_entries=entries,
            levels=image["datasets"],
            transformations=image.get("coordinateTransformations", []),
            channel_names=_name_channels(metadata),
            is_labels="image-label" in metadata,
        )


def read_pixels(multiscale: Multiscale, level: int = 0) -> Any:
    """Return a level, the finest by default, as a dask array, of which nothing is read yet.

    Raises InputError, now or when pixels are computed, for what is damaged, and for missing blocks of pixels
    where a coarser level shows that they were not blank.
    """
    path = multiscale.folder
    with reading(path, KIND):
        import dask.array

        array = multiscale.open_level(level)
        if array.dtype.kind not in "biuf":
            raise InputError(f"{path.name} holds {array.dtype} values: save it as whole numbers or floats.")
        if 0 in array.shape:
            raise InputError(f"{path.name} holds no pixels: its shape is {array.shape}.")
        if math.prod(map(math.ceil, np.divide(array.shape, array.chunks))) > _MOST_BLOCKS:
            raise InputError(
                f"{path.name} says that its shape is {array.shape}, in blocks of {array.chunks}: that is "
                "more than can be opened. Check how it was written, or write larger blocks."
            )
        if level == 0 and not multiscale.is_labels:
            _check_blocks(multiscale, array)
        native = array.dtype.newbyteorder("=")
        return dask.array.from_array(  # type: ignore[no-untyped-call]
            _Pixels(array, path), chunks=array.chunks, name=False, meta=np.empty((0,) * array.ndim, native)
        )


def list_labels(image: Path) -> list[str]:
    """Return the names of the labels that an OME-Zarr image lists."""
    with reading(image, KIND):
        import zarr

        folder = image / LABELS
        if not any((folder / mark).is_file() for mark in _MARKS):
            return []  # none, or what a process that was killed has left
        attributes: dict[str, Any] = zarr.open_group(folder, mode="r", use_consolidated=False).attrs.asdict()
        return [str(name) for name in attributes.get("ome", attributes).get("labels", [])]


@dataclass(frozen=True, slots=True)
class _Pixels:
    """An array whose damage is told in a sentence, also when dask comes upon it long after opening."""

    array: zarr.Array[Any]
    path: Path

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def ndim(self) -> int:
        return self.array.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.array.dtype.newbyteorder("=")

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:
        with reading(self.path, KIND):
            return np.asarray(self.array[key]).astype(self.dtype, copy=False)


def _name_axes(entries: list[dict[str, Any]], ndim: int, path: Path) -> str:
    names = ["C" if a.get("type") == "channel" else str(a["name"]).upper() for a in entries]
    if len(names) != ndim or len(set(names)) != ndim or not {"Y", "X"} <= set(names) <= set("TCZYX"):
        listed = ", ".join(str(a["name"]) for a in entries)
        raise InputError(f"{path.name} has the axes {listed}: save it with axes out of t, c, z, y, x.")
    return "".join(names)


def _name_channels(metadata: dict[str, Any]) -> tuple[str, ...]:
    names = [channel.get("label") for channel in metadata.get("omero", {}).get("channels", [])]
    return tuple(map(str, names)) if all(names) else ()


def _check_blocks(multiscale: Multiscale, array: zarr.Array[Any]) -> None:
    """Raise InputError for a block of pixels that is not there where a coarser level shows that it should be.

    Zarr leaves out blocks that are blank, and an interrupted copy leaves out the same files: only a coarser
    level tells one from the other. Only the first blocks of a large image are looked at.
    """
    if len(multiscale.levels) < 2:
        return
    coarser = multiscale.open_level(1)
    size = array.shards or array.chunks
    folder = multiscale.folder / multiscale.levels[0]["path"]
    places = itertools.product(*map(range, map(math.ceil, np.divide(array.shape, size))))
    for place in itertools.islice(places, _MOST_CHECKED):
        key = array.metadata.encode_chunk_key(place)
        if not (folder / key).is_file() and not _is_blank(coarser, array.shape, place, size):
            raise InputError(
                f"{multiscale.folder.name} lacks blocks of pixels, such as {key}: copy it again, or write "
                "blank blocks too."
            )


def _is_blank(
    coarser: zarr.Array[Any], shape: tuple[int, ...], place: tuple[int, ...], size: tuple[int, ...]
) -> bool:
    window = []
    for at, step, length, fewer in zip(place, size, shape, coarser.shape, strict=True):
        start, stop = at * step * fewer / length, min((at + 1) * step, length) * fewer / length
        window.append(slice(math.ceil(start), math.floor(stop)))
    pixels = np.asarray(coarser[tuple(window)])
    return pixels.size > 0 and bool(np.all(pixels == (coarser.fill_value or 0)))
