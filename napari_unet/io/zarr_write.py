"""Labels in OME-Zarr: beside the image that they belong to, or on their own.

All are written part by part, so that labels, like images, may be bigger than memory. Nothing of an image is
ever opened for writing.
"""

from __future__ import annotations

import contextlib
import glob
import itertools
import json
import math
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_unet.core.base import InputError, Labels, as_labels, slices
from napari_unet.core.image import plan_blocks
from napari_unet.io.atomic import TEMPORARY, replace, sync_folder, write_file
from napari_unet.io.failures import reading
from napari_unet.io.zarr_read import KIND, LABELS, is_zarr, read_multiscale

if TYPE_CHECKING:
    import zarr

_BLOCK = 1024
WIDE = 4096
"""Pixels of a side from which labels have coarser levels, to be shown while they are zoomed out."""
_TYPES = {"T": "time", "Z": "space", "Y": "space", "X": "space"}

Place = tuple[slice, ...]
OnPart = Callable[[int, int], object]
"""Is told how many parts are written, and of how many; what it raises ends the work."""
_CREATOR = "napari-unet"


def _ignore(done: int, total: int) -> None:
    pass


def add_labels(image: Path, labels: Any, name: str = "cells", on_part: OnPart = _ignore) -> Path:
    """Write labels into the `labels` group of an OME-Zarr image, in its version and at all its levels.

    `labels` are whole numbers of the image's shape without the channels, in memory or lazy: each pixel is
    read once, and no more than a part at a time. Labels of the same name are replaced if this package has
    written them. Returns the folder of the labels. Raises InputError where they are others', where the
    shape differs, the folder is no OME-Zarr image, labels cannot be read, or nothing can be written; then,
    and whatever `on_part` raises, the old labels are still there.
    """
    multiscale = read_multiscale(image)
    with reading(image, KIND):
        shapes = [multiscale.open_level(n).shape for n in range(len(multiscale.levels))]
    kept = [axis for axis, letter in enumerate(multiscale.axes) if letter != "C"]
    sizes = [tuple(shape[axis] for axis in kept) for shape in shapes]
    if tuple(labels.shape) != sizes[0]:
        raise InputError(f"{image.name} needs labels of shape {sizes[0]}, not {labels.shape}: give its own.")
    metadata = {
        "name": name,
        "axes": [multiscale.axis_entries[axis] for axis in kept],
        "datasets": [
            {"path": str(number), "coordinateTransformations": _keep(level, kept)}
            for number, level in enumerate(multiscale.levels)
        ],
    }
    outer = _keep({"coordinateTransformations": multiscale.transformations}, kept)
    if outer:
        metadata["coordinateTransformations"] = outer
    group = multiscale.folder / LABELS
    if (group / name).exists() and not is_ours(group / name):
        raise InputError(
            f"{image.name} has labels '{name}' that another program wrote: rename or delete {group / name}."
        )
    with writing(image):
        is_new = not group.exists()
        try:
            group.mkdir(exist_ok=True)
            with replacing(group / name) as folder:
                form = multiscale.zarr_format
                levels = create_group(folder, sizes, _plan_block(sizes[0]), metadata, form, source="../../")
                _fill(levels, labels, on_part)
            add_to_list(group, name, multiscale.zarr_format)
        except BaseException:
            if is_new:
                shutil.rmtree(group, ignore_errors=True)
            raise
    return group / name


def write_label_image(
    path: Path,
    labels: Any,
    axes: str,
    *,
    pixel_size: float | None = None,
    z_step: float | None = None,
    on_part: OnPart = _ignore,
) -> Path:
    """Write labels on their own as an OME-Zarr 0.5 label image; lengths are in micrometres.

    They are read as by `add_labels`. Replaces a label image of that name, and nothing else. Returns `path`.
    Raises InputError where something else has that name, or it cannot be written; then what was there still
    is.
    """
    size, step = pixel_size, z_step
    with fill_label_image(path, labels.shape, axes, pixel_size=size, z_step=step) as array:
        _fill([array], labels, on_part)
    return path


@contextlib.contextmanager
def fill_label_image(
    path: Path,
    shape: tuple[int, ...],
    axes: str,
    *,
    pixel_size: float | None = None,
    z_step: float | None = None,
) -> Iterator[zarr.Array[Any]]:
    """Give an int32 array of zeros on the disk to write labels into, part by part.

    When the block ends well they are in place, as by `write_label_image`, with coarser levels where they are
    too wide to be shown without; until then what was there still is.
    """
    if path.exists() and not (is_zarr(path) and read_multiscale(path).is_labels):
        raise InputError(f"{path} is there already and no label image: choose another folder.")
    lengths = {"Z": z_step, "Y": pixel_size, "X": pixel_size}
    entries = [
        {"name": axis.lower(), "type": _TYPES[axis]} | ({"unit": "micrometer"} if lengths.get(axis) else {})
        for axis in axes
    ]
    shapes = _plan_levels(shape, axes)
    datasets = []
    for number, sizes in enumerate(shapes):
        steps = zip(axes, shape, sizes, strict=True)
        scale = [(lengths.get(axis) or 1.0) * most / size for axis, most, size in steps]
        transformation = {"type": "scale", "scale": scale}
        datasets.append({"path": str(number), "coordinateTransformations": [transformation]})
    metadata = {"name": path.stem, "axes": entries, "datasets": datasets}
    with writing(path), replacing(path) as folder:
        block = tuple(min(n, _BLOCK) if a in "YX" else 1 for a, n in zip(axes, shape, strict=True))
        levels = create_group(folder, shapes, block, metadata, 3, source=None)
        yield levels[0]
        if len(levels) > 1:
            for place in plan_parts(shape, block):
                refill_levels(levels, axes, place)


def open_levels(path: Path) -> list[zarr.Array[Any]]:
    """Return the arrays of a label image on the disk to read and write, the finest first."""
    import zarr

    return [zarr.open_array(path / level["path"], mode="r+") for level in read_multiscale(path).levels]


def refill_levels(levels: Sequence[Any], axes: str, place: Sequence[slice]) -> None:
    """Make the coarser levels agree with the finest one, of which `place` was written: no ids are mixed."""
    spans = [(span.start, span.stop) for span in place]
    for finer, coarser in itertools.pairwise(levels):
        target, nearest = [], []
        for at, (axis, size) in enumerate(zip(axes, coarser.shape, strict=True)):
            start, stop = spans[at]
            if axis in "YX" and finer.shape[at] > 1:
                start, stop = min(start // 2, size - 1), min(-(-stop // 2), size)
                nearest.append(slice(2 * start + 1, 2 * stop))
            else:
                nearest.append(slice(start, stop))
            target.append(slice(start, stop))
        halved = tuple(slice(None, None, 2 if axis in "YX" else 1) for axis in axes)
        coarser[tuple(target)] = np.asarray(finer[tuple(nearest)])[halved]
        spans = [(span.start, span.stop) for span in target]


def _plan_levels(shape: tuple[int, ...], axes: str) -> list[tuple[int, ...]]:
    """Return the shapes of all levels: each has half the rows and columns of the one before."""
    shapes = [tuple(shape)]
    while max(n for axis, n in zip(axes, shapes[-1], strict=True) if axis in "YX") > WIDE:
        shapes.append(
            tuple(max(n // 2, 1) if axis in "YX" else n for axis, n in zip(axes, shapes[-1], strict=True))
        )
    return shapes


def plan_parts(shape: tuple[int, ...], block: tuple[int, ...] | None = None) -> list[Place]:
    """Cut an array into parts of whole blocks, of at most WIDE x WIDE px or one block."""
    block = block or (1,) * len(shape)
    steps, room = [], WIDE**2 // math.prod(block)
    for size, side in zip(reversed(shape), reversed(block), strict=True):
        times = max(1, min(room, WIDE // side, math.ceil(size / side)))
        steps.append(times * side)
        room //= times
    steps.reverse()
    spans = [
        [slice(start, min(start + step, size)) for start in range(0, size, step)]
        for size, step in zip(shape, steps, strict=True)
    ]
    return list(itertools.product(*spans))


def _plan_block(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the blocks of labels of a shape: wide planes one by one, several of small ones together."""
    block, room = [], _BLOCK**2
    for size in reversed(shape):
        block.append(max(1, min(size, _BLOCK, room)))
        room //= block[-1]
    return tuple(reversed(block))


def _fill(levels: Sequence[zarr.Array[Any]], labels: Any, on_part: OnPart) -> None:
    """Write labels into all levels; each has the label at the centre of its pixels, so no ids are mixed."""
    finest = levels[0]
    places = plan_parts(finest.shape, finest.chunks)
    for done, place in enumerate(places):
        on_part(done, len(places))
        part = as_labels(np.asarray(labels[place]))
        if part.min() < 0:
            raise InputError("A label is negative: give every cell a number above 0.")
        finest[place] = part
        for coarser in levels[1:]:
            _shrink(part, place, finest.shape, coarser)


def _shrink(part: Labels, place: Place, shape: tuple[int, ...], coarser: zarr.Array[Any]) -> None:
    target, picked = [], []
    for span, size, fewer in zip(place, shape, coarser.shape, strict=True):
        centres = ((np.arange(fewer) + 0.5) * size / fewer).astype(np.int64)
        first, last = map(int, np.searchsorted(centres, [span.start, span.stop]))
        target.append(slice(first, last))
        picked.append(centres[first:last] - span.start)
    values = part[np.ix_(*picked)]
    if values.size:
        coarser[tuple(target)] = values


def _keep(level: dict[str, Any], kept: list[int]) -> list[dict[str, Any]]:
    """Return the transformations of a level, for some of the axes only."""
    return [
        {
            key: [value[axis] for axis in kept] if isinstance(value, list) else value
            for key, value in entry.items()
        }
        for entry in level.get("coordinateTransformations", ())
    ]


BLOCK = 4096


def count_cells(labels: Any) -> int:
    """Return how many cells there are in labels of any axes, on the disk, that are numbered from 1."""
    highest = 0
    for index in np.ndindex(labels.shape[:-2]):
        for box in plan_blocks(labels.shape[-2:], BLOCK):
            highest = max(highest, int(np.max(labels[(*index, *slices(box))])))
    return highest


def create_group(
    folder: Path,
    shapes: list[tuple[int, ...]],
    block: tuple[int, ...],
    metadata: dict[str, Any],
    zarr_format: Literal[2, 3],
    source: str | None,
) -> list[zarr.Array[Any]]:
    """Create the arrays of a label image of this package, full of zeros."""
    import zarr

    creator = {"_creator": {"name": _CREATOR, "version": version(_CREATOR)}}
    about: dict[str, Any] = {"source": {"image": source}} if source else {}
    attributes: dict[str, Any]
    if zarr_format == 2:
        attributes = {
            "multiscales": [{"version": "0.4", **metadata}],
            "image-label": {"version": "0.4", **about},
            **creator,
        }
    else:
        attributes = {"ome": {"version": "0.5", "multiscales": [metadata], "image-label": about, **creator}}
    group = zarr.create_group(folder, zarr_format=zarr_format, attributes=attributes)
    names = [entry["name"] for entry in metadata["axes"]]
    return [
        group.create_array(
            str(number),
            shape=shape,
            dtype=np.int32,
            chunks=tuple(min(size, n) for size, n in zip(block, shape, strict=True)),
            fill_value=0,
            chunk_key_encoding={"name": "v2" if zarr_format == 2 else "default", "separator": "/"},
            dimension_names=names if zarr_format == 3 else None,
        )
        for number, shape in enumerate(shapes)
    ]


def is_ours(folder: Path) -> bool:
    """Whether a group of labels was written by this package."""
    import zarr

    try:
        attributes: dict[str, Any] = zarr.open_group(folder, mode="r", use_consolidated=False).attrs.asdict()
        return bool(attributes.get("ome", attributes)["_creator"]["name"] == _CREATOR)
    except Exception:  # whatever zarr trips over in what is none of its groups
        return False


def add_to_list(group: Path, name: str, zarr_format: int) -> None:
    """Add a name to the list of labels, and make the list where there is none."""
    file = group / (".zattrs" if zarr_format == 2 else "zarr.json")
    content = json.loads(file.read_bytes()) if file.exists() else {}
    if zarr_format == 2:
        if not (group / ".zgroup").exists():
            write_file(group / ".zgroup", json.dumps({"zarr_format": 2}).encode())
        listing = content
    else:
        content = {"zarr_format": 3, "node_type": "group", "attributes": {}} | content
        listing = content["attributes"].setdefault("ome", {"version": "0.5"})
    names = listing.setdefault("labels", [])
    if name not in names:
        names.append(name)
        write_file(file, json.dumps(content, indent=2).encode())


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give a name to write a folder under; it then takes the place of `target`, or vanishes if that fails."""
    mark = f"{secrets.token_hex(4)}{TEMPORARY}"
    new, old = target.with_name(f".{target.name}.{mark}"), target.with_name(f".{target.name}.old.{mark}")
    try:
        yield new
        if target.exists():
            replace(target, old)
        try:
            replace(new, target)
        except BaseException:
            if old.exists():
                replace(old, target)
            raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
    sync_folder(target.parent)
    for left in target.parent.glob(
        f".{glob.escape(target.name)}.*{TEMPORARY}"
    ):  # `old`, and after a crash more
        shutil.rmtree(left, ignore_errors=True)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what keeps a group from being written into an InputError."""
    try:
        yield
    except ImportError as error:
        raise InputError(
            f"{path.name} needs the package zarr: install it with pip install 'napari-unet[zarr]'."
        ) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"{path} cannot be written ({reason}): choose another place or make room."
        ) from error
