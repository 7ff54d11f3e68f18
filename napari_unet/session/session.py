"""One window's view of a project: segment, fine-tune, keep or roll back, and the models there are.

A session knows no window. It is used from one thread, the window's; what takes time is done on a thread of
its own or in the worker process, and comes back through `post`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from pathlib import Path
from time import monotonic, time
from typing import Any

from napari_unet.core.base import AUTO, Index, Labels, SegmentParams
from napari_unet.core.image import Channels
from napari_unet.core.review import Review, restore_review
from napari_unet.jobs import (
    Choice,
    Doubted,
    ExamineRequest,
    FineTuned,
    FineTuneRequest,
    Known,
    PrepareRequest,
    SegmentResult,
    Warmth,
    WarmUpRequest,
)
from napari_unet.models import DEFAULT_MODEL, ModelEntry, find_models
from napari_unet.session.idle import IdleWork
from napari_unet.session.image import OpenImage
from napari_unet.session.images import OpenImages
from napari_unet.session.knowledge import Knowledge
from napari_unet.session.masks import Masks
from napari_unet.session.pace import Pace
from napari_unet.session.regions import Regions
from napari_unet.session.runner import Activity, Post, Run, Runner
from napari_unet.session.scope import WHOLE, Planes, Scope, add_planes
from napari_unet.session.source import Source
from napari_unet.session.training_images import Teachers, gather_corrections
from napari_unet.session.trial import Trial, name_model, new_run_folder
from napari_unet.store import Project
from napari_unet.worker import Job, Worker

_COLLECTING = "Collecting your corrections"


class Session:
    """The use cases behind a window; `images` takes the corrections, `runner` says what is being done.

    `post(function)` must soon call the function on the thread that uses the session; `post_gently` too, but
    not in the middle of a brush stroke. `changed` is emitted whenever something shown may have changed. With
    `views`, up to 8, networks look at every tile so many times, turned and mirrored.
    """

    def __init__(self, project: Project, worker: Worker, post: Post, post_gently: Post | None = None) -> None:
        self.project = project
        self.worker = worker
        self.runner = Runner(post, post_gently or post)
        self.images = OpenImages(project, self.runner, self.find_model)
        self.teachers = Teachers(project, self.runner, self.images, self._list_taught)
        self.regions = Regions(
            project, worker, self.runner, self.images, lambda: self.model_in_use, self.describe
        )
        self.masks = Masks(self.runner, self.images)
        self.changed = self.runner.changed
        self.models: list[ModelEntry] = []
        self.model: Path | None = None
        self.auto = True
        self.views = 1
        self.trial: Trial | None = None
        self.doubted = False
        self.idle = IdleWork(worker, self.runner)
        self.knowledge = Knowledge(
            project,
            self.runner,
            self.images,
            self.idle,
            lambda: {entry.path.stem for entry in self.models},
            self.describe,
        )
        self._prepared: Path | None = None
        self._learnt: dict[str, int] = {}  # edits by image that the model in use was kept after
        self.images.measured.connect(self._prepare)
        self.pace: Pace | None = None
        self.warm = False
        self.closed = False
        self.refresh_models()
        if (model := self.find_model(project.model)) is not None:
            self.model, self.auto = model, False

    @property
    def run(self) -> Run | None:
        """What is being done, None where it is nothing."""
        return self.runner.run

    @property
    def notice(self) -> str:
        """The last sentence for the user."""
        return self.runner.notice

    @property
    def is_error(self) -> bool:
        """Whether that sentence says what went wrong."""
        return self.runner.is_error

    @property
    def model_in_use(self) -> Path | None:
        """The model that segments: the one on trial, unless it did worse, or the one that was chosen."""
        return self.trial.model if self.trial is not None and self.trial.accepted else self.model

    @property
    def model_entry(self) -> ModelEntry | None:
        """The model that was chosen."""
        return next((entry for entry in self.models if entry.path == self.model), None)

    @property
    def has_learnt_all(self) -> bool:
        """Whether the model in use was kept, and the user has corrected nothing since it began to learn."""
        opened = self.images.items()
        return bool(self._learnt) and all(image.edits == self._learnt.get(key, 0) for key, image in opened)

    def start(self) -> None:
        """Start the worker and load the model there, so that the first press of a button need not wait."""
        self.worker.start()
        self._warm_up()
        self.teachers.refresh()

    def close(self) -> None:
        """Write all corrections and stop the worker; a job under way is abandoned."""
        if self.closed:
            return
        self.images.flushing.emit()
        self.closed = True
        self.worker.stop(timeout=0)
        self.runner.close()
        self.images.close_all()

    def refresh_models(self) -> None:
        """Look again which models there are; the one in use stays if it is still there."""
        self.models = find_models([self.project.models_folder])
        paths = {entry.path: entry.card.name for entry in self.models}
        if self.model not in paths:
            default = [path for path, name in paths.items() if name == DEFAULT_MODEL]
            self.model = next(iter(default or paths), None)
        self.changed.emit()

    def find_model(self, name: str) -> Path | None:
        """Return the model of a name, None where there is none."""
        return next((entry.path for entry in self.models if entry.path.stem == name), None)

    @property
    def chosen(self) -> str | Path:
        """What the user has chosen: a model, or `AUTO`."""
        return AUTO if self.auto or self.model is None else self.model

    def choose(self, chosen: str | Path) -> None:
        """Use another model from now on, or for `AUTO` the one that fits each image best."""
        if chosen != AUTO:
            self.use_model(Path(chosen))
        elif not self.auto:
            self.auto = True
            self._remember_model()
            self.changed.emit()

    def use_model(self, path: Path) -> None:
        """Use another model from now on."""
        if self.auto or path != self.model:
            self.auto = False
            self.model, self._learnt = path, {}
            self._remember_model()
            self._warm_up()
            self.changed.emit()

    def segment(self, source: Source, scope: Scope | None = None, *, channel: Channels = None) -> None:
        """Segment an image, or a part of it, in the worker; what was reviewed keeps its labels.

        `channel` is the one, or those, to look at. `scope` is what the user has chosen; None for the whole
        image, unless that is large: then something has to be chosen, and a view becomes a region.
        """

        def begin(run: Run, image: OpenImage) -> None:
            if image.is_large and scope is not None:
                self.runner.end(run)
                self.regions.segment(image, scope, channel)
            else:
                self._segment(run, image, channel, scope or WHOLE)

        if self.run is None:
            self._open(source, begin)

    def open_region(self, source: Source, *, channel: Channels = None) -> None:
        """Give a region that was cut out the cells that it has already, or else segment it."""

        def fill(run: Run, image: OpenImage) -> None:
            if not self.regions.fill(run, image):
                self._segment(run, image, channel, WHOLE)

        if self.run is None:
            self._open(source, fill)

    def _open(self, source: Source, then: Callable[[Run, OpenImage], object]) -> None:
        run = self.runner.begin(Activity.SEGMENTING, f"Opening '{source.name}'")
        self.images.open(source, lambda image: then(run, image), run)

    def fine_tune(
        self,
        key: str,
        *,
        channel: Channels = None,
        seconds: float | None = None,
        steps: int | None = None,
        seed: int = 0,
        anyway: bool = False,
    ) -> None:
        """Learn from the corrections, in the worker, then use the new model on image `key`.

        The result is a `trial`, until `keep` or `roll_back`. Where the labels do not seem to belong to the
        images nothing is learnt, unless `anyway`; it is said, and `doubted` until the next press.
        """
        if self.run is not None or self.model is None:
            return
        self.doubted = False
        self.images.flushing.emit()
        self._settle_trial()
        self.idle.drop(ExamineRequest)  # which writes its result into the model that will be a parent now
        run, pressed, start = self.runner.begin(Activity.LEARNING, _COLLECTING), time(), monotonic()
        image, opened = self.images[key], list(self.images.values())
        edits = {each.key: each.edits for each in opened}
        if self.auto and image.model is not None:
            self.model = image.model
        model = self.model
        assert model is not None
        name = name_model(model.stem, {entry.path.stem for entry in self.models})
        taught, left_out = self._list_taught(), list[str]()

        def order() -> Job[FineTuned | Doubted]:
            corrections = gather_corrections(
                self.project, image, opened, channel, model=str(model), taught=taught
            )
            left_out.extend(corrections.left_out)
            output = new_run_folder(self.project.runs_folder) / f"{name}.keras"
            return self.worker.submit(
                FineTuneRequest(
                    model=model,
                    output=output,
                    corrections=corrections.planes,
                    seconds=seconds,
                    steps=steps,
                    seed=seed,
                    pressed=pressed,
                    anyway=anyway,
                    next_planes=tuple(image.next_shapes() * self.views),
                )
            )

        def done(result: FineTuned | Doubted) -> None:
            if isinstance(result, Doubted):
                self.doubted = True
                self.runner.end(run)
                self.runner.refuse(f"{result.reason} Or press Learn anyway.")
                return
            self.trial = Trial(key, channel, model, result.output, result, left_out, edits=edits)
            self.pace = Pace.of(result, monotonic() - start) or self.pace
            if self.trial.accepted:
                self._segment(run, image, channel, image.next_scope)
            else:
                self.runner.end(run)
                self.runner.say(self.trial.reason)
                self._examine(self.trial)

        self.runner.submit(run, order, done)

    def _examine(self, trial: Trial) -> None:
        """Find out, while nobody waits, what the new model has forgotten of what the old one knows."""

        def done(scores: Known) -> None:
            trial.known_scores = scores
            if trial.model == self.model:
                self._warm_up()  # its file has another card now
            self.changed.emit()

        if not trial.known:
            self.idle.do(ExamineRequest(parent=trial.parent, child=trial.model), done)

    def _prepare(self) -> None:
        """Do beforehand, once there are corrections, what a fine-tuning begins with."""
        model = self.model
        if model is None or model == self._prepared or self.run is not None or self.trial is not None:
            return
        if any(image.has_corrections for image in self.images.values()):
            self._prepared = model
            self.idle.do(PrepareRequest(model), lambda _: None)

    def _list_taught(self) -> Collection[str]:
        """Return the hashes of the images that taught the model which was chosen."""
        entry = self.model_entry
        return set(entry.card.training.get("image_sha256", ())) if entry is not None else ()

    def keep(self) -> None:
        """Keep the model on trial: it becomes one of the project's models and the one in use."""
        trial = self.trial
        if trial is None or self.run is not None:
            return
        self.idle.drop(ExamineRequest)
        try:
            path = trial.keep(self.project.models_folder)
        except OSError as error:
            self._examine(trial)
            self.runner.refuse(
                f"The new model could not be kept ({error.strerror}): make room on the drive, try again."
            )
            return
        self.trial, self.model, self._learnt = None, path, trial.edits
        self.refresh_models()
        self._remember_model()
        self._warm_up()
        image = self.images.get(trial.key)
        if image is not None:
            image.model, image.why = path, ""
        if trial.start is None and image is not None:
            run = self.runner.begin(Activity.SEGMENTING, "Segmenting with the new model")
            self._segment(run, image, trial.channel, image.next_scope)
        else:
            self.runner.say(f"'{path.stem}' is kept and in use now: segment the next image, or correct on.")
        self._examine(trial)

    def roll_back(self) -> None:
        """Go back to the model before the fine-tuning and its labels; what was reviewed since then stays."""
        trial = self.trial
        if trial is None or self.run is not None:
            return
        self.trial = None
        self.idle.drop(ExamineRequest)
        trial.discard()
        image, before, start = self.images.get(trial.key), trial.before, trial.start
        said = f"Back to the model '{trial.parent.stem}'. Your corrections are all there."
        if image is None or before is None or start is None:
            self.runner.say(said)
            return
        run = self.runner.begin(Activity.SEGMENTING, "Going back to the labels before")

        def restore(now: Review | None) -> Review:
            return before if now is None else restore_review(before, start, now)

        self.images.replace_review(run, image, restore, model=trial.parent.stem, describe=lambda: said)

    def compare(self, plane: Index, then: Callable[[Labels, Labels], object]) -> None:
        """Let the old and the new model segment a plane; hand what each drew, labels (Y, X), to `then`.

        Corrections are in neither, and no labels are replaced.
        """
        trial = self.trial
        image = self.images.get(trial.key) if trial is not None else None
        if trial is None or image is None or self.run is not None:
            return
        run = self.runner.begin(Activity.SEGMENTING, "Segmenting this plane with both models")
        drawn = list[Labels]()

        def order() -> Job[SegmentResult]:
            params = self.describe(image, trial.channel, trial.model if drawn else trial.parent)
            return self.worker.submit(Planes((plane,)).request(image, params))

        def done(result: SegmentResult) -> None:
            drawn.append(result.labels)
            if len(drawn) == 1:
                self.runner.submit(run, order, done)
                return
            self.runner.end(run)
            self.runner.say(trial.reason)
            then(*drawn)

        self.runner.submit(run, order, done)

    def _settle_trial(self) -> None:
        """Decide for the user who goes on without deciding: what proved itself stays, what did not goes."""
        if self.trial is not None and self.trial.verdict.is_proven:
            self.keep()
        elif self.trial is not None:
            self.roll_back()

    def _segment(self, run: Run, image: OpenImage, channel: Channels, scope: Scope) -> None:
        """Segment a part of an image with the model in use, or with one that is chosen for it first."""
        on_trial = self.trial is not None and self.trial.accepted
        if not self.auto or on_trial or image.is_large:
            self._segment_with(self.model_in_use, run, image, channel, scope)
        elif image.model is not None:
            self.model = image.model
            self._segment_with(self.model, run, image, channel, scope)
        else:
            self._take_model(
                run, image, channel, lambda path: self._segment_with(path, run, image, channel, scope)
            )

    def _take_model(
        self, run: Run, image: OpenImage, channel: Channels, then: Callable[[Path], object]
    ) -> None:
        """Let all models look at an image and take the one that fits it best."""

        def order() -> Job[Choice]:
            return self.worker.submit(self.knowledge.order(image, self.describe(image, channel)))

        def done(choice: Choice) -> None:
            image.model = self.model = choice.model
            image.why = choice.explain()
            self.knowledge.note(image, choice)
            then(choice.model)

        self.runner.submit(run, order, done)

    def _segment_with(
        self, model: Path | None, run: Run, image: OpenImage, channel: Channels, scope: Scope
    ) -> None:
        if image.is_large:
            self.runner.end(run)
            self.runner.refuse(f"'{image.name}' is large: choose what of it to segment, then press Segment.")
            return
        if model is None:
            self.runner.end(run)
            self.runner.refuse(
                "There is no model to segment with: install the package again, or add a model file."
            )
            return

        image.channel, image.scope = channel, scope
        params = self.describe(image, channel, model)

        def order() -> Job[Any]:
            image.remember()
            return self.worker.submit(scope.request(image, params))

        def done(result: Any) -> None:
            doubts = scope.merge_doubts(image.grid, image.doubts, result)
            image.segmented = add_planes(image.segmented, scope, image.grid)
            seen = zip(scope.list_planes(image.grid), result.scales, strict=False)
            image.scales |= {(str(model), channel, index): scale for index, scale in seen}

            def merge(review: Review | None) -> Review:
                return scope.merge(image.grid, review, result)

            def adopted(old: Review | None) -> None:
                image.doubts = doubts
                if old is not None and (trial := self._trial_of(image, model)) is not None:
                    trial.note(old, image.snapshot())
                    self._examine(trial)

            def describe() -> str:
                if (trial := self._trial_of(image, model)) is not None:
                    return trial.reason
                said = scope.describe(image.counts.cells if image.counts else 0, result)
                return f"{said} {image.why}" if self.auto and image.why else said

            self.images.replace_review(
                run, image, merge, model=model.stem, adopted=adopted, describe=describe
            )

        def cancelled() -> None:
            if run.activity is Activity.LEARNING and self.trial is not None:
                self.trial.discard()
                self.trial = None

        self.runner.submit(run, order, done, cancelled)

    def describe(self, image: OpenImage, channel: Channels, model: Path | None = None) -> SegmentParams:
        """Return how an image is segmented with a model, for None with the one in use."""
        return SegmentParams(
            model=str(model or self.model_in_use or AUTO),
            axes=image.grid.axes,
            channel=channel if channel is None or isinstance(channel, int) else tuple(channel),
            pixel_size=image.pixel_size,
            views=self.views,
        )

    def _trial_of(self, image: OpenImage, model: Path) -> Trial | None:
        """Return the trial if it is about this image and this model."""
        trial = self.trial
        return trial if trial is not None and (trial.key, trial.model) == (image.key, model) else None

    def _remember_model(self) -> None:
        """Store which model was chosen, in the background; a project that cannot be written goes without."""
        name = AUTO if self.auto or self.model is None else self.model.stem

        def work() -> None:
            with contextlib.suppress(OSError):
                self.project.remember_model(name)

        self.runner.later(work, lambda _: None)

    def _warm_up(self) -> None:
        if self.model is None:
            return
        request = WarmUpRequest(self.model)

        def done(warmth: Warmth) -> None:
            self.warm = True
            if self.pace is None and warmth.step_seconds:
                self.pace = Pace.expect(warmth.step_seconds)
            self.changed.emit()

        self.runner.submit_quietly(lambda: self.worker.submit(request), done)
