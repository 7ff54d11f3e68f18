"""An image that a session has open: where it comes from, its review, and the way of its edits to the disk."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from napari_unet.core.base import Box, Index, InputError, Labels, slices
from napari_unet.core.cells import Columns, measure
from napari_unet.core.image import Channels, PlaneGrid, plan_planes
from napari_unet.core.review import Doubts, Patch, Place, Review, ReviewCounts, Tour, changed_box
from napari_unet.io import Calibration, hash_samples, is_large, read_calibration
from napari_unet.session.scope import WHOLE, Planes, Scope, View
from napari_unet.session.source import Source, name_axes, read_plane
from napari_unet.store import Edit, ImageRecord, JournalWriter, Project

logger = logging.getLogger("napari_unet")

Select = tuple[slice | int, ...]
Where = TypeVar("Where", Box, Patch)


@dataclass(slots=True)
class OpenImage:
    """An image and its review. All methods are for the session's thread but where they say otherwise.

    `guess` are the axes that it is taken to have as long as the user names none, which are `named` then;
    `channel` is the one, or those, that were last looked at. `record` holds the review, which belongs to
    axes with that channel axis; `first` is the image's first record, where `named` is remembered.
    `review` is None until the image is segmented; its `labels` are those last handed to the disk. `counts`
    and `features` follow it with some delay. `doubts` are the network's about its prediction, None where
    they are not known; `tour` leads from one doubtful place to the next. `problem` is a sentence about what
    could not be read. `scales` are those at which networks saw a plane, by model, channel and plane; `scope`
    is what was segmented last, `segmented` are the planes that ever were. `model` is the one that was taken
    for it, and `why`; `origin` is the name of the model that predicted the labels, or of the masks that
    they are. `edits` counts what the user has done to the review since it was opened.
    """

    source: Source
    grid: PlaneGrid
    pixel_size: float | None
    first: ImageRecord
    record: ImageRecord
    writer: JournalWriter
    guess: str
    named: str | None = None
    channel: Channels = None
    channel_names: tuple[str, ...] = ()
    review: Review | None = None
    counts: ReviewCounts | None = None
    features: Columns = field(default_factory=dict)
    doubts: Doubts | None = None
    tour: Tour | None = None
    edited: str = ""
    problem: str = ""
    save_error: str = ""
    sources: list[Source] = field(default_factory=list)
    replacing: bool = False
    late: list[Box] = field(default_factory=list)
    model: Path | None = None
    why: str = ""
    scales: dict[tuple[str, Channels, Index], float] = field(default_factory=dict)
    scope: Scope = WHOLE
    segmented: Planes | None = None
    origin: str = ""
    edits: int = 0

    @property
    def key(self) -> str:
        """Name of the image within the project."""
        return self.record.key

    @property
    def name(self) -> str:
        """Name of the image in the window."""
        return self.source.name

    @property
    def is_large(self) -> bool:
        """Whether it is read in parts only, and corrected in regions that are cut out of it."""
        return self.source.is_lazy and is_large(self.grid)

    @property
    def open_place(self) -> Place | None:
        """The place that is looked at, None where there is none or all is done there."""
        if self.tour is None or self.review is None or self.tour.is_settled(self.review, self.grid):
            return None
        return self.tour.place

    @property
    def has_corrections(self) -> bool:
        """Whether any pixel is known to be reviewed."""
        return self.counts is not None and self.counts.reviewed_pixels > 0

    @property
    def unsaved(self) -> int:
        """Number of edits that are not on the disk yet."""
        return self.writer.pending

    def plan(self, axes: str | None) -> PlaneGrid:
        """Return the planes if the user names these axes, None for none; InputError where they do not fit."""
        if axes is None or axes.upper() == self.guess:
            return plan_planes(self.grid.shape, self.guess)
        return self.source.plan(axes)

    def remember(self) -> None:
        """Store how the image is taken; called on the session's background thread."""
        planes = self.segmented.indices if self.segmented is not None else None
        self.record.remember(
            axes=self.grid.axes, pixel_size=self.pixel_size, channel=self.channel, planes=planes
        )
        self.first.remember(named=self.named)

    def note(self, labels: Labels, plane: Index | None) -> Box | None:
        """Take over where `labels` differ from the labels known, on one plane or all; return the box."""
        assert self.review is not None
        if labels.shape != self.review.shape:
            raise InputError(
                f"The labels of '{self.name}' have the shape {labels.shape} now, but the image needs "
                f"{self.review.shape}: your corrections up to here are kept; press Segment for new labels."
            )
        where: Select = self.grid.select(plane) if plane is not None else ()
        box = changed_box(self.review.labels[where], labels[where])
        if box is None:
            return None
        edit = Edit.cut(_embed(box, where), labels=labels)
        edit.apply(self.review)
        self.edits += 1
        self._submit(edit)
        return edit.box

    def mark(self, change: Callable[[Review, Where], Patch | None], where: Where) -> Patch | None:
        """Mark or unmark some pixels as reviewed; return those that changed."""
        assert self.review is not None
        changed = change(self.review, where)
        if changed is not None:
            self.edits += 1
            self._submit(Edit.cut(changed.box, marked=self.review.marked))
        return changed

    def place(self, patch: Patch, plane: Index) -> Patch:
        """Return a patch (Y, X) of one plane as a patch of the whole review."""
        box = _embed(patch.box, self.grid.select(plane))
        return Patch(box, patch.pixels.reshape([stop - start for start, stop in box]))

    def begin(self, review: Review, model: str) -> None:
        """Put a new review on the disk; called on the session's background thread."""
        self.record.begin_review(review.prediction, review.labels, review.marked, model=model)
        self.remember()
        self.origin = model

    def adopt(self, review: Review, labels: Labels, snapshot: Review | None) -> Review | None:
        """Replace the review by one that was made of `snapshot`, with the edits made since; return the old.

        The edits are written into `labels`, a copy of the new labels, as well.
        """
        old, self.review = self.review, review
        self.doubts, self.tour = None, None
        late = self.stop_replacing()
        if old is None or snapshot is None:
            return old
        for box in (changed_box(snapshot.labels, old.labels), changed_box(snapshot.marked, old.marked)):
            if box is None:
                continue
            where = slices(box)
            changed = old.labels[where] != snapshot.labels[where]
            review.labels[where][changed] = labels[where][changed] = old.labels[where][changed]
            review.marked[where] |= changed | (old.marked[where] & ~snapshot.marked[where])
        for box in late:  # where the disk has the old labels as they were edited
            self._submit(Edit.cut(box, labels=review.labels, marked=review.marked))
        return old

    def start_replacing(self) -> Review | None:
        """Return the review of which a new one is going to be made; edits from now on go into both."""
        self.replacing = True
        self.writer.expect()
        return self.snapshot()

    def stop_replacing(self) -> list[Box]:
        """Return the boxes of the edits since `start_replacing`."""
        late, self.late, self.replacing = self.late, [], False
        return late

    def snapshot(self) -> Review | None:
        """Return the review as it is now; the prediction, which never changes in place, is not copied."""
        if self.review is None:
            return None
        return Review(self.review.prediction, self.review.labels.copy(), self.review.marked.copy())

    def count(self, review: Review | None) -> tuple[ReviewCounts, Columns] | None:
        """Count and measure the cells of a snapshot; called on the session's background thread."""
        if review is None:
            return None
        data = self.source.data
        plain = isinstance(data, np.ndarray) and data.shape == review.shape and data.dtype.kind in "biuf"
        try:
            features = measure(
                review.labels, data if plain else None, self.pixel_size, axes=self.grid.label_axes
            )
        except InputError:
            features = {}
        return review.counts(), features

    def read_planes(self, planes: Sequence[Index] | None) -> tuple[npt.NDArray[Any], str]:
        """Return the pixels of some planes, None for the whole image, and their axes.

        Several planes are stacked along Z. Called on the session's background thread.
        """
        if planes is None:
            return np.asarray(self.source.data), self.grid.axes
        axes = "".join(axis for axis in self.grid.axes if axis not in "TZ")
        pixels = [read_plane(self.source.data, self.grid.axes, plane) for plane in planes]
        return (pixels[0], axes) if len(pixels) == 1 else (np.stack(pixels), "Z" + axes)

    @property
    def next_scope(self) -> Scope:
        """What a new model is to segment again: the view that was segmented last, or all planes that were."""
        return self.scope if isinstance(self.scope, View) else self.segmented or WHOLE

    def next_shapes(self) -> list[tuple[int, ...]]:
        """Return the shapes (Y, X) of what a new model is to segment again."""
        scope = self.next_scope
        if isinstance(scope, View):
            return [tuple(stop - start for start, stop in scope.box)]
        return [tuple(self.grid.label_shape[-2:])] * len(scope.list_planes(self.grid))

    def _submit(self, edit: Edit) -> None:
        if self.replacing:
            self.late.append(edit.box)
        self.writer.submit(edit)


def open_image(project: Project, source: Source, opened: Mapping[str, OpenImage]) -> OpenImage:
    """Look an image up in the project, with its review if there is one; takes as long as hashing it.

    A large one that is read in parts is known by some samples, and has no review of its own.

    The same content may be among the `opened`, by key: then that one is returned. Raises InputError where it
    is no image, or another window is correcting it.
    """
    said = _ask_file(source) if source.path else None
    guess = source.axes or (said.axes if said else name_axes(source.data.ndim, rgb=source.rgb))
    large = source.is_lazy and is_large(plan_planes(source.data.shape, guess))
    digest = hash_samples(source.data, source.path) if large else None
    first = project.image(source.data, name=source.name, source=source.path, digest=digest)
    named = _remembered_axes(first, source)
    grid = source.plan(named) if named else plan_planes(source.data.shape, guess)
    pixel_size = source.pixel_size or (said.pixel_size if said else None)
    record = _find_record(first, grid)
    if record.key in opened:
        return opened[record.key]
    region = {"region": source.region.model_dump()} if source.region else {}
    record.remember(axes=grid.axes, pixel_size=pixel_size, **region)
    image = OpenImage(
        source,
        grid,
        pixel_size,
        first,
        record,
        record.writer(),
        guess,
        named,
        _remembered_channel(record, grid),
        said.channel_names if said and len(said.channel_names) == grid.channels else (),
        sources=[source],
    )
    try:
        image.review = record.load_review()
    except InputError as error:
        image.problem = str(error)
    if image.review is not None:
        image.edited = _last_change(record)
        image.segmented = _remembered_planes(record, grid)
        image.origin = record.model or ""
    return image


def _remembered_axes(record: ImageRecord, source: Source) -> str | None:
    """Return the axes that the user has given to an image, None where none fit how it is shown."""
    named = record.context.get("named")
    try:
        return source.plan(named).axes if isinstance(named, str) else None
    except InputError:
        return None


def _find_record(first: ImageRecord, grid: PlaneGrid) -> ImageRecord:
    """Return the record that holds the review of an image of these axes, or will.

    Labels that lack another axis, or none, are no labels of it. They stay where they are and come back when
    the image is taken so again.
    """
    if not first.has_review:
        return first
    axes = first.context.get("axes")
    if isinstance(axes, str) and len(axes) == len(grid.axes):
        fits = PlaneGrid(axes, grid.shape).channel_axis == grid.channel_axis
    else:
        fits = first.review_shape in (None, grid.label_shape)
    position = "no" if grid.channel_axis is None else str(grid.channel_axis)
    return first if fits else first.variant(f"{position}-channels")


def _remembered_channel(record: ImageRecord, grid: PlaneGrid) -> Channels:
    """Return the channels that were last looked at, None where they are not known or there no longer."""
    channel = record.context.get("channel")
    try:
        picked = grid.pick_channels(channel)
    except (InputError, TypeError):
        return None
    return tuple(picked) if len(picked) > 1 else next(iter(picked), None)


def _remembered_planes(record: ImageRecord, grid: PlaneGrid) -> Planes:
    """Return the planes that were segmented, all where it is not known or they are not there."""
    known, there = record.context.get("planes"), set(grid.indices())
    planes = [tuple(plane) for plane in known if isinstance(plane, list)] if isinstance(known, list) else []
    return Planes(tuple(planes)) if planes and there.issuperset(planes) else WHOLE


def _ask_file(source: Source) -> Calibration | None:
    """What the file says, where it says it about this very array."""
    assert source.path is not None
    try:
        calibration = read_calibration(source.path)
    except (InputError, OSError):
        return None
    fits = len(calibration.axes) == source.data.ndim and calibration.rgb == source.rgb
    return calibration if fits else None


def _last_change(record: ImageRecord) -> str:
    times = [path.stat().st_mtime for path in record.folder.glob("*-*.*") if path.is_file()]
    return f"{datetime.fromtimestamp(max(times)):%d %B %Y, %H:%M}" if times else "an earlier day"


def _embed(box: Box, where: Select) -> Box:
    """Return a box of the plane `where` as a box of the whole array."""
    if not where:
        return box
    sides = iter(box)
    return tuple((at, at + 1) if isinstance(at, int) else next(sides) for at in where)
