"""Images as cameras and drawing programs write them: PNG, JPEG, BMP, GIF and WebP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import psutil
from numpy.typing import NDArray
from PIL import Image, ImageOps

from napari_unet.core.base import InputError

_PNG = b"\x89PNG\r\n\x1a\n"
_COLOURS = {"P": "RGB", "LA": "RGBA", "PA": "RGBA", "La": "RGBA", "CMYK": "RGB", "YCbCr": "RGB", "HSV": "RGB"}
_SIZE_CHECK = threading.Lock()


def read_photo(path: Path) -> tuple[NDArray[Any], str]:
    """Return the pixels, as they are to be seen, and the axes, YX or YXS.

    Palettes become colours, grey with transparency becomes RGBA, and a camera's note how it was held is
    obeyed. Of several frames the first is read. Raises whatever decoders raise, and InputError for an image
    that does not fit into memory.
    """
    with _open(path) as photo:
        if _holds_deep_colours(path):
            pixels = imagecodecs.png_decode(path.read_bytes())
            if pixels.shape[-1] == 2:
                pixels = pixels[..., [0, 0, 0, 1]]
        else:
            turned = ImageOps.exif_transpose(photo)
            pixels = np.asarray(turned.convert(_plain_mode(photo)))
    return pixels, "YXS"[: pixels.ndim]


def read_palette(path: Path) -> NDArray[np.uint8] | None:
    """Return the indices (Y, X) of an image with a palette; None for other images."""
    with _open(path) as photo:
        return np.asarray(photo) if photo.mode == "P" else None


def name_axes(path: Path) -> str:
    """Return the axes that `read_photo` would, without reading pixels."""
    with _open(path) as photo:
        return "YXS" if _holds_deep_colours(path) or _plain_mode(photo) in ("RGB", "RGBA") else "YX"


@contextmanager
def _open(path: Path) -> Iterator[Image.Image]:
    with _SIZE_CHECK:  # Pillow takes large images for attacks; its limit is a global of the whole process
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            photo = Image.open(path)
        finally:
            Image.MAX_IMAGE_PIXELS = limit
    with photo:
        needed = photo.width * photo.height * 8
        if needed > psutil.virtual_memory().available:
            raise InputError(
                f"{path.name} says that it is {photo.width} x {photo.height} pixels, which do not fit into "
                "memory: save it as a tiled TIFF or as OME-Zarr."
            )
        yield photo


def _holds_deep_colours(path: Path) -> bool:
    """Whether a file is a PNG of 16 bits with colours or transparency, of which Pillow keeps 8."""
    with path.open("rb") as file:
        start = file.read(26)
    return len(start) == 26 and start.startswith(_PNG) and start[24] == 16 and start[25] != 0


def _plain_mode(photo: Image.Image) -> str:
    """Return the mode that keeps every value of the photo as grey or colour."""
    if photo.mode == "P" and "transparency" in photo.info:
        return "RGBA"
    return _COLOURS.get(photo.mode, photo.mode)
