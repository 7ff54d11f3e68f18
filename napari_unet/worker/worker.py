"""Jobs in a process of their own, so that the window never waits for the network and outlives its crashes."""

import atexit
import itertools
import logging
import secrets
import threading
import traceback
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs
from psygnal import Signal

from napari_unet.core.base import InputError
from napari_unet.worker.channel import Parcel, pack, remove
from napari_unet.worker.child import ChildProcess, tail
from napari_unet.worker.job import Job, JobError, JobState, Request, Result, WorkerCrashed, emit

__all__ = ["Job", "JobError", "JobState", "Request", "Worker", "WorkerCrashed"]

logger = logging.getLogger("napari_unet")


@dataclass(frozen=True, slots=True)
class Run:
    """A job that has been sent to a child."""

    job: Job[Any]
    child: ChildProcess
    result_name: str


class Worker:
    """Runs jobs one at a time, in order, in a child process: started when needed, and again after a crash.

    `jobs` names the module whose `JOBS` maps classes of requests to functions of (request, report,
    cancelled), which return what such a request asks for. The child's
    output is appended to `log` (default: worker.log in the user's log folder); `paths` are put on the
    child's module path; `grace` is how many seconds a cancelled job has before the child is killed. `ready`
    is emitted, on a thread of the worker, whenever a child is up. All methods may be called from any thread;
    only `stop` waits for the child.
    """

    ready = Signal()

    def __init__(
        self,
        jobs: str = "napari_unet.jobs.table",
        log: Path | None = None,
        *,
        paths: Sequence[Path] = (),
        grace: float = 2.0,
    ) -> None:
        self.log = log or platformdirs.user_log_path("napari-unet") / "worker.log"
        self._jobs = jobs
        self._paths = tuple(paths)
        self._grace = grace
        self._segments = f"unet-{secrets.token_hex(4)}-"
        self._idents = itertools.count(1)
        self._lock = threading.RLock()
        self._queue: deque[Job[Any]] = deque()
        self._running: Run | None = None
        self._child: ChildProcess | None = None

    @property
    def alive(self) -> bool:
        """Whether there is a child process, or one is being started."""
        return self._child is not None

    def start(self) -> None:
        """Start the child, if there is none, so that the first job need not wait for it; returns at once."""
        with self._lock:
            if self._child is None:
                atexit.register(self.stop)
                self._child = ChildProcess(self._jobs, self.log, self._paths, self._take, self._ended)

    def submit(self, request: Request[Result]) -> Job[Result]:
        """Queue the job that is done for such requests; arrays in it are copied before this returns.

        Raises what pickle raises for a request that cannot be pickled.
        """
        ident = next(self._idents)
        packed = pack(request, f"{self._segments}{ident}q")
        job: Job[Result] = Job(type(request).__name__, ident, packed, self._cancel)
        with self._lock:
            self._queue.append(job)
            self._advance()
        return job

    def stop(self, timeout: float = 5.0) -> None:
        """Cancel all jobs and end the child now; waits for that for at most `timeout` seconds.

        A later submit starts a new child.
        """
        with self._lock:
            waiting = tuple(self._queue)
            self._queue.clear()
            child = self._drop_child()
            if self._running is not None:
                self._running.job.state = JobState.CANCELLING
        for job in waiting:
            job.finish(JobState.CANCELLED)
        if child is not None:
            child.join(timeout)

    def _advance(self) -> None:
        if self._running is not None or not self._queue:
            return
        self.start()
        assert self._child is not None
        job = self._queue.popleft()
        job.state = JobState.RUNNING
        self._running = run = Run(job, self._child, f"{self._segments}{job.ident}r")
        run.child.send(("run", job.ident, job.request.parcel, run.result_name))

    def _cancel(self, job: Job[Any], grace: float | None) -> None:
        with self._lock:
            waiting = job in self._queue
            if waiting:
                self._queue.remove(job)
            elif (run := self._running) is not None and run.job is job:
                job.state = JobState.CANCELLING
                run.child.send(("cancel", job.ident))
                timer = threading.Timer(self._grace if grace is None else grace, self._give_up, [job])
                timer.daemon = True
                timer.start()
        if waiting:
            job.finish(JobState.CANCELLED)

    def _give_up(self, job: Job[Any]) -> None:
        with self._lock:
            if self._running is not None and self._running.job is job:
                self._drop_child()

    def _drop_child(self) -> ChildProcess | None:
        """Kill the child, and let the next job have a new one even before this one has ended."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            atexit.unregister(self.stop)
        return child

    def _take(self, message: tuple[Any, ...]) -> None:
        """Take a message of the child; called on its reading thread."""
        kind, ident, *rest = message
        run = self._running
        if kind == "ready":
            emit(self.ready)
        elif run is None or run.job.ident != ident:
            return
        elif kind == "received":
            run.job.request.release()
        elif kind == "progress":
            if run.job.state is JobState.RUNNING:
                run.job.report(*rest)
        elif kind == "done":
            self._take_result(run, *rest)
        elif kind == "failed":
            self._end_run(run, JobState.FAILED, error=self._error(run.job, *rest))
        elif kind == "cancelled":
            self._end_run(run, JobState.CANCELLED)

    def _take_result(self, run: Run, parcel: Parcel) -> None:
        try:
            value = parcel.open()
        except Exception as error:
            logger.exception("The result of %r could not be read", run.job.name)
            message = f"The result of the segmentation process could not be read ({error})."
            self._end_run(run, JobState.FAILED, error=JobError(message, traceback.format_exc()))
        else:
            self._end_run(run, JobState.DONE, value)

    def _end_run(
        self, run: Run, state: JobState, value: Any = None, error: BaseException | None = None
    ) -> None:
        """Let go of a run that has ended, whichever way, and go on with the next job."""
        remove(run.result_name)
        with self._lock:
            run.child.send(("received", run.job.ident))
            self._running = None
            self._advance()
        run.job.finish(state, value, error)

    def _error(self, job: Job[Any], for_the_user: bool, message: str, trace: str) -> Exception:
        if for_the_user:
            return InputError(message)
        logger.error("The job %r failed in the worker process:\n%s", job.name, trace)
        return JobError(f"{message} The details are in {self.log}.", trace)

    def _ended(self, child: ChildProcess, reason: str) -> None:
        """Clean up after a child that is gone; called once for each child, on a thread of its own."""
        logger.info("The worker process ended (%s)", reason)
        with self._lock:
            run = self._running
            if child is self._child:
                self._drop_child()
        if run is not None and run.child is child:
            message = (
                f"The segmentation process stopped unexpectedly ({reason}). "
                "Your work is safe; press the button again."
            )
            self._end_run(run, JobState.FAILED, error=WorkerCrashed(message, tail(self.log)))
