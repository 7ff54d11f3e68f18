"""An append-only file of edits, and the thread that writes it.

The file is a header and records. A record is its payload's length (8 bytes), the CRC-32 of that length and
the payload (4 bytes), and the payload, an edit; numbers are little-endian. Whatever a crash leaves at the end
is not a whole record, so that reading gives the edits up to there.
"""

from __future__ import annotations

import atexit
import errno
import itertools
import logging
import struct
import threading
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Protocol

from psygnal import Signal, SignalInstance

from napari_unet.core.base import InputError
from napari_unet.core.review import Review
from napari_unet.io import atomic
from napari_unet.store.records import Edit, decode, encode

__all__ = ["Edit", "Journal", "JournalError", "JournalWriter", "replay"]

logger = logging.getLogger(__name__)

MAGIC = b"NUNETJRN"
VERSION = 1
_HEADER = struct.Struct("<8sI")
_RECORD = struct.Struct("<QI")
_BATCH = 64  # edits made durable together


class JournalError(Exception):
    """The file is no journal that this version can read."""


def _record(edit: Edit) -> bytes:
    payload = encode(edit)
    length = struct.pack("<Q", len(payload))
    return _RECORD.pack(len(payload), zlib.crc32(payload, zlib.crc32(length))) + payload


def replay(path: Path, shape: tuple[int, ...]) -> Iterator[tuple[Edit, int]]:
    """Yield the edits of a journal for arrays of `shape`, each with the offset where its record ends.

    Stops at the first record that is not whole. Raises JournalError where the header is not a journal's.
    """
    with path.open("rb") as stream:
        size = path.stat().st_size
        header = stream.read(_HEADER.size)
        if len(header) < _HEADER.size or _HEADER.unpack(header) != (MAGIC, VERSION):
            raise JournalError(f"{path.name} does not start as a journal does")
        while len(head := stream.read(_RECORD.size)) == _RECORD.size:
            length, checksum = _RECORD.unpack(head)
            if stream.tell() + length > size:
                return
            payload = stream.read(length)
            if zlib.crc32(payload, zlib.crc32(head[:8])) != checksum:
                return
            try:
                edit = decode(payload, shape)
            except ValueError as error:
                logger.warning("%s: %s", path, error)
                return
            yield edit, stream.tell()


class Journal:
    """One journal open for appending, for arrays of `shape`.

    What is not a whole record at its end is cut off; a copy is kept beside it (".torn").
    """

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self.path = path
        self.shape = shape
        self.size = _HEADER.size
        for _, self.size in replay(path, shape):
            pass
        self._stream: FileIO | None = None
        self._keep_torn()

    @staticmethod
    def create(path: Path) -> None:
        """Write an empty journal, atomically, over whatever is at `path`."""
        atomic.write_file(path, _HEADER.pack(MAGIC, VERSION))

    def append(self, edits: Sequence[Edit]) -> None:
        """Write edits; they are on the disk when this returns. After an OSError none of them counts."""
        data = b"".join(map(_record, edits))
        try:
            stream = self._stream or self._open()
            atomic.write(stream, data)
            atomic.sync(stream)
        except BaseException:
            self.close()  # the next append cuts off what was half written
            raise
        self.size += len(data)

    def close(self) -> None:
        """Close the file; a later append opens it again."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _open(self) -> FileIO:
        self._stream = stream = FileIO(self.path, "r+")
        if self.path.stat().st_size < self.size:
            raise OSError(errno.EIO, "another program shortened the journal", str(self.path))
        atomic.truncate(stream, self.size)
        return stream

    def _keep_torn(self) -> None:
        """Copy what follows the last whole record: half an edit, or good ones behind a damaged one."""
        with self.path.open("rb") as stream:
            stream.seek(self.size)
            tail = stream.read()
        if tail:
            logger.warning("%s: %d bytes after the last whole record are cut off", self.path, len(tail))
            try:
                atomic.write_file(self.path.with_name(f"{self.path.stem}-{self.size}.torn"), tail)
            except OSError as error:
                logger.warning("they could not be kept: %s", error)


class Store(Protocol):
    """Where a JournalWriter writes; called from its thread only, save for `shape`."""

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Shape of the review on disk, None where there is none."""

    def append(self, edits: Sequence[Edit]) -> None:
        """Make edits durable."""

    def begin(self, review: Review, model: str) -> None:
        """Put a new review in the place of the old one."""

    def tidy(self) -> None:
        """Do what can wait until the user pauses."""

    def close(self) -> None:
        """Let go of the files."""


@dataclass(frozen=True, slots=True)
class _Begin:
    review: Review
    model: str
    late: tuple[Edit, ...] = ()

    def complete(self) -> Review:
        """Return the review with what was edited while it was made; again after a failure, the same."""
        for edit in self.late:
            if edit.fits(self.review.shape):
                edit.apply(self.review)
        return self.review


class JournalWriter:
    """Writes edits to the disk in a thread of its own, in the order they were given.

    What cannot be written is kept and tried again. Signals come from the writer's thread:
    `written()` after edits have become durable, `failed(message)` once when writing begins to fail, with one
    sentence for the user. At the interpreter's exit an open writer is closed.
    """

    written = Signal()
    failed = Signal(str)

    def __init__(self, store: Store, *, retry_after: float = 2.0, tidy_after: float = 20.0) -> None:
        """Start the thread; it tries again and tidies up after so many seconds."""
        self._store = store
        self._shape = store.shape
        self._retry_after = retry_after
        self._tidy_after = tidy_after
        self._wake = threading.Condition()
        self._queue: deque[Edit | _Begin] = deque()
        self._late: list[Edit] | None = None
        self._submitted = 0
        self._durable = 0
        self._closing = False
        self._failing = False
        self._untidy = False
        self._thread = threading.Thread(target=self._run, name="napari-unet journal", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    @property
    def pending(self) -> int:
        """Number of edits that are not on the disk yet."""
        with self._wake:
            return self._submitted - self._durable

    @property
    def is_open(self) -> bool:
        """Whether edits are taken."""
        return not self._closing

    def submit(self, edit: Edit) -> None:
        """Hand over an edit and return at once; its arrays must not change any more.

        Raises InputError where there is no review that it fits.
        """
        if self._shape is None:
            raise InputError("There is no prediction to correct yet: press Segment first.")
        if not edit.fits(self._shape):
            raise InputError(
                f"The edit at {edit.box} is outside the labels of shape {self._shape}: segment again."
            )
        self._put(edit)

    def expect(self) -> None:
        """Say that a new review is being made of the one of now: edits from here on go into both."""
        with self._wake:
            self._late = []

    def expect_none(self) -> None:
        """Say that no new review is being made any more."""
        with self._wake:
            self._late = None

    def begin(self, review: Review, *, model: str) -> None:
        """Hand over a new review, for edits given from now on; returns once its arrays are copied.

        The boxes of edits since `expect` go into it as they are.
        """
        copy = Review(review.prediction.copy(), review.labels.copy(), review.marked.copy())
        with self._wake:
            self._shape = copy.shape
            late, self._late = tuple(self._late or ()), None
            self._put(_Begin(copy, model, late))

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until all that was given is on the disk; False where it is not after `timeout` seconds."""
        with self._wake:
            due = self._submitted
            self._wake.notify_all()
            return self._wake.wait_for(lambda: self._durable >= due, timeout)

    def close(self, timeout: float = 10.0) -> bool:
        """Flush, end the thread and let go of the files.

        Returns whether everything is on the disk. What is not by then is lost: call `flush` first, and
        tell the user where that fails.
        """
        atexit.unregister(self.close)
        flushed = self.flush(timeout if self._thread.is_alive() else 0)
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        self._thread.join(timeout)
        if not self._thread.is_alive():  # else a drive hangs, and the thread still has the files
            self._store.close()
        return flushed

    def _put(self, item: Edit | _Begin) -> None:
        with self._wake:
            if self._closing:
                raise InputError("The image is closed: open it again to correct it.")
            self._queue.append(item)
            self._submitted += 1
            if self._late is not None and isinstance(item, Edit):
                self._late.append(item)
            self._wake.notify_all()

    def _run(self) -> None:
        while batch := self._next_batch():
            try:
                self._write(batch)
            except Exception as error:
                self._wait_after(error)
            else:
                self._finish(len(batch))

    def _next_batch(self) -> list[Edit | _Begin]:
        """Wait for work and return it, still in the queue: edits, or one new review; nothing when closing."""
        while not self._wait_for_work():
            self._tidy()
        with self._wake:
            if self._closing:
                return []
            first = self._queue[0]
            if isinstance(first, _Begin):
                return [first]
            edits = itertools.takewhile(lambda item: isinstance(item, Edit), self._queue)
            return list(itertools.islice(edits, _BATCH))

    def _wait_for_work(self) -> bool:
        """Wait until there is something to do; False when the user has paused after edits."""
        with self._wake:
            pause = self._tidy_after if self._untidy else None
            return self._wake.wait_for(lambda: bool(self._queue) or self._closing, pause)

    def _write(self, batch: list[Edit | _Begin]) -> None:
        match batch[0]:
            case _Begin() as new:
                self._store.begin(new.complete(), new.model)
            case _:
                self._store.append([item for item in batch if isinstance(item, Edit)])

    def _finish(self, count: int) -> None:
        with self._wake:
            for _ in range(count):
                self._queue.popleft()
            self._durable += count
            self._failing = False
            self._untidy = True
            self._wake.notify_all()
        self._emit(self.written)

    def _wait_after(self, error: Exception) -> None:
        """Tell the user when failing begins; wait for the time to try again, or for a new edit or flush."""
        if not self._failing:
            self._failing = True
            logger.error("corrections could not be written", exc_info=error)
            self._emit(self.failed, _explain(error))
        with self._wake:
            if not self._closing:
                self._wake.wait(self._retry_after)

    def _tidy(self) -> None:
        self._untidy = False
        try:
            self._store.tidy()
        except Exception:
            logger.exception("the corrections could not be tidied up")

    def _emit(self, signal: SignalInstance, *values: str) -> None:
        """Emit, whatever the listeners do: the thread must live."""
        try:
            signal.emit(*values)
        except Exception:
            logger.exception("a listener of the corrections failed")


def _explain(error: Exception) -> str:
    kept = "your last corrections are kept in memory and will be written"
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk is full: {kept} as soon as you free some space."
    reason = (isinstance(error, OSError) and error.strerror) or type(error).__name__
    return f"The project folder cannot be written ({reason}): {kept} as soon as it can; check the drive."
