"""What is being done for the user, one run at a time, and the sentence that says so.

Work is done by jobs of the worker process, and by one thread of this one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any, TypeVar

from psygnal import Signal

from napari_unet.core.base import InputError, Progress
from napari_unet.worker import Job

logger = logging.getLogger("napari_unet")

Result = TypeVar("Result")
Post = Callable[[Callable[[], object]], object]


class Activity(StrEnum):
    """What is being done."""

    NOTHING = "nothing"
    SEGMENTING = "segmenting"
    LEARNING = "learning"


@dataclass(slots=True, eq=False)
class Run:
    """What the user started, from the press of the button to the result in the window."""

    activity: Activity
    job: Job[Any] | None = None
    cancelled: bool = False


def _nothing() -> None:
    return None


class Runner:
    """Does work in the background and follows jobs of the worker; used from one thread, the window's.

    `post(function)` must soon call the function on that thread; `post_gently` too, but not in the middle of a
    brush stroke. `notice` is the last sentence for the user. Signals: `changed` when the run or the notice
    has changed; `progress(Progress)` while a job runs.
    """

    changed = Signal()
    progress = Signal(Progress)

    def __init__(self, post: Post, post_gently: Post) -> None:
        self.post = post
        self.post_gently = post_gently
        self.run: Run | None = None
        self.notice = ""
        self.is_error = False
        self._background = Background(post)

    @property
    def activity(self) -> Activity:
        """What is being done."""
        return self.run.activity if self.run else Activity.NOTHING

    def begin(self, activity: Activity, message: str) -> Run:
        """Begin a run, which is to be ended, and say so."""
        self.run = run = Run(activity)
        self.say(message)
        return run

    def end(self, run: Run | None) -> None:
        """End a run, unless another one has taken its place."""
        if run is self.run:
            self.run = None

    def cancel(self) -> None:
        """Stop what is being done; everything is as it was before."""
        if self.run is not None:
            self.run.cancelled = True
            if self.run.job is not None:
                self.run.job.cancel()
            self.say("Stopping")

    def say(self, message: str) -> None:
        """Tell the user what was done."""
        self.notice, self.is_error = message, False
        self.changed.emit()

    def refuse(self, message: str) -> None:
        """Tell the user why something was not done."""
        self.notice, self.is_error = message, True
        self.changed.emit()

    def later(
        self,
        work: Callable[[], Result],
        finish: Callable[[Result], object],
        *,
        run: Run | None = None,
        give_up: Callable[[], object] = _nothing,
        post: Post | None = None,
    ) -> None:
        """Do `work` in the background and hand its result to `finish` here, by `post` if given.

        An error is told to the user and ends the `run`; `give_up` is called before.
        """

        def fail(error: BaseException) -> None:
            give_up()
            self.end(run)
            self.refuse(_explain(error))

        self._background.do(work, finish, fail, post)

    def submit(
        self,
        run: Run,
        order: Callable[[], Job[Result]],
        done: Callable[[Result], object],
        cancelled: Callable[[], object] = _nothing,
    ) -> None:
        """Let `order` send a job, in the background since its arrays are copied, and follow it.

        `done(result)` is called while the run goes on, `cancelled()` once it was stopped.
        """

        def on_progress(progress: Progress) -> None:
            if run is self.run and not run.cancelled:
                self.notice = progress.message or self.notice
                self.progress.emit(progress)

        def on_done(result: Result) -> None:
            if run is self.run:
                run.job = None
                done(result)

        def on_failed(message: str, trace: str) -> None:
            if trace:
                logger.error("%s\n%s", message, trace)
            self.end(run)
            self.refuse(message)

        def on_cancelled() -> None:
            self.end(run)
            cancelled()
            self.say("Stopped. Everything is as it was before.")

        def follow(job: Job[Result]) -> None:
            run.job = job
            self._background.follow(
                job, progress=on_progress, done=on_done, failed=on_failed, cancelled=on_cancelled
            )
            if run.cancelled:
                job.cancel()

        self.later(order, follow, run=run)

    def submit_quietly(self, order: Callable[[], Job[Result]], done: Callable[[Result], object]) -> None:
        """Let `order` send a job that the user did not ask for: what goes wrong is only logged."""
        self.later(order, lambda job: self.follow_quietly(job, done))

    def follow_quietly(
        self, job: Job[Result], done: Callable[[Result], object], missed: Callable[[], object] = _nothing
    ) -> None:
        """Follow a job that the user did not ask for; `missed()` is called if it fails or is cancelled."""

        def on_failed(message: str, trace: str) -> None:
            # Without a trace nothing is wrong with the program: a file is not there any more, for example.
            logger.log(logging.ERROR if trace else logging.INFO, "%s\n%s", message, trace)
            missed()

        self._background.follow(job, done=done, progress=lambda _: None, failed=on_failed, cancelled=missed)

    def close(self) -> None:
        """Begin nothing more and tell nothing more; returns at once."""
        self._background.close()


def _explain(error: BaseException) -> str:
    if isinstance(error, InputError):
        return str(error)
    logger.error("Something unexpected happened in a window", exc_info=error)
    if isinstance(error, MemoryError):
        return "There was not enough memory for this: close other programs, or choose a smaller image."
    return f"Something unexpected happened ({error}). Your corrections are safe; the details are in the log."


class Background:
    """One thread. `post(function)` must soon call the function on the thread that is to have the results."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._closed = False
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="napari-unet background")

    def do(
        self,
        work: Callable[[], Result],
        finish: Callable[[Result], object],
        fail: Callable[[BaseException], object],
        post: Post | None = None,
    ) -> None:
        """Do `work` on the thread; then `finish(result)` or `fail(error)` is posted, with `post` if given."""
        if self._closed:
            return

        def conclude(future: Future[Result]) -> None:
            if self._closed or future.cancelled():
                return
            try:
                result = future.result()
            except (Exception, CancelledError) as error:
                fail(error)
            else:
                finish(result)

        future = self._executor.submit(work)
        future.add_done_callback(lambda future: (post or self._post)(partial(conclude, future)))

    def follow(
        self,
        job: Job[Result],
        *,
        progress: Callable[[Progress], object],
        done: Callable[[Result], object],
        failed: Callable[[str, str], object],
        cancelled: Callable[[], object],
    ) -> None:
        """Post what a job in the worker process tells."""

        def posted(function: Callable[..., object]) -> Callable[..., None]:
            def tell(*values: object) -> None:
                self._post(lambda: None if self._closed else function(*values))

            return tell

        # psygnal looks at a callback's arguments, so that each needs its own signature.
        tell_progress, tell_done, tell_failed = posted(progress), posted(done), posted(failed)
        job.connect(
            progress=lambda value: tell_progress(value),
            done=lambda result: tell_done(result),
            failed=lambda message, trace: tell_failed(message, trace),
            cancelled=lambda: posted(cancelled)(),
        )

    def close(self) -> None:
        """Begin nothing more and post nothing more; returns at once."""
        self._closed = True
        self._executor.shutdown(wait=False, cancel_futures=True)
