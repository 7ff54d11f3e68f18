"""The corrected images of a project: which of them the network learns from, and what it is given of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unet.core.base import Index, InputError
from napari_unet.core.image import Channels, PlaneGrid
from napari_unet.core.review import Review
from napari_unet.io import hash_image, read_image
from napari_unet.jobs import Correction
from napari_unet.session.image import OpenImage
from napari_unet.session.images import OpenImages
from napari_unet.session.runner import Runner
from napari_unet.session.source import read_plane
from napari_unet.store import ImageRecord, Project, read_region

logger = logging.getLogger("napari_unet")
_USED = "teaches"
_CORRECTED = "corrected"


@dataclass(frozen=True, slots=True)
class Corrections:
    """The corrected planes for a fine-tuning, and a sentence for each image that had to be left out."""

    planes: tuple[Correction, ...]
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

    Of `first` the planes show `channel`, of the others what was looked at when they were segmented. Each has
    the scale at which `model` saw it.
    Earlier images are read from their files, those that the user has ticked; where he has not chosen these
    are the ones that `taught` the model, by their hashes. One that is gone or has changed is left out, which
    is said. Raises InputError where nothing was reviewed.
    """
    planes: list[Correction] = []
    left_out: list[str] = []
    for image in (first, *(other for other in opened if other is not first)):
        if image.review is not None and is_used(image.record):
            looked_at = channel if image is first else image.channel
            data, digest = image.source.data, image.record.info.hash
            for index, plane in _cut(data, image.grid, image.review, looked_at, image.name, digest):
                scale = image.scales.get((model, looked_at, index))
                planes.append(replace(plane, pixel_size=image.pixel_size, seen_at=scale))
    known = {image.key for image in opened}
    for record in project.images():
        if record.key not in known and is_used(record, default=record.info.hash in taught):
            earlier, problems = _read_earlier(record)
            planes += earlier
            left_out += problems
    if not planes:
        raise InputError(
            "Nothing has been reviewed yet in the images to learn from: correct some cells, or mark a view "
            "as reviewed, first."
        )
    return Corrections(tuple(planes), left_out)


def _cut(
    data: Any, grid: PlaneGrid, review: Review, channel: Channels, name: str, digest: str
) -> Iterator[tuple[Index, Correction]]:
    """Yield the planes of which something was reviewed, copied."""
    reviewed = review.reviewed()
    for index in grid.indices():
        where = grid.select(index)
        if not reviewed[where].any():
            continue
        if channel is None:
            image = read_plane(data, grid.axes, index)
            axes = "".join(axis for axis in grid.axes if axis not in "TZ")
        else:
            image = grid.plane(data, index, channel)[..., 0]
            axes = "YX" if grid.axes.index("Y") < grid.axes.index("X") else "XY"
        labels = review.labels[where].copy()
        yield (
            index,
            Correction(
                image=image, axes=axes, labels=labels, reviewed=reviewed[where], hash=digest, name=name
            ),
        )


def _read_earlier(record: ImageRecord) -> tuple[list[Correction], list[str]]:
    """Return the planes of an image that is not open, and what has to be said where that cannot be done."""
    try:
        review = record.load_review()
        if review is None or not review.reviewed().any():
            return [], []
        data = _read_again(record)
        if data is None:
            return [], [f"'{record.name}' is left out: its file is gone or has changed."]
        grid = PlaneGrid(str(record.context["axes"]), tuple(data.shape))
        channel, pixel_size = record.context.get("channel"), record.context.get("pixel_size")
        found = _cut(data, grid, review, channel, record.name, record.info.hash)
        return [replace(plane, pixel_size=pixel_size) for _, plane in found], []
    except (InputError, OSError, KeyError) as error:
        logger.info("The corrections of '%s' are left out: %s", record.name, error)
        return [], [f"'{record.name}' is left out: it cannot be read ({error})."]


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


@dataclass(frozen=True, slots=True)
class Teacher:
    """A corrected image: its key and name in the project, and whether the network learns from it."""

    key: str
    name: str
    used: bool


def is_used(record: ImageRecord, *, default: bool = True) -> bool:
    """Whether the user wants the network to learn from an image; `default` where he has not chosen."""
    return bool(record.context.get(_USED, default))


class Teachers:
    """The corrected images; used from the window's thread. `known` follows what is corrected with a delay.

    Where the user has not chosen the network learns from the images that are open, and from those that
    taught the model in use: `taught()` returns their hashes.
    """

    def __init__(
        self, project: Project, runner: Runner, images: OpenImages, taught: Callable[[], Collection[str]]
    ) -> None:
        self._project, self._runner, self._images = project, runner, images
        self._taught = taught
        self.known: list[Teacher] = []
        self._seen: dict[str, bool] | None = None
        images.measured.connect(self._notice)
        images.closed.connect(self._notice)

    def refresh(self) -> None:
        """Look again which images there are, in the background."""
        opened = {key: (image.record, image.has_corrections) for key, image in self._images.items()}
        taught = self._taught()

        def work() -> list[Teacher]:
            for record, corrected in opened.values():
                try:
                    record.remember(**{_CORRECTED: corrected})
                except InputError:  # found out again the next time; what cannot be saved is told elsewhere
                    logger.warning("it is not noted whether %s is corrected", record.name, exc_info=True)
            seen = {key for key, (_, corrected) in opened.items() if corrected}
            return self._list(seen, set(opened), taught)

        def finish(known: list[Teacher]) -> None:
            self.known = known
            self._runner.changed.emit()

        self._runner.later(work, finish)

    def choose(self, key: str, used: bool) -> None:
        """Let the network learn from an image from now on, or no longer; the project remembers it."""
        image = self._images.get(key)

        def work() -> None:
            earlier = (record for record in self._project.images() if record.key == key)
            record = image.record if image is not None else next(earlier, None)
            if record is not None:
                record.remember(**{_USED: used})

        self._runner.later(work, lambda _: self.refresh())

    def _notice(self) -> None:
        now = {key: image.has_corrections for key, image in self._images.items()}
        if now != self._seen:
            self._seen = now
            self.refresh()

    def _list(
        self, corrected: Collection[str], opened: Collection[str], taught: Collection[str]
    ) -> list[Teacher]:
        return [
            Teacher(
                record.key,
                record.name,
                is_used(record, default=record.key in opened or record.info.hash in taught),
            )
            for record in self._project.images()
            if record.key in corrected or (record.key not in opened and record.context.get(_CORRECTED, True))
        ]
