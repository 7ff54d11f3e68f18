"""A private channel between two processes: messages by socket or pipe, large arrays by shared memory."""

import io
import pickle
import secrets
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Listener
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import IO, Any

import numpy as np

LARGE = 64 * 1024
"""Arrays of more bytes than this travel through shared memory."""

ALIGNMENT = 64


@dataclass(frozen=True, slots=True)
class Parcel:
    """A pickled object whose large arrays lie, one after the other, in the shared memory called `segment`."""

    data: bytes
    segment: str | None

    def open(self) -> Any:
        """Return the object; its large arrays are copies, so the segment may go afterwards.

        Raises FileNotFoundError when the sender has taken the segment away.
        """
        if self.segment is None:
            return pickle.loads(self.data)
        segment = _attach(self.segment)
        try:
            return _Unpickler(io.BytesIO(self.data), segment).load()
        finally:
            segment.close()


@dataclass(slots=True)
class Packed:
    """The sender's end of a parcel: keeps its segment in existence until `release`."""

    parcel: Parcel
    _segment: SharedMemory | None = None

    def release(self) -> None:
        """Give the shared memory back; the second call does nothing."""
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.close()
            _unlink(segment)


def pack(obj: object, name: str) -> Packed:
    """Pickle `obj`, its large arrays of any layout copied into a new shared memory segment called `name`.

    Arrays within anything that pickle can walk through are found. A name has at most 30 characters (the limit
    of macOS). Where no segment can be had (a container with a tiny /dev/shm) the arrays stay in the pickle:
    slower, but it arrives. Raises what pickle raises for an object that cannot be pickled.
    """
    buffer = io.BytesIO()
    pickler = _Pickler(buffer)
    pickler.dump(obj)
    if not pickler.arrays:
        return Packed(Parcel(buffer.getvalue(), None))
    try:
        segment = _create(name, pickler.size, pickler.arrays.values())
    except OSError:
        return Packed(Parcel(pickle.dumps(obj, protocol=5), None))
    return Packed(Parcel(buffer.getvalue(), name), segment)


def remove(name: str) -> None:
    """Remove the segment of that name, if there is one: for what a killed process has left."""
    try:
        segment = SharedMemory(name)
    except (FileNotFoundError, ValueError):
        return
    segment.close()
    _unlink(segment)


Place = tuple[int, np.dtype[Any], tuple[int, ...], str]
"""Where an array lies in a segment: offset in bytes, dtype, shape, order."""


class _Pickler(pickle.Pickler):
    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file, protocol=5)
        self.arrays: dict[int, tuple[Place, np.ndarray]] = {}
        self.size = 0

    def persistent_id(self, obj: Any) -> Place | None:
        if type(obj) not in (np.ndarray, np.memmap) or obj.nbytes <= LARGE or obj.dtype.hasobject:
            return None
        if id(obj) not in self.arrays:
            order = "F" if obj.flags.f_contiguous and not obj.flags.c_contiguous else "C"
            self.arrays[id(obj)] = (self.size, obj.dtype, obj.shape, order), obj
            self.size += -(-obj.nbytes // ALIGNMENT) * ALIGNMENT
        return self.arrays[id(obj)][0]


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: IO[bytes], segment: SharedMemory) -> None:
        super().__init__(file)
        self._segment = segment
        self._arrays: dict[int, np.ndarray] = {}

    def persistent_load(self, place: Place) -> np.ndarray:
        if place[0] not in self._arrays:
            self._arrays[place[0]] = _view(self._segment, *place).copy(order="K")
        return self._arrays[place[0]]


def _view(
    segment: SharedMemory, offset: int, dtype: np.dtype[Any], shape: tuple[int, ...], order: str
) -> np.ndarray:
    return np.ndarray(shape, dtype, buffer=segment.buf, offset=offset, order="F" if order == "F" else "C")


def _create(name: str, size: int, arrays: Iterable[tuple[Place, np.ndarray]]) -> SharedMemory:
    segment = SharedMemory(name, create=True, size=size)
    try:
        _fill(segment, arrays)
    except OSError:
        segment.close()
        _unlink(segment)
        raise
    return segment


def _fill(segment: SharedMemory, arrays: Iterable[tuple[Place, np.ndarray]]) -> None:
    if sys.platform == "linux":
        # In a full /dev/shm a write fails, where touching mapped memory would end this process with SIGBUS.
        # It is also 1.5 times as fast.
        with Path("/dev/shm", segment.name).open("r+b") as file:
            for (offset, _, _, order), array in arrays:
                file.seek(offset)
                file.write(np.ravel(array, order="F" if order == "F" else "C").view(np.uint8).data)
    else:
        for place, array in arrays:
            np.copyto(_view(segment, *place), array)


def _attach(name: str) -> SharedMemory:
    if sys.version_info >= (3, 13):
        return SharedMemory(name, track=False)
    else:  # noqa: RET505 - so that a type checker sees one branch only
        segment = SharedMemory(name)
        if sys.platform != "win32":
            # Before 3.13 attaching registers the segment too, and our tracker would remove it when we end.
            from multiprocessing import resource_tracker

            resource_tracker.unregister(f"/{name}", "shared_memory")
        return segment


def _unlink(segment: SharedMemory) -> None:
    if sys.platform != "win32":  # there a segment ends with its last handle
        from multiprocessing import resource_tracker

        # unlink() takes the name off the tracker's list, which complains when it is not there; it leaves it
        # there when the other side, or the tracker of a killed process, was faster.
        resource_tracker.register(f"/{segment.name}", "shared_memory")
        try:
            segment.unlink()
        except FileNotFoundError:
            resource_tracker.unregister(f"/{segment.name}", "shared_memory")


class Channel:
    """A connected, authenticated channel; any thread may send, one thread receives."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._sending = threading.Lock()

    def send(self, message: object) -> None:
        """Send a small message. Raises OSError when the other side is gone."""
        with self._sending:
            self._connection.send(message)

    def receive(self) -> Any:
        """Wait for the next message. Raises EOFError or OSError when the other side is gone."""
        return self._connection.recv()

    def close(self) -> None:
        """Close this side."""
        self._connection.close()


class Endpoint:
    """The address where one other process of the same user may connect, once, with the key."""

    def __init__(self) -> None:
        self.key = secrets.token_bytes(32)
        self._folder: str | None = None
        self._closed = False
        if sys.platform == "win32":
            self._listener = Listener(family="AF_PIPE", authkey=self.key)
        else:
            # mkdtemp makes it for this user only; its short name keeps within the limit of a socket's path.
            self._folder = tempfile.mkdtemp(prefix="unet-")
            self._listener = Listener(str(Path(self._folder, "s")), family="AF_UNIX", authkey=self.key)
        self.address = str(self._listener.address)

    def accept(self) -> Channel:
        """Wait for the process that knows the key, refuse others. Raises EOFError once closed."""
        try:
            while not self._closed:
                with suppress(AuthenticationError, EOFError, ConnectionError):
                    return Channel(self._listener.accept())
            raise EOFError("the endpoint was closed")
        finally:
            self._listener.close()
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)

    def close(self) -> None:
        """Stop accepting: wakes the thread that waits in `accept`, which then cleans up."""
        self._closed = True
        with suppress(OSError, EOFError):
            Client(self.address).close()


def connect(address: str, key: bytes) -> Channel:
    """Connect to an endpoint. Raises AuthenticationError for a wrong key, OSError when nobody is there."""
    return Channel(Client(address, authkey=key))
