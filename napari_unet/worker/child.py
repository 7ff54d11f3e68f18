"""One child process as its parent sees it: launched, spoken to, and noticed when it ends."""

import json
import logging
import os
import queue
import site
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from napari_unet.worker.channel import Channel, Endpoint

logger = logging.getLogger("napari_unet")

LOG_BYTES = 1_000_000


class ChildProcess:
    """A process that runs `napari_unet.worker.process`, with the threads that serve it.

    Nothing here blocks the thread that calls: launching, accepting, reading and writing have threads of their
    own. `on_message(message)` is called on the reading thread; `on_end(child, reason)` once, when the
    process has ended, after its last message; `reason` says how it ended in a few words.
    """

    def __init__(
        self,
        jobs: str,
        log: Path,
        paths: Sequence[Path],
        on_message: Callable[[Any], None],
        on_end: Callable[["ChildProcess", str], None],
    ) -> None:
        self._jobs = jobs
        self._log = log
        self._paths = paths
        self._on_message = on_message
        self._on_end = on_end
        self._outbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._killing = threading.Lock()
        self._killed = False
        self._gone = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._life = threading.Thread(target=self._live, name="unet-worker", daemon=True)
        self._life.start()

    def send(self, message: object) -> None:
        """Send a message as soon as the child can take it; never waits."""
        self._outbox.put(message)

    def kill(self) -> None:
        """End the process at once, or keep it from being started."""
        with self._killing:
            self._killed = True
            if self._process is not None:
                self._process.kill()

    def join(self, timeout: float) -> None:
        """Wait until the process has ended and `on_end` has been called."""
        if threading.current_thread() is not self._life:
            self._life.join(timeout)

    def _live(self) -> None:
        try:
            endpoint = Endpoint()
            reader = threading.Thread(
                target=self._read, args=[endpoint], name="unet-worker-reader", daemon=True
            )
            reader.start()
            try:
                reason = self._run(endpoint)
            finally:
                endpoint.close()
                reader.join(
                    timeout=10
                )  # ends by itself, unless a process that a job forked holds the channel
        except Exception as error:
            logger.exception("The worker process could not be started")
            reason = f"it could not be started: {error}"
        self._on_end(self, reason)

    def _run(self, endpoint: Endpoint) -> str:
        with open_log(self._log) as log, self._killing:
            if self._killed:
                self._gone.set()
                return "stopped"
            process = self._process = launch(self._paths, log)
        orders = {"address": endpoint.address, "key": endpoint.key.hex(), "jobs": self._jobs}
        assert process.stdin is not None
        with suppress(OSError), process.stdin:  # a child that is gone already says so by its exit code
            process.stdin.write(json.dumps(orders).encode() + b"\n")
        code = process.wait()
        self._gone.set()
        return describe_exit(code)

    def _read(self, endpoint: Endpoint) -> None:
        try:
            channel = endpoint.accept()
        except (EOFError, OSError):
            self.kill()
            return
        writer = threading.Thread(target=self._write, args=[channel], name="unet-worker-writer", daemon=True)
        writer.start()
        try:
            while True:
                self._on_message(channel.receive())
        except (EOFError, OSError):
            pass
        except Exception:
            logger.exception("A message of the worker process could not be read")
        if not self._gone.wait(timeout=2):  # a process that is ending by itself keeps its own exit code
            self.kill()
        self._outbox.put(None)
        writer.join()
        channel.close()

    def _write(self, channel: Channel) -> None:
        with suppress(OSError):
            while (message := self._outbox.get()) is not None:
                channel.send(message)


def launch(paths: Sequence[Path], output: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start the child with `paths` on its module path, its standard output and error going to `output`."""
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NO_WINDOW | subprocess.BELOW_NORMAL_PRIORITY_CLASS
    # -P: a file in the user's current folder must not stand in for a module of the same name.
    command = [sys.executable, "-P", "-m", "napari_unet.worker.process"]
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=environment(paths),
        creationflags=flags,
    )


def environment(paths: Sequence[Path]) -> dict[str, str]:
    """Return this process's environment, made so that a new Python imports this same package."""
    package_parent = Path(__file__).parents[2]
    installed = [Path(folder) for folder in (*site.getsitepackages(), site.getusersitepackages())]
    added = [*paths] if package_parent in installed else [*paths, package_parent]
    inherited = os.environ.get("PYTHONPATH")
    entries = [*map(str, added), *filter(None, [inherited])]
    # A killed child leaves shared memory for its tracker to remove: no reason to speak of a leak in the log.
    warnings = [*filter(None, [os.environ.get("PYTHONWARNINGS")]), "ignore:resource_tracker:UserWarning"]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(entries),
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": ",".join(warnings),
    }


def open_log(path: Path) -> IO[bytes]:
    """Open the log for appending; a log past a megabyte is put aside first; nowhere to write means no log."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > LOG_BYTES:
            with suppress(OSError):  # Windows refuses while another worker writes to it
                path.replace(path.with_name(path.name + ".1"))
        return path.open("ab")
    except OSError:
        logger.warning("The log of the worker process cannot be written to %s", path, exc_info=True)
        return Path(os.devnull).open("ab")


def tail(path: Path, size: int = 4000) -> str:
    """Return the last `size` bytes of a log as text, as far as it can be read."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - size))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def describe_exit(code: int) -> str:
    """Say in a few words how a process ended, from its exit code (negative: the signal that killed it)."""
    if code == -9:
        return "killed by signal 9; the machine may be out of memory"
    if code < 0:
        return f"killed by signal {-code}"
    return f"exit code {code}" if code < 0x8000_0000 else f"exit code {code:#x}"
