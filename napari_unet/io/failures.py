"""What goes wrong while a file is read, as a sentence."""

from __future__ import annotations

import contextlib
import errno
import logging
from collections.abc import Iterator
from pathlib import Path

from napari_unet.core.base import InputError

logger = logging.getLogger("napari_unet")

_EXTRAS = {"dask": "zarr", "zarr": "zarr"}
"""Extra of this package that brings a package."""


@contextlib.contextmanager
def reading(path: Path, kind: str = "an image") -> Iterator[None]:
    """Turn whatever goes wrong while a file or folder is read into an InputError; `kind` is what it is to be.

    Decoders meet damaged files with whatever their arithmetic trips over (struct.error, zlib.error, KeyError,
    IndexError ...), so that every exception without a meaning of its own means the same here.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        logger.info("reading %s failed", path, exc_info=True)
        raise InputError(_explain(error, path, kind)) from error


def _explain(error: Exception, path: Path, kind: str) -> str:
    match error:
        case FileNotFoundError() if not path.exists():
            return f"{path} does not exist: check the name and the folder."
        case PermissionError():
            return f"{path.name} cannot be read: you lack the permission to open it."
        case MemoryError():
            return f"{path.name} does not fit into memory: open a part of it."
        case ImportError(name=str(module)):
            package = module.partition(".")[0]
            if package not in _EXTRAS:  # whose name on a package index may be a stranger's
                return f"{path.name} cannot be read, since {package} is missing: install napari-unet again."
            wanted = f"'napari-unet[{_EXTRAS[package]}]'"
            return f"{path.name} needs the package {package}: install it with pip install {wanted}."
        # A place before the start of a file is what damaged files ask for; other codes are the system's.
        case OSError(errno=int(code), strerror=reason) if code not in (errno.EINVAL, errno.ENOENT):
            return f"{path} cannot be read ({reason}): check the file and its drive."
    if "imagecodecs" in str(error):
        return f"{path.name} is compressed in a way that is not known here: save it with ZIP compression."
    return f"{path.name} is damaged, incomplete or not {kind}: copy or export it again."
