"""Whole files on disk, old or new and never half of one, whatever happens in between.

Everything the project writes goes through `write`, `sync`, `truncate`, `replace` and `sync_folder`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import sys
import time
from collections.abc import Callable
from io import FileIO
from pathlib import Path

TEMPORARY = ".tmp"
"""Ending of a file that is not finished; what a crash left under it can be deleted."""

_REPLACE_ATTEMPTS = 20 if sys.platform == "win32" else 0
_UNSUPPORTED = {errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES}


def write_file(path: Path, data: bytes) -> None:
    """Write a whole file: after a crash or an OSError at any point, `path` has its old or its new content.

    When this returns, the new content is on the disk itself. The folder must exist.
    """
    _write_and_place(path, data, replace)


def create_file(path: Path, data: bytes) -> None:
    """Write a whole new file as `write_file` does; FileExistsError where there is one of that name."""
    _write_and_place(path, data, move)


def _write_and_place(path: Path, data: bytes, place: Callable[[Path, Path], None]) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY}")
    try:
        with FileIO(temporary, "x") as stream:
            write(stream, data)
            sync(stream)
        place(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write(stream: FileIO, data: bytes) -> None:
    """Write all of `data` to an unbuffered file at its position."""
    view = memoryview(data)
    while view:
        view = view[stream.write(view) :]


def sync(stream: FileIO) -> None:
    """Wait until what was written to the file is on the disk itself."""
    if sys.platform == "darwin":
        import fcntl

        # fsync on macOS leaves the data in the drive's own cache; not every file system knows the other.
        with contextlib.suppress(OSError):
            fcntl.fcntl(stream.fileno(), fcntl.F_FULLFSYNC)
            return
    os.fsync(stream.fileno())


def truncate(stream: FileIO, size: int) -> None:
    """Cut a file to `size` bytes and go to its end."""
    stream.truncate(size)
    stream.seek(size)


def replace(source: Path, target: Path) -> None:
    """Rename `source` to `target` in one step, over whatever is there."""
    for _ in range(_REPLACE_ATTEMPTS):
        try:
            source.replace(target)
        except PermissionError:
            time.sleep(0.05)  # a virus scanner, or a window that reads it, holds the file for a moment
        else:
            return
    source.replace(target)


def move(source: Path, target: Path) -> None:
    """Rename `source` to `target` in one step; FileExistsError where there is another file of that name."""
    if sys.platform == "win32" or (target.exists() and target.samefile(source)):
        source.rename(target)
        return
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in {*_UNSUPPORTED, errno.EPERM, errno.EOPNOTSUPP}:
            raise
        if target.exists():  # as good as it gets on a drive without hard links
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error
        source.rename(target)
    else:
        source.unlink()


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder (new, renamed, deleted files) are on the disk itself.

    Windows has no such call and needs none; file systems without it are passed over.
    """
    if sys.platform != "win32":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
        finally:
            os.close(handle)
