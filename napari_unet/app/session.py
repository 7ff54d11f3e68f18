"""One window's view of a project: open images and their reviews, the model in use, what is being done.

A session knows no window. It is used from one thread, the window's; what takes time is done on a thread of
its own or in the worker process, and comes back through `post`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from psygnal import Signal

from napari_unet.app.background import Background, Post
from napari_unet.app.corrected import gather_corrections
from napari_unet.app.job import Job
from napari_unet.app.models import DEFAULT_MODEL, ModelEntry, find_models
from napari_unet.app.opened import Index, OpenImage, Source, open_image
from napari_unet.app.project import Project
from napari_unet.app.relabel import merge_labels, restore_review
from napari_unet.app.trial import Trial, name_model, new_run_folder
from napari_unet.app.worker import Worker
from napari_unet.core.corrections import Box, Labels, Review, mark, unmark
from napari_unet.core.errors import InputError
from napari_unet.core.progress import Progress

__all__ = ["Activity", "OpenImage", "Session", "Source", "Trial"]

logger = logging.getLogger("napari_unet")

Result = TypeVar("Result")


class Activity(StrEnum):
    """What the session is busy with."""

    NOTHING = "nothing"
    SEGMENTING = "segmenting"
    LEARNING = "learning"


@dataclass(slots=True)
class Run:
    """What the user started, from the press of the button to the result in the window."""

    activity: Activity
    job: Job | None = None
    cancelled: bool = False


class Session:
    """The use cases behind a window: segment, correct, fine-tune, keep or roll back.

    `post(function)` must soon call the function on the thread that uses the session; `post_gently` too, but
    not in the middle of a brush stroke. Signals: `changed` whenever something shown may have changed;
    `labels_replaced(key, labels)` when a window should show new labels, an array that it may keep;
    `reviewed(key, box)` when pixels were changed, marked or unmarked; `measured(key)` when there are new
    counts and features; `progress(Progress)` while a job runs; `flushing()` before labels are needed: whoever
    shows them calls `note_edit` at once.
    """

    changed = Signal()
    labels_replaced = Signal(str, object)
    reviewed = Signal(str, object)
    measured = Signal(str)
    progress = Signal(Progress)
    flushing = Signal()

    def __init__(self, project: Project, worker: Worker, post: Post, post_gently: Post | None = None) -> None:
        self.project = project
        self.worker = worker
        self.images: dict[str, OpenImage] = {}
        self.models: list[ModelEntry] = []
        self.model: Path | None = None
        self.run: Run | None = None
        self.trial: Trial | None = None
        self.notice = ""
        self.is_error = False
        self.warm = False
        self._post = post
        self._post_gently = post_gently or post
        self._closed = False
        self._held: dict[str, OpenImage] = {}  # the background thread's own
        self._to_count: set[str] = set()
        self._background = Background(post)
        self.refresh_models()

    @property
    def activity(self) -> Activity:
        """What the session is busy with."""
        return self.run.activity if self.run else Activity.NOTHING

    @property
    def model_in_use(self) -> Path | None:
        """The model that segments: the one on trial, unless it did worse, or the one that was chosen."""
        return self.trial.model if self.trial is not None and self.trial.accepted else self.model

    @property
    def model_entry(self) -> ModelEntry | None:
        """The model that was chosen."""
        return next((entry for entry in self.models if entry.path == self.model), None)

    def find(self, source: Source) -> OpenImage | None:
        """Return the open image of a source, None where it is not open yet."""
        images = self.images.values()
        return next((image for image in images if any(source.is_same(s) for s in image.sources)), None)

    def start(self) -> None:
        """Start the worker and load the model there, so that the first press of a button need not wait."""
        self.worker.start()
        self._warm_up()

    def refresh_models(self) -> None:
        """Look again which models there are; the one in use stays if it is still there."""
        self.models = find_models([self.project.models_folder])
        paths = {entry.path: entry.card.name for entry in self.models}
        if self.model not in paths:
            default = [path for path, name in paths.items() if name == DEFAULT_MODEL]
            self.model = next(iter(default or paths), None)
        self.changed.emit()

    def use_model(self, path: Path) -> None:
        """Use another model from now on."""
        if path != self.model:
            self.model = path
            self._warm_up()
            self.changed.emit()

    def open_image(self, source: Source) -> None:
        """Open an image in the background; `labels_replaced` follows where the project has its review."""
        self._open(source, lambda _: None, None)

    def segment(self, source: Source, *, channel: int | None = None, plane: Index | None = None) -> None:
        """Segment an image, or one plane of it, in the worker; what was reviewed keeps its labels.

        `channel` is the one to look at; `plane` the index along the image's T and Z axes, None for all.
        """
        if self.run is None:
            run = self._begin(Activity.SEGMENTING, f"Opening '{source.name}'")
            planes = None if plane is None else [plane]
            self._open(source, lambda image: self._segment(run, image, channel, planes), run)

    def note_edit(self, key: str, labels: Labels, plane: Index | None = None) -> None:
        """Take what the user changed: `labels` is the whole array now, compared with the one last known.

        `plane` restricts the comparison. What changed goes to the disk in the background.
        """
        image = self.images.get(key)
        if image is None or image.review is None or self._closed:
            return
        try:
            box = image.note(labels, plane)
            if box is not None:
                self.reviewed.emit(key, box)
                self._count(image)
                self.changed.emit()
        except InputError as error:
            self.refuse(str(error))

    def mark_reviewed(self, key: str, box: Box) -> None:
        """Note that the labels in a box are right as they are."""
        self._mark(key, box, mark)

    def unmark(self, key: str, box: Box) -> None:
        """Take back what `mark_reviewed` noted in a box."""
        self._mark(key, box, unmark)

    def fine_tune(
        self,
        key: str,
        *,
        channel: int | None = None,
        seconds: float | None = None,
        steps: int | None = None,
        seed: int = 0,
    ) -> None:
        """Learn from all corrections of the project, in the worker, then use the new model on image `key`.

        The result is a `trial`, until `keep` or `roll_back`.
        """
        if self.run is not None or self.model is None:
            return
        self.flushing.emit()
        self._settle_trial()
        run = self._begin(Activity.LEARNING, "Collecting your corrections")
        image, opened, model = self.images[key], list(self.images.values()), self.model
        assert model is not None
        name = name_model(model.stem, {entry.path.stem for entry in self.models})

        def order() -> Job:
            corrections = gather_corrections(self.project, image, opened, channel)
            output = new_run_folder(self.project.runs_folder) / f"{name}.keras"
            limits = {"seconds": seconds, "steps": steps, "seed": seed}
            return self.worker.submit(
                "fine_tune", model=str(model), output=str(output), **limits, **corrections
            )

        def done(result: dict[str, Any]) -> None:
            self.trial = Trial(key, channel, model, Path(result["output"]), result)
            if self.trial.accepted:
                self._segment(run, image, channel, image.segmented_planes())
            else:
                self._end(run)
                self._say(f"{self.trial.reason} Correct some more cells and try again.")

        self._submit(run, order, done)

    def keep(self) -> None:
        """Keep the model on trial: it becomes one of the project's models and the one in use."""
        trial = self.trial
        if trial is None or self.run is not None:
            return
        try:
            path = trial.keep(self.project.models_folder)
        except OSError as error:
            self.refuse(
                f"The new model could not be kept ({error.strerror}): make room on the drive, try again."
            )
            return
        self.trial, self.model = None, path
        self.refresh_models()
        self._warm_up()
        image = self.images.get(trial.key)
        if trial.start is None and image is not None:
            run = self._begin(Activity.SEGMENTING, "Segmenting with the new model")
            self._segment(run, image, trial.channel, image.segmented_planes())
        else:
            self._say(f"'{path.stem}' is kept and in use now: segment the next image, or correct on.")

    def _settle_trial(self) -> None:
        """Decide for the user who goes on without deciding: what proved itself stays, what did not goes."""
        if self.trial is not None and self.trial.accepted:
            self.keep()
        elif self.trial is not None:
            self.roll_back()

    def roll_back(self) -> None:
        """Go back to the model before the fine-tuning and its labels; what was reviewed since then stays."""
        trial = self.trial
        if trial is None or self.run is not None:
            return
        self.trial = None
        trial.discard()
        image, before, start = self.images.get(trial.key), trial.before, trial.start
        said = f"Back to the model '{trial.parent.stem}'. Your corrections are all there."
        if image is None or before is None or start is None:
            self._say(said)
            return
        run = self._begin(Activity.SEGMENTING, "Going back to the labels before")

        def restore(now: Review | None) -> Review:
            return before if now is None else restore_review(before, start, now)

        self._replace(run, image, restore, trial.parent.stem, lambda _: None, lambda: said)

    def cancel(self) -> None:
        """Stop what is being done; everything is as it was before."""
        if self.run is not None:
            self.run.cancelled = True
            if self.run.job is not None:
                self.run.job.cancel()
            self._say("Stopping")

    def refuse(self, message: str) -> None:
        """Tell the user why something was not done."""
        self.notice, self.is_error = message, True
        self.changed.emit()

    def close_image(self, key: str) -> None:
        """Let go of an image; its corrections are written in the background first."""
        image = self.images.pop(key, None)
        if image is not None:
            self._later(lambda: self._release(image), lambda _: None, None)

    def close(self) -> None:
        """Write all corrections and stop the worker; a job under way is abandoned."""
        if self._closed:
            return
        self.flushing.emit()
        self._closed = True
        self.worker.stop(timeout=0)
        self._background.close()
        for image in list(self._held.values()):
            if image.writer is not None:
                image.writer.close(timeout=5)

    def _open(self, source: Source, then: Callable[[OpenImage], object], run: Run | None) -> None:
        known = self.find(source)
        if known is not None:
            then(known)
            return

        def find_or_open() -> OpenImage:
            image = open_image(self.project, source, self._held)
            self._held[image.key] = image
            return image

        def finish(image: OpenImage) -> None:
            if image.key not in self.images:
                self._welcome(image)
            elif not any(source.is_same(s) for s in image.sources):
                image.sources.append(source)
            self.changed.emit()
            then(image)

        self._later(find_or_open, finish, run)

    def _welcome(self, image: OpenImage) -> None:
        self.images[image.key] = image
        if image.problem:
            self.refuse(image.problem)
        if image.writer is not None:
            self._listen(image)
        if image.review is not None:
            self.labels_replaced.emit(image.key, image.review.labels.copy())
            self._count(image)
            self._say(f"Your corrections of {image.edited} are back.")

    def _listen(self, image: OpenImage) -> None:
        def written() -> None:
            image.save_error = ""
            self.changed.emit()

        def failed(message: str) -> None:
            image.save_error = message
            self.refuse(message)

        assert image.writer is not None
        image.writer.written.connect(lambda: self._post(written))
        image.writer.failed.connect(lambda message: self._post(partial(failed, message)))

    def _release(self, image: OpenImage) -> None:
        self._held.pop(image.key, None)
        if image.writer is not None:
            image.writer.close()

    def _mark(self, key: str, box: Box, change: Callable[[Review, Box], Box | None]) -> None:
        image = self.images.get(key)
        if image is None or image.review is None:
            return
        changed = image.mark(change, box)
        if changed is not None:
            self.reviewed.emit(key, changed)
            self._count(image)
            self._say("What you see is marked." if change is mark else "What you see is no longer marked.")

    def _segment(
        self,
        run: Run,
        image: OpenImage,
        channel: int | None,
        planes: Sequence[Index] | None,
    ) -> None:
        """Segment planes of an image (None: all) with the model in use."""
        model = self.model_in_use
        if model is None:
            self._end(run)
            self.refuse("There is no model to segment with: install the package again, or add a model file.")
            return

        def order() -> Job:
            pixels, axes = image.read_planes(planes)
            request = {"axes": axes, "channel": channel, "pixel_size": image.pixel_size}
            return self.worker.submit("segment", image=pixels, model=str(model), **request)

        def done(result: dict[str, Any]) -> None:
            def merge(review: Review | None) -> Review:
                return merge_labels(image.grid, review, result["labels"], planes)

            def adopted(old: Review | None) -> None:
                if old is not None and (trial := self._trial_of(image, model)) is not None:
                    trial.note(old, image.snapshot())

            def say() -> str:
                if (trial := self._trial_of(image, model)) is not None:
                    return f"{trial.reason} The labels are the new model's: keep it or roll back."
                return _describe(image.counts.cells if image.counts else 0, result)

            self._replace(run, image, merge, model.stem, adopted, say)

        self._submit(run, order, done)

    def _trial_of(self, image: OpenImage, model: Path) -> Trial | None:
        """Return the trial if it is about this image and this model."""
        trial = self.trial
        return trial if trial is not None and (trial.key, trial.model) == (image.key, model) else None

    def _replace(
        self,
        run: Run,
        image: OpenImage,
        compute: Callable[[Review | None], Review],
        model: str,
        adopted: Callable[[Review | None], object],
        say: Callable[[], str],
    ) -> None:
        """Put a new review, computed of the present one, in its place: on the disk, here, in the window.

        `adopted(old)` is called when that is done; `say()` gives the sentence once the cells are counted.
        """
        self.flushing.emit()
        snapshot, had_writer = image.snapshot(), image.writer is not None
        image.replacing = True

        def work() -> tuple[Review, Labels]:
            review = compute(snapshot)
            image.begin(review, model)
            return review, review.labels.copy()

        def adopt(made: tuple[Review, Labels]) -> None:
            review, labels = made
            self._end(run)
            if image.key not in self.images:
                return
            self.flushing.emit()
            old = image.adopt(review, labels, snapshot)
            if not had_writer:
                self._listen(image)
            adopted(old)
            self.labels_replaced.emit(image.key, labels)
            self._count(image, lambda: self._say(say()))

        def give_up() -> None:
            image.replacing = False

        self._later(work, adopt, run, give_up, self._post_gently)

    def _count(self, image: OpenImage, then: Callable[[], object] = lambda: None) -> None:
        """Count and measure in the background; changes that come before it begins are counted with it."""
        if image.key in self._to_count:
            then()
            return
        self._to_count.add(image.key)

        def work() -> Any:
            self._to_count.discard(image.key)
            return image.count()

        def finish(counted: Any) -> None:
            if counted is not None:
                image.counts, image.features = counted
            then()
            self.measured.emit(image.key)
            self.changed.emit()

        self._later(work, finish, None)

    def _warm_up(self) -> None:
        if self.model is None:
            return
        model = str(self.model)

        def done(_: object) -> None:
            self.warm = True
            self.changed.emit()

        def follow(job: Job) -> None:
            self._background.follow(
                job,
                done=done,
                progress=lambda _: None,
                failed=lambda message, trace: logger.error("%s\n%s", message, trace),
                cancelled=lambda: None,
            )

        self._later(lambda: self.worker.submit("warm_up", model=model), follow, None)

    def _begin(self, activity: Activity, message: str) -> Run:
        self.run = run = Run(activity)
        self._say(message)
        return run

    def _end(self, run: Run | None) -> None:
        if run is not None and run is self.run:
            self.run = None

    def _submit(self, run: Run, order: Callable[[], Job], done: Callable[[Any], object]) -> None:
        """Send a job to the worker, from the background since its arrays are copied, and follow it."""

        def on_progress(progress: Progress) -> None:
            if run is self.run and not run.cancelled:
                self.notice = progress.message or self.notice
                self.progress.emit(progress)

        def on_done(result: Any) -> None:
            if run is self.run:
                run.job = None
                done(result)

        def on_failed(message: str, trace: str) -> None:
            if trace:
                logger.error("%s\n%s", message, trace)
            self._end(run)
            self.refuse(message)

        def on_cancelled() -> None:
            self._end(run)
            if run.activity is Activity.LEARNING and self.trial is not None:
                self.trial.discard()
                self.trial = None
            self._say("Stopped. Everything is as it was before.")

        def follow(job: Job) -> None:
            run.job = job
            self._background.follow(
                job, progress=on_progress, done=on_done, failed=on_failed, cancelled=on_cancelled
            )
            if run.cancelled:
                job.cancel()

        self._later(order, follow, run)

    def _later(
        self,
        work: Callable[[], Result],
        finish: Callable[[Result], object],
        run: Run | None,
        give_up: Callable[[], object] = lambda: None,
        post: Post | None = None,
    ) -> None:
        """Do `work` in the background and hand its result to `finish` here; errors end the run."""

        def fail(error: BaseException) -> None:
            give_up()
            self._end(run)
            self.refuse(_explain(error))

        self._background.do(work, finish, fail, post)

    def _say(self, message: str) -> None:
        self.notice, self.is_error = message, False
        self.changed.emit()


def _describe(cells: int, result: dict[str, Any]) -> str:
    found = f"{cells} cell{'s' * (cells != 1)} found in {result['seconds']:.1f} s."
    notes = " ".join(result.get("notes", ()))
    return f"{found} {notes}".strip()


def _explain(error: BaseException) -> str:
    if isinstance(error, InputError):
        return str(error)
    logger.error("Something unexpected happened in a window", exc_info=error)
    if isinstance(error, MemoryError):
        return "There was not enough memory for this: close other programs, or choose a smaller image."
    return f"Something unexpected happened ({error}). Your corrections are safe; the details are in the log."
