"""All that the user has corrected so far, as the fine-tuning job wants it."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unet.core.base.errors import InputError
from napari_unet.core.image.axes import Channels, Index, PlaneGrid
from napari_unet.core.review.review import Review
from napari_unet.io.files import read_image
from napari_unet.io.hashing import hash_image
from napari_unet.session.image import OpenImage
from napari_unet.session.source import read_plane
from napari_unet.session.teachers import is_used
from napari_unet.store.project import ImageRecord, Project
from napari_unet.store.region import read_region

logger = logging.getLogger("napari_unet")


@dataclass(frozen=True, slots=True)
class Corrections:
    """The images part of a "fine_tune" request, and a sentence for each image that had to be left out."""

    request: dict[str, Any]
    left_out: list[str]


def gather_corrections(
    project: Project,
    first: OpenImage,
    opened: Sequence[OpenImage],
    channel: Channels,
    *,
    model: str = "",
    taught: Collection[str] = (),
) -> Corrections:
    """Return the reviewed planes of `first`, of the other open images and of the project's earlier ones.

    The result has the images, axes, labels, reviewed masks, pixel sizes and names of a "fine_tune" request,
    and for each plane the hash of the image that it is of, and the scale at which `model` saw it. Of `first`
    the planes show `channel`, of the others what was looked at when they were segmented.
    Earlier images are read from their files, those that the user has ticked; where he has not chosen these
    are the ones that `taught` the model, by their hashes. One that is gone or has changed is left out, which
    is said. Raises InputError where nothing was reviewed.
    """
    keys = ("images", "axes", "labels", "reviewed", "hashes", "pixel_size", "names", "seen_at")
    request: dict[str, Any] = {key: [] for key in keys}
    left_out: list[str] = []
    for image in (first, *(other for other in opened if other is not first)):
        if image.review is not None and is_used(image.record):
            looked_at = channel if image is first else image.channel
            about = {"hashes": image.record.info.hash, "pixel_size": image.pixel_size, "names": image.name}
            scales = {index: image.scales.get((model, looked_at, index)) for index in image.grid.indices()}
            _add(request, image.source.data, image.grid, image.review, looked_at, about, scales)
    known = {image.key for image in opened}
    for record in project.images():
        if record.key not in known and is_used(record, default=record.info.hash in taught):
            left_out += _add_earlier(request, record)
    if not request["images"]:
        raise InputError(
            "Nothing has been reviewed yet in the images to learn from: correct some cells, or mark a view "
            "as reviewed, first."
        )
    return Corrections(request, left_out)


def _add(
    request: dict[str, Any],
    data: Any,
    grid: PlaneGrid,
    review: Review,
    channel: Channels,
    about: dict[str, Any],
    scales: dict[Index, float | None],
) -> None:
    reviewed = review.reviewed()
    for index in grid.indices():
        where = grid.select(index)
        if reviewed[where].any():
            if channel is None:
                request["images"].append(read_plane(data, grid.axes, index))
                request["axes"].append("".join(axis for axis in grid.axes if axis not in "TZ"))
            else:
                request["images"].append(grid.plane(data, index, channel)[..., 0])
                request["axes"].append("YX" if grid.axes.index("Y") < grid.axes.index("X") else "XY")
            request["labels"].append(review.labels[where].copy())
            request["reviewed"].append(reviewed[where])
            for key, value in (*about.items(), ("seen_at", scales.get(index))):
                request[key].append(value)


def _add_earlier(request: dict[str, Any], record: ImageRecord) -> list[str]:
    """Add the planes of an image that is not open; return what has to be said where that cannot be done."""
    try:
        review = record.load_review()
        if review is None or not review.reviewed().any():
            return []
        data = _read_again(record)
        if data is None:
            return [f"'{record.name}' is left out: its file is gone or has changed."]
        grid = PlaneGrid(str(record.context["axes"]), tuple(data.shape))
        about = {"hashes": record.info.hash, "pixel_size": record.context.get("pixel_size")}
        _add(request, data, grid, review, record.context.get("channel"), {**about, "names": record.name}, {})
    except (InputError, OSError, KeyError) as error:
        logger.info("The corrections of '%s' are left out: %s", record.name, error)
        return [f"'{record.name}' is left out: it cannot be read ({error})."]
    return []


def _read_again(record: ImageRecord) -> npt.NDArray[Any] | None:
    """Return the very array that was corrected, from the file it came from; None if that is not there."""
    if record.source is None:
        return None
    file = read_image(record.source)
    candidates = [file.data]
    if "C" in file.axes:  # napari may have shown each channel as an image of its own
        candidates += list(np.moveaxis(file.data, file.axes.index("C"), 0))
    region, axes = read_region(record), str(record.context.get("axes", ""))
    if region is not None:
        candidates = [region.cut(data, axes) for data in candidates if data.ndim == len(axes)]
    fitting = (data for data in candidates if data.shape == record.shape)
    return next((data for data in fitting if hash_image(data) == record.info.hash), None)
