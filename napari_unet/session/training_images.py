"""All that the user has corrected so far, as the fine-tuning job wants it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unet.core.base.errors import InputError
from napari_unet.core.image.axes import Channels, PlaneGrid
from napari_unet.core.review.review import Review
from napari_unet.io.files import read_image
from napari_unet.io.hashing import hash_image
from napari_unet.session.image import OpenImage
from napari_unet.session.source import read_plane
from napari_unet.session.teachers import is_used
from napari_unet.store.project import ImageRecord, Project
from napari_unet.store.region import read_region

logger = logging.getLogger("napari_unet")

_SAME_SIZE = 1.25  # pixel sizes further apart than this factor do not go into one training


def gather_corrections(
    project: Project, first: OpenImage, opened: Sequence[OpenImage], channel: Channels
) -> dict[str, Any]:
    """Return the reviewed planes of `first`, of the other open images and of the project's earlier ones.

    The result has the images, axes, labels, reviewed masks and pixel size of a "fine_tune" request, and for
    each plane the hash of the image that it is of. Of `first` the planes show `channel`, of the others what
    was looked at when they were segmented.
    Earlier images are read from their files; one that is gone, has changed, has another pixel size or was
    excluded by the user is left out. Raises InputError where nothing was reviewed.
    """
    request: dict[str, Any] = {"images": [], "axes": [], "labels": [], "reviewed": [], "hashes": []}
    for image in (first, *(other for other in opened if other is not first)):
        fits = is_used(image.record) and _similar(image.pixel_size, first.pixel_size)
        if image.review is not None and fits:
            looked_at = channel if image is first else image.channel
            _add(request, image.source.data, image.grid, image.review, image.record.info.hash, looked_at)
    known = {image.key for image in opened}
    for record in project.images():
        fits = is_used(record) and _similar(record.context.get("pixel_size"), first.pixel_size)
        if record.key not in known and fits:
            _add_earlier(request, record)
    if not request["images"]:
        raise InputError(
            "Nothing has been reviewed yet in the images to learn from: correct some cells, or mark a view "
            "as reviewed, first."
        )
    return {**request, "pixel_size": first.pixel_size}


def _add(
    request: dict[str, Any], data: Any, grid: PlaneGrid, review: Review, sha256: str, channel: Channels
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
            request["hashes"].append(sha256)


def _add_earlier(request: dict[str, Any], record: ImageRecord) -> None:
    try:
        data, review = _read_again(record), record.load_review()
        if data is not None and review is not None:
            grid = PlaneGrid(str(record.context["axes"]), tuple(data.shape))
            _add(request, data, grid, review, record.info.hash, record.context.get("channel"))
    except (InputError, OSError, KeyError) as error:
        logger.info("The corrections of '%s' are left out: %s", record.name, error)


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


def _similar(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return 1 / _SAME_SIZE <= one / other <= _SAME_SIZE
