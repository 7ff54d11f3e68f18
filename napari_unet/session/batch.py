"""A batch as a window sees it: the images, what became of each, and the sentence that says how far it is.

A session knows no window. It is used from one thread, the window's; what takes time is done on a thread of
its own or in a process of its own, and comes back through `post`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import platformdirs
from psygnal import Signal

from napari_unet.core.base import InputError, Progress
from napari_unet.io import LayerData, list_images, read_result
from napari_unet.jobs import (
    MISSING,
    TABLE,
    BatchRequest,
    Order,
    Outcome,
    collect_notes,
    find_labels,
    is_installed,
    name_files,
)
from napari_unet.session.runner import Background, Post
from napari_unet.worker import Job, Worker

logger = logging.getLogger("napari_unet")

NO_IMAGES = "There are no images yet: drop some on the list, or press Add files."
_GRACE = 3.0  # s that a cancelled batch has to write its table
_HAVE_LABELS = ("done", "kept")


class BatchSession:
    """The use cases of a Batch window: gather images, start, cancel, go on, look at a result.

    `outcomes` has the images in the order in which they were added. Signals: `listed` when there are other
    images, or all are waiting again; `told(outcomes)` when images are finished; `changed` when the work, the
    notice or the progress has changed.
    """

    listed = Signal()
    told = Signal(object)
    changed = Signal()

    def __init__(self, post: Post, worker: Worker | None = None) -> None:
        log = platformdirs.user_log_path("napari-unet") / "batch.log"
        self.worker = worker or Worker("napari_unet.jobs.batch", log, grace=_GRACE)
        self.outcomes: dict[Path, Outcome] = {}
        self.output: Path | None = None
        self.notice = "" if is_installed() else MISSING
        self.is_error = bool(self.notice)
        self.progress = Progress()
        self._background = Background(post)
        self._job: Job[list[Outcome]] | None = None
        self._throughput = Throughput()

    @property
    def running(self) -> bool:
        """Whether a batch is under way."""
        return self._job is not None

    @property
    def finished(self) -> int:
        """How many images have labels."""
        return sum(outcome.status in _HAVE_LABELS for outcome in self.outcomes.values())

    def add(self, paths: Iterable[Path], problems: Sequence[str] = ()) -> None:
        """Add image files and all images in folders; what is no image is said, the others are added.

        `problems` are known of images that have no path.
        """
        named = [path.absolute() for path in paths]

        def add(listed: tuple[list[Path], list[str]]) -> None:
            self._add(listed[0], [*problems, *listed[1]])

        self._background.do(lambda: _list_each(named), add, self._fail)

    def remove(self, files: Iterable[Path]) -> None:
        """Take images off the list; the files stay where they are."""
        if not self.running:
            for file in files:
                self.outcomes.pop(file, None)
            self.listed.emit()
            self.say("")

    def start(self, order: Order) -> None:
        """Segment all images of the list but those that are finished; what cannot be done is said."""
        if self.running:
            return
        if not is_installed():
            self.refuse(MISSING)
        elif not self.outcomes:
            self.refuse(NO_IMAGES)
        else:
            self.output = order.output
            self.outcomes = {file: Outcome(file) for file in self.outcomes}
            self._throughput, self.progress = Throughput(), Progress()
            self._job = self.worker.submit(BatchRequest(tuple(self.outcomes), order))
            self._background.follow(
                self._job,
                progress=self._take,
                done=self._done,
                failed=self._failed,
                cancelled=self._cancelled,
            )
            self.listed.emit()
            self.say("Starting")

    def cancel(self) -> None:
        """Stop; what is finished stays, and the next start goes on from there."""
        if self._job is not None:
            self._job.cancel()
            self.say("Stopping")

    def read_result(self, file: Path, finish: Callable[[list[LayerData]], object]) -> None:
        """Read an image, and its labels where it has any, and hand them to `finish` as napari layer data."""
        labels = None
        if self.output is not None and self.outcomes[file].status in _HAVE_LABELS:
            labels = find_labels(file, self.output)
        self._background.do(lambda: read_result(file, labels), finish, self._fail)

    def say(self, sentence: str) -> None:
        """Tell the user what was done."""
        self.notice, self.is_error = sentence, False
        self.changed.emit()

    def refuse(self, sentence: str) -> None:
        """Tell the user why something was not done."""
        self.notice, self.is_error = sentence, True
        self.changed.emit()

    def close(self) -> None:
        """End all processes at once and tell nothing more; what is finished is on disk."""
        self._background.close()
        self.worker.stop(timeout=0)

    def _add(self, found: list[Path], problems: list[str]) -> None:
        if self.running:
            self.refuse("A batch is under way: wait for its end, or press Cancel, and add the images again.")
            return
        known = all(file in self.outcomes for file in found)
        for file in found:
            self.outcomes.setdefault(file, Outcome(file))
        self.listed.emit()
        if problems:
            more = f" (and {len(problems) - 1} more like this)" if len(problems) > 1 else ""
            self.refuse(f"{problems[0]}{more}")
        elif found and known:
            self.say(f"{'They are' if len(found) > 1 else 'It is'} on the list already.")
        else:
            self.say("")

    def _take(self, progress: Progress) -> None:
        told = [news for news in progress.news if isinstance(news, Outcome)]
        if told:
            self._note(told)
            total, done = len(self.outcomes), self._throughput.done
            left = self._throughput.describe(total)
            self.progress = Progress(done / total, f"{done} of {total} images{left}")
        else:
            self.progress = Progress(message=progress.message)
        if self.notice != "Stopping":
            self.say(self.progress.message)

    def _note(self, told: Sequence[Outcome]) -> None:
        self.outcomes |= {outcome.file: outcome for outcome in told}
        self._throughput.count(told)
        self.told.emit(told)

    def _done(self, result: list[Outcome]) -> None:
        self._note(result)
        self._end()
        self.notice, self.is_error = describe_end(result, self.output or Path())
        self.changed.emit()

    def _failed(self, message: str, trace: str) -> None:
        if trace:
            logger.error("%s\n%s", message, trace)
        self._end()
        self.refuse(message)

    def _cancelled(self) -> None:
        self._end()
        self.say(
            f"Stopped: {self.finished} of {len(self.outcomes)} images are finished. Start goes on from there."
        )

    def _end(self) -> None:
        self._job = None
        self.worker.stop(timeout=0)  # nothing stays in memory between two batches

    def _fail(self, error: BaseException) -> None:
        if isinstance(error, InputError):
            self.refuse(str(error))
        else:
            logger.error("Something unexpected happened in the Batch window", exc_info=error)
            self.refuse(f"Something unexpected happened ({error}); the details are in the log.")


class Throughput:
    """How many images are finished, and how long the others will take."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.done = 0
        self._clock = clock
        self._worked = 0
        self._workers: set[str | None] = set()
        self._began = self._first = 0.0

    def count(self, told: Iterable[Outcome]) -> None:
        """Count images that are finished; those that were kept or cannot be read cost next to no time."""
        for outcome in told:
            self.done += 1
            if outcome.status == "done":
                self._worked += 1
                self._workers.add(outcome.worker)
                if self._worked == 1:
                    self._first = self._clock()
                    self._began = self._first - (outcome.seconds or 0.0)

    def describe(self, total: int) -> str:
        """Return ", about ... left" for the rest of `total` images, or nothing where nobody knows."""
        if not self._worked or self.done >= total:
            return ""
        # The first image of each process takes long, for it loads the network.
        begun, worked = self._first, self._worked - len(self._workers)
        if worked < 1:
            begun, worked = self._began, self._worked
        seconds = (self._clock() - begun) / worked * (total - self.done)
        return f", about {_describe_time(seconds)} left"


def describe_end(outcomes: Sequence[Outcome], output: Path) -> tuple[str, bool]:
    """Return the sentences that end a batch, and whether they tell of a failure."""
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    kept = sum(outcome.status == "kept" for outcome in outcomes)
    cells = sum(outcome.cells or 0 for outcome in outcomes)
    before = f" ({kept} of them before)" if kept else ""
    where = f"The labels and the table {TABLE} are in {output}.{_describe_notes(outcomes)}"
    if not failed:
        return f"{_count_images(len(outcomes))} segmented{before}, {cells} cells. {where}", False
    if len(failed) == 1:
        reasons = failed[0].error or failed[0].file.name
        if failed[0].file.name not in reasons:
            reasons = f"{failed[0].file.name}: {reasons}"
    else:
        reasons = f"{name_files(failed)}; select one in the list to see why."
    rest = len(outcomes) - len(failed)
    others = f" The other {rest} are done{before}, {cells} cells. {where}" if rest else ""
    return f"{len(failed)} of {_count_images(len(outcomes))} failed: {reasons}{others}", True


def _describe_notes(outcomes: Sequence[Outcome]) -> str:
    notes = collect_notes(outcomes)
    if len(notes) > 1:
        count = sum(map(len, notes.values()))
        return f" There are notes on {_count_images(count)}: select one in the list to read its own."
    return "".join(f" A note on {name_files(about)}: {note}" for note, about in notes.items())


def _count_images(count: int) -> str:
    return f"{count} image{'s' * (count != 1)}"


def _describe_time(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _list_each(paths: Iterable[Path]) -> tuple[list[Path], list[str]]:
    """Return the images in files and folders, and what is wrong with those that have none."""
    found: dict[Path, None] = {}
    problems = []
    for path in paths:
        try:
            found |= dict.fromkeys(list_images([path]))
        except InputError as error:
            problems.append(str(error))
        except OSError as error:
            problems.append(f"{path} cannot be read ({error.strerror or error}): check that it is there.")
    return list(found), problems
