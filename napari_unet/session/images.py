"""The images that a window has open: opening them, taking corrections, counting, putting in new labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from psygnal import Signal

from napari_unet.core.base import Box, Index, InputError, Labels
from napari_unet.core.review import Patch, Place, Review, Tour, flip, mark, rank_places, unmark
from napari_unet.session.image import OpenImage, Where, open_image
from napari_unet.session.runner import Run, Runner
from napari_unet.session.source import Source
from napari_unet.store import Project

_LOOKING = "Looking for what may be wrong…"


class OpenImages(Mapping[str, OpenImage]):
    """The open images by key. Used from the runner's thread; what takes time is done in the background.

    `find_model(name)` returns the file of a model, None where there is none.

    Signals: `labels_replaced(key, labels)` when a window should show new labels, an array that it may keep;
    `reviewed(key, box)` when pixels were changed, marked or unmarked; `visited(key, place)` when a window
    should show a place; `measured(key)` when there are new counts and features; `flushing()` before labels
    are needed: whoever shows them calls `note_edit` at once; `put_away(key)` when a window should show an
    image's labels no longer; `closed(key)` when an image was let go.
    """

    labels_replaced = Signal(str, object)
    reviewed = Signal(str, object)
    visited = Signal(str, Place)
    measured = Signal(str)
    flushing = Signal()
    put_away = Signal(str)
    closed = Signal(str)

    __hash__ = object.__hash__

    def __init__(
        self,
        project: Project,
        runner: Runner,
        find_model: Callable[[str], Path | None] = lambda name: None,
    ) -> None:
        self._project = project
        self._runner = runner
        self._find_model = find_model
        self._images: dict[str, OpenImage] = {}
        self._held: dict[str, OpenImage] = {}  # the background thread's own
        self._counting: dict[str, list[Callable[[], object]]] = {}  # what waits for the count after this one
        self._to_rank: set[str] = set()
        self._closed = False

    def __getitem__(self, key: str) -> OpenImage:
        return self._images[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._images)

    def __len__(self) -> int:
        return len(self._images)

    @property
    def counting(self) -> bool:
        """Whether any image waits to be counted, or is being counted."""
        return bool(self._counting)

    def find(self, source: Source) -> OpenImage | None:
        """Return the open image of a source, None where it is not open yet."""
        return next((image for image in self.values() if any(source.is_same(s) for s in image.sources)), None)

    def open(
        self, source: Source, then: Callable[[OpenImage], object] = lambda _: None, run: Run | None = None
    ) -> None:
        """Open an image, call `then(image)`; `labels_replaced` comes first where there is a review of it."""
        known = self.find(source)
        if known is not None:
            then(known)
            return

        def find_or_open() -> OpenImage:
            image = open_image(self._project, source, self._held)
            self._held[image.key] = image
            return image

        def finish(image: OpenImage) -> None:
            if image.key not in self:
                self._welcome(image)
            elif not any(source.is_same(s) for s in image.sources):
                image.sources.append(source)
            self._runner.changed.emit()
            then(image)

        self._runner.later(find_or_open, finish, run=run)

    def name_axes(self, source: Source, axes: str | None) -> None:
        """Take an image to have these axes from now on, None for those guessed; it is open afterwards.

        Corrections of labels of another make-up are put away, and come back with the axes that they were made
        under. Axes that do not fit are refused.
        """

        def take(image: OpenImage) -> None:
            try:
                grid = image.plan(axes)
            except InputError as error:
                self._runner.refuse(str(error))
                return
            named = None if axes is None or grid.axes == image.guess else grid.axes
            if (grid, named) == (image.grid, image.named):
                return
            image.named = named
            if grid.channel_axis == image.grid.channel_axis:
                image.grid, image.tour = grid, None
                self._runner.later(image.remember, lambda _: None)
                self._runner.changed.emit()
            else:
                self._open_anew(image)

        self.open(source, take)

    def _open_anew(self, image: OpenImage) -> None:
        """Close an image and open it under the axes that it has now, with the corrections of those."""
        self.flushing.emit()
        if image.has_corrections:
            self._runner.say(
                f"Your corrections are kept with the axes {image.grid.axes}: they are back with them."
            )
        self.put_away.emit(image.key)
        self._runner.later(image.remember, lambda _: None)
        self.close(image.key)
        for source in image.sources:
            self.open(source)

    def close(self, key: str) -> None:
        """Let go of an image; its corrections are written in the background first."""
        image = self._images.pop(key, None)
        if image is not None:
            self._runner.later(lambda: self._release(image), lambda _: self.closed.emit(key))

    def close_all(self) -> None:
        """Write all corrections; no more are taken."""
        self._closed = True
        for image in list(self._held.values()):
            image.writer.close(timeout=5)

    def note_edit(self, key: str, labels: Labels, plane: Index | None = None) -> None:
        """Take what the user changed: `labels` is the whole array now, compared with the one last known.

        `plane` restricts the comparison. What changed goes to the disk in the background.
        """
        image = self.get(key)
        if image is None or image.review is None or self._closed:
            return
        try:
            box = image.note(labels, plane)
            if box is not None:
                self.reviewed.emit(key, box)
                self._count(image)
                self._runner.changed.emit()
        except InputError as error:
            self._runner.refuse(str(error))

    def mark_reviewed(self, key: str, box: Box) -> Patch | None:
        """Note that the labels in a box are right as they are; return the pixels not noted before."""
        return self._mark(key, mark, box, "What you see is marked.")

    def unmark(self, key: str, box: Box) -> Patch | None:
        """Take back what was noted in a box; return the pixels of which that is true."""
        return self._mark(key, unmark, box, "What you see is no longer marked.")

    def accept(self, key: str, patch: Patch, plane: Index) -> Patch | None:
        """Note that cells, a patch of one plane, are right; return the pixels not noted before."""
        return self._mark_cells(key, mark, patch, plane)

    def take_back(self, key: str, patch: Patch, plane: Index) -> Patch | None:
        """Take back that cells, a patch of one plane, are right; return the pixels that were marked."""
        return self._mark_cells(key, unmark, patch, plane)

    def flip(self, key: str, patch: Patch) -> None:
        """Undo, or do again, what one of the four methods above returned."""
        if self._mark(key, flip, patch, "") is not None and not self._runner.is_error:
            self._runner.say("")  # what was said of it is no longer true

    def visit_next(self, key: str) -> None:
        """Go on to the next place of an image that is worth a look.

        They are ranked before the first one and after the last one, when those passed over come again.
        """
        self.flushing.emit()
        image = self.get(key)
        if image is None or image.review is None or key in self._to_rank:
            return
        if image.tour is not None and image.tour.place is not None:
            self._advance(image)
            return
        review, snapshot, doubts = image.review, image.snapshot(), image.doubts
        assert snapshot is not None
        self._to_rank.add(key)
        self._runner.say(_LOOKING)

        def finish(places: list[Place]) -> None:
            self._to_rank.discard(key)
            if self._runner.notice == _LOOKING:
                self._runner.say("")
            if image.review is review:
                image.tour = Tour(places)
                self._advance(image)

        self._runner.later(
            lambda: rank_places(snapshot, image.grid, doubts),
            finish,
            give_up=lambda: self._to_rank.discard(key),
        )

    def replace_review(
        self,
        run: Run,
        image: OpenImage,
        compute: Callable[[Review | None], Review],
        *,
        model: str,
        adopted: Callable[[Review | None], object] = lambda _: None,
        describe: Callable[[], str],
    ) -> None:
        """End a run by a new review, computed of the present one: on the disk, here, and in the window.

        `model` names whose labels they are. `adopted(old)` is called when that is done; `describe()` gives
        the sentence once the cells are counted.
        """
        self.flushing.emit()
        snapshot = image.start_replacing()

        def work() -> tuple[Review, Labels]:
            review = compute(snapshot)
            image.begin(review, model)
            return review, review.labels.copy()

        def adopt(made: tuple[Review, Labels]) -> None:
            review, labels = made
            self._runner.end(run)
            if image.key not in self:
                return
            self.flushing.emit()
            old = image.adopt(review, labels, snapshot)
            adopted(old)
            self.labels_replaced.emit(image.key, labels)
            self._count(image, lambda: self._runner.say(describe()))

        def give_up() -> None:
            image.stop_replacing()
            image.writer.expect_none()

        self._runner.later(work, adopt, run=run, give_up=give_up, post=self._runner.post_gently)

    def _advance(self, image: OpenImage) -> None:
        assert image.review is not None
        assert image.tour is not None
        image.tour.advance(image.review, image.grid)
        if image.tour.place is not None and image.key in self:
            self.visited.emit(image.key, image.tour.place)
        self._runner.changed.emit()

    def _welcome(self, image: OpenImage) -> None:
        self._images[image.key] = image
        if image.problem:
            self._runner.refuse(image.problem)
        self._listen(image)
        if image.review is not None:
            image.model = self._find_model(image.origin)
            self.labels_replaced.emit(image.key, image.review.labels.copy())
            self._count(image)
            self._runner.say(f"Your corrections of {image.edited} are back.")

    def _listen(self, image: OpenImage) -> None:
        def written() -> None:
            image.save_error = ""
            self._runner.changed.emit()

        def failed(message: str) -> None:
            image.save_error = message
            self._runner.refuse(message)

        image.writer.written.connect(lambda: self._runner.post(written))
        image.writer.failed.connect(lambda message: self._runner.post(partial(failed, message)))

    def _release(self, image: OpenImage) -> None:
        self._held.pop(image.key, None)
        image.writer.close()

    def _mark_cells(
        self, key: str, change: Callable[[Review, Patch], Patch | None], patch: Patch, plane: Index
    ) -> Patch | None:
        image = self.get(key)
        return self._mark(key, change, image.place(patch, plane), "") if image is not None else None

    def _mark(
        self, key: str, change: Callable[[Review, Where], Patch | None], where: Where, said: str
    ) -> Patch | None:
        image = self.get(key)
        if image is None or image.review is None or self._closed:
            return None
        changed = image.mark(change, where)
        if changed is not None:
            self.reviewed.emit(key, changed.box)
            self._count(image)
            if said:
                self._runner.say(said)
            self._runner.changed.emit()
        return changed

    def _count(self, image: OpenImage, then: Callable[[], object] = lambda: None) -> None:
        """Count and measure a copy in the background; what changes meanwhile is counted together after it."""
        key = image.key
        if key in self._counting:
            self._counting[key].append(then)
            return
        self._counting[key] = []
        snapshot = image.snapshot()

        def finish(counted: Any) -> None:
            waiting = self._counting.pop(key)
            if counted is not None:
                image.counts, image.features = counted
            if waiting and key in self:
                self._count(self[key], lambda: [call() for call in waiting])
            then()
            self.measured.emit(key)
            self._runner.changed.emit()

        self._runner.later(
            lambda: image.count(snapshot), finish, give_up=lambda: self._counting.pop(key, None)
        )
