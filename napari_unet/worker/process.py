"""The child's side of the worker: `python -m napari_unet.worker.process`, orders on standard input.

The main thread runs one job after the other. A second thread reads the channel: it takes cancellations, and
ends the process, whatever it is doing, when the parent is gone.
"""

import faulthandler
import importlib
import json
import logging
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_unet.core.base import Cancelled, InputError, IsCancelled, Progress, Report
from napari_unet.worker.channel import Channel, Packed, Parcel, connect, pack

logger = logging.getLogger("napari_unet")

JobFunction = Callable[[Any, Report, IsCancelled], Any]

NO_MEMORY = (
    "There was not enough memory for this; close other programs or choose a smaller region, then try again."
)


class Reporter:
    """Passes on at most one progress report per `interval` seconds; the first and the last always arrive.

    The news of a report that does not are passed on with the next.
    """

    def __init__(self, send: Callable[[Progress], None], interval: float = 0.05) -> None:
        self._send = send
        self._interval = interval
        self._lock = threading.Lock()
        self._next_time = 0.0
        self._waiting: Progress | None = None
        self._timer: threading.Timer | None = None

    def report(self, progress: Progress) -> None:
        """Send the report now, or when its time has come unless a newer one has taken its place."""
        with self._lock:
            if self._waiting is not None:
                progress = replace(progress, news=(*self._waiting.news, *progress.news))
            delay = self._next_time - time.monotonic()
            if delay <= 0:
                self._send_now(progress)
                return
            self._waiting = progress
            if self._timer is None:
                self._timer = threading.Timer(delay, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Send what is waiting."""
        with self._lock:
            if self._waiting is not None:
                self._send_now(self._waiting)

    def _send_now(self, progress: Progress) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._waiting = None
        self._next_time = time.monotonic() + self._interval
        self._send(progress)


class Runner:
    """Runs the jobs that come over a channel."""

    def __init__(self, channel: Channel, jobs: str) -> None:
        self._channel = channel
        self._module = jobs
        self._orders: queue.SimpleQueue[tuple[int, Parcel, str]] = queue.SimpleQueue()
        self._cancelled: set[int] = set()
        self._results: dict[int, Packed] = {}

    def read(self) -> None:
        """Take messages until the parent is gone, then end the process."""
        with suppress(EOFError, OSError):
            while True:
                kind, ident, *rest = self._channel.receive()
                if kind == "run":
                    self._orders.put((ident, *rest))
                elif kind == "cancel":
                    self._cancelled.add(ident)
                elif kind == "received" and (packed := self._results.pop(ident, None)) is not None:
                    packed.release()
        os._exit(0)

    def run(self) -> None:
        """Run jobs for ever."""
        # A module that cannot be imported is told again, properly, by each job that asks for it.
        with suppress(Exception):
            importlib.import_module(self._module)
        self._channel.send(("ready", 0))
        while True:
            self._channel.send(self._run_one(*self._orders.get()))

    def _run_one(self, ident: int, parcel: Parcel, result_name: str) -> tuple[Any, ...]:
        """Run one job and return the message that says how it ended."""
        reporter = Reporter(lambda progress: self._channel.send(("progress", ident, progress)))
        name = "that was asked for"
        try:
            request = parcel.open()
            name = type(request).__name__
            self._channel.send(("received", ident))
            result = self._find(type(request))(request, reporter.report, lambda: ident in self._cancelled)
            packed = pack(result, result_name)
        except Cancelled:
            return "cancelled", ident
        except InputError as error:
            return "failed", ident, True, str(error), ""
        except MemoryError:
            logger.exception("The job %s ran out of memory", name)
            return "failed", ident, False, NO_MEMORY, traceback.format_exc()
        except BaseException as error:
            logger.exception("The job %s failed", name)
            reason = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]
            sentence = f"The segmentation process met an error that it did not expect ({reason})."
            return "failed", ident, False, sentence, traceback.format_exc()
        finally:
            reporter.flush()
        self._results[ident] = packed
        return "done", ident, packed.parcel

    def _find(self, kind: type) -> JobFunction:
        jobs: Mapping[type, JobFunction] = importlib.import_module(self._module).JOBS
        if kind not in jobs:
            raise LookupError(f"there is no job for {kind.__name__} in {self._module}")
        return jobs[kind]


def yield_to_the_window() -> None:
    """Let the window go first: for the processor and, on Linux, when memory runs out."""
    if sys.platform != "win32":  # there the parent asks for a lower priority when it starts us
        os.nice(5)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")


def main() -> None:
    """Connect to the parent and work for it until it is gone."""
    orders = json.loads(sys.stdin.readline() or "null")
    if orders is None:
        return
    faulthandler.enable()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C in the terminal is for the parent
    yield_to_the_window()
    logger.info("Worker process %d started", os.getpid())
    runner = Runner(connect(orders["address"], bytes.fromhex(orders["key"])), orders["jobs"])
    threading.Thread(target=runner.read, name="channel", daemon=True).start()
    runner.run()


if __name__ == "__main__":
    main()
