"""A job as the one who ordered it sees it: its signals, its end, its result."""

import logging
import threading
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Generic, TypeVar

from psygnal import Signal, SignalInstance

from napari_unet.core.base import Cancelled, Progress
from napari_unet.worker.channel import Packed

logger = logging.getLogger("napari_unet")

Result = TypeVar("Result")


class Request(Generic[Result]):
    """Base of what a worker can be asked for: the class says which job it is, its fields what that is told.

    What comes back is a ``Result``. Requests and results are picklable.
    """

    __slots__ = ()


class JobError(RuntimeError):
    """A job met an error that it did not expect; `traceback` is the child's, as text."""

    def __init__(self, message: str, traceback: str) -> None:
        super().__init__(message)
        self.traceback = traceback


class WorkerCrashed(JobError):  # noqa: N818 - says what happened
    """The process ended in the middle of the job; `traceback` is the end of its log."""


class JobState(StrEnum):
    """Where a job is in its life."""

    WAITING = "waiting"
    RUNNING = "running"
    CANCELLING = "cancelling"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


class Job(Generic[Result]):
    """One piece of work given to a worker; made by `Worker.submit`. `name` is that of the request's class.

    Exactly one of `done(result)`, `failed(message, traceback)` and `cancelled()` is emitted, after the last
    `progress(Progress)`. Signals are emitted on a thread of the worker (`cancelled` of a job that had not
    begun: on the thread that cancels). `traceback` is empty when the message is all there is to say.
    """

    progress = Signal(Progress)
    done = Signal(object)
    failed = Signal(str, str)
    cancelled = Signal()

    def __init__(
        self, name: str, ident: int, request: Packed, cancel: Callable[["Job[Any]", float | None], None]
    ) -> None:
        self.name = name
        self.ident = ident
        self.request = request
        self.state = JobState.WAITING
        self._cancel = cancel
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._latest: Progress | None = None
        self._value: Any = None
        self._error: BaseException | None = None

    def cancel(self, grace: float | None = None) -> None:
        """Ask the job to stop; if it has not after `grace` seconds (default: the worker's), kill the process.

        Returns at once; a job that has ended stays as it is.
        """
        self._cancel(self, grace)

    def result(self, timeout: float | None = None) -> Result:
        """Wait for the result and return it.

        Raises InputError for what the user can put right, JobError for any other error of the job,
        WorkerCrashed, Cancelled, or TimeoutError after `timeout` seconds.
        """
        if not self._ended.wait(timeout):
            raise TimeoutError(f"the job {self.name!r} is still {self.state} after {timeout} s")
        if self._error is not None:
            raise self._error
        value: Result = self._value
        return value

    def connect(
        self,
        *,
        progress: Callable[[Progress], object] | None = None,
        done: Callable[[Result], object] | None = None,
        failed: Callable[[str, str], object] | None = None,
        cancelled: Callable[[], object] | None = None,
    ) -> None:
        """Connect callbacks so that nothing is missed: what has been emitted already is called here and now.

        Of progress that is the latest report, which a callback may hear twice.
        """
        callbacks: dict[str, Callable[..., object] | None] = {
            **{"progress": progress, "done": done, "failed": failed, "cancelled": cancelled}
        }
        wanted = {name: callback for name, callback in callbacks.items() if callback}
        with self._lock:  # the job does not end meanwhile, so the end comes last
            if self._latest is not None and "progress" in wanted:
                wanted["progress"](self._latest)
            if self.state in ENDED:
                if self.state in wanted:
                    wanted[self.state](*self._ending())
                return
            for name, callback in wanted.items():
                getattr(self, name).connect(callback)

    def report(self, progress: Progress) -> None:
        """Pass a report on; for the worker."""
        self._latest = progress
        emit(self.progress, progress)

    def finish(self, state: JobState, value: Any = None, error: BaseException | None = None) -> None:
        """Note the end, tell everyone; for the worker. What ends while it is being cancelled is cancelled."""
        with self._lock:
            if self.state is JobState.CANCELLING:
                state, value = JobState.CANCELLED, None
            if state is JobState.CANCELLED:
                error = Cancelled(f"the job {self.name!r} was cancelled")
            self._value, self._error, self.state = value, error, state
        self.request.release()
        self._ended.set()
        emit(getattr(self, state), *self._ending())

    def _ending(self) -> tuple[Any, ...]:
        """Return what the signal that is named like the state carries."""
        if self.state is JobState.DONE:
            return (self._value,)
        if self.state is JobState.FAILED:
            return str(self._error), getattr(self._error, "traceback", "")
        return ()


def emit(signal: SignalInstance, *args: Any) -> None:
    """Emit a signal; what its listeners raise goes to the log and not into the worker's thread."""
    try:
        signal.emit(*args)
    except Exception:
        logger.exception("A listener of %r failed", signal.name)
