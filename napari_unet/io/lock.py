"""A lock on a folder that the operating system lets go of when its process ends, however it ends."""

from __future__ import annotations

import errno
import logging
import os
import sys
from pathlib import Path

logger = logging.getLogger(__name__)

if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

    def _unlock(handle: int) -> None:
        os.lseek(handle, 0, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_UN)


_HELD_BY_ANOTHER = {errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK}


class HeldError(Exception):
    """Another holder has the lock: another process, or another FolderLock of this one."""


class FolderLock:
    """An exclusive lock on `folder`, kept by a small file in it that is never deleted."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock"
        self._handle: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._handle is not None

    def acquire(self) -> None:
        """Take the lock or raise HeldError at once; OSError where the folder cannot be written.

        File systems without locks (some network drives) are trusted to have one user.
        """
        if self.held:
            raise HeldError(str(self._path))
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(handle)
        except OSError as error:
            if error.errno in _HELD_BY_ANOTHER:
                os.close(handle)
                raise HeldError(str(self._path)) from error
            logger.warning("no file locks in %s: %s", self._path.parent, error)
        self._handle = handle

    def release(self) -> None:
        """Let go of the lock; nothing happens where it is not held."""
        if self._handle is None:
            return
        handle, self._handle = self._handle, None
        try:
            # Closing is not enough: a child forked by some other plugin may have inherited the handle.
            _unlock(handle)
        except OSError as error:
            logger.warning("the lock in %s was lost: %s", self._path.parent, error)
        finally:
            os.close(handle)
