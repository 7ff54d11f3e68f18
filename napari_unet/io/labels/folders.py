"""Images and their labels in folders, matched by name; labels of any format, also beside the images."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from napari_unet.core.base import InputError
from napari_unet.io import is_zarr, list_images, stem_of
from napari_unet.io.labels.read import LABEL_ENDINGS

SUFFIXES = ("_seg", "_cp_masks", "_masks", "_mask", "_labels", "_label", "_rois")
"""What programs add to an image's name for its labels."""


class Matched(NamedTuple):
    """Files that belong together because their names agree up to the ending, and up to one of `SUFFIXES`."""

    image: Path
    labels: Path
    reviewed: Path | None


def match_by_stem(
    images: str | os.PathLike[str],
    labels: str | os.PathLike[str],
    reviewed: str | os.PathLike[str] | None = None,
) -> list[Matched]:
    """Pair the images, labels and reviewed masks of two or three folders whose names agree.

    Sorted by name. The folder of the labels may be that of the images, where names tell one from the other.
    Raises InputError that names the files without a partner, or two with the same name.
    """
    first = _stems(_list_images(images, labels), images)
    others = (
        {"label image": labels} if reviewed is None else {"label image": labels, "reviewed mask": reviewed}
    )
    by_stem = {"image": first}
    for kind, folder in others.items():
        beside = {path.resolve() for path in first.values()}
        found = _drop_records([path for path in _list_labels(folder) if path.resolve() not in beside])
        by_stem[kind] = _stems(found, folder, first)
    everything = sorted(set().union(*by_stem.values()))
    for kind, files in by_stem.items():
        missing = [stem for stem in everything if stem not in files]
        if missing:
            names = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
            raise InputError(f"There is no {kind} for {names}: give matching files the same name.")
    masks = by_stem.get("reviewed mask", {})
    return [Matched(first[stem], by_stem["label image"][stem], masks.get(stem)) for stem in everything]


def _list_images(folder: str | os.PathLike[str], labels: str | os.PathLike[str]) -> list[Path]:
    """Return the images of a folder, without the labels of others that lie beside them."""
    found = list_images([_folder(folder)])
    if _folder(folder).resolve() != _folder(labels).resolve():
        return found
    stems = {stem_of(path) for path in found}
    return [path for path in found if _base(stem_of(path), stems) == stem_of(path)]


def _list_labels(folder: str | os.PathLike[str]) -> list[Path]:
    inside = sorted(path for path in _folder(folder).iterdir() if not path.name.startswith("."))
    endings = (*LABEL_ENDINGS, ".jpg", ".jpeg")  # these are refused when they are read, with the reason
    return [p for p in inside if is_zarr(p) or (p.is_file() and p.suffix.lower() in endings)]


def _drop_records(paths: list[Path]) -> list[Path]:
    """Return label files without the records, <stem>.json, that lie beside those that we have written."""
    written = {stem_of(path) for path in paths if path.suffix in (".tif", ".zarr")}
    return [path for path in paths if path.suffix != ".json" or stem_of(path) not in written]


def _folder(folder: str | os.PathLike[str]) -> Path:
    if not Path(folder).is_dir():
        raise InputError(f"{folder} is not a folder: give the folder that holds the files.")
    return Path(folder)


def _base(stem: str, stems: set[str]) -> str:
    """Return a label file's stem without what a program has added, where an image is called so."""
    short = (stem.removesuffix(suffix) for suffix in SUFFIXES if stem.endswith(suffix))
    return next((base for base in short if base in stems), stem)


def _stems(
    paths: list[Path], folder: str | os.PathLike[str], images: dict[str, Path] | None = None
) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in paths:
        stem = stem_of(path)
        if images is not None and stem not in images:
            stem = _base(stem, set(images))
        if stem in files:
            raise InputError(
                f"{files[stem].name} and {path.name} in {folder} have the same name: rename one."
                if images is None or stem_of(path) == stem_of(files[stem])
                else f"{files[stem].name} and {path.name} in {folder} are both labels of {stem}: keep one."
            )
        files[stem] = path
    return files
