"""Groups of labels in Zarr: written under a temporary name, put in place whole, and listed.

The list of labels of an image is the only file that others share.
"""

from __future__ import annotations

import contextlib
import glob
import json
import secrets
import shutil
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_unet.core.base.errors import InputError
from napari_unet.io.atomic import TEMPORARY, replace, sync_folder, write_file

if TYPE_CHECKING:
    import zarr

_CREATOR = "napari-unet"


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
