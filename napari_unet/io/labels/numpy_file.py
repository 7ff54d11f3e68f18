"""NumPy files: a plain array of labels, or what Cellpose saves as `_seg.npy`, read without running anything.

Cellpose saves a dictionary, which NumPy writes as a pickle; a pickle may name any function to be called on
loading. Here it may name only what makes an array, and even that is not called: stand-ins keep what it was
called with, and an array is made of it afterwards, of plain numbers alone.
"""

from __future__ import annotations

import io
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from napari_unet.core.base import InputError
from napari_unet.io import reading

KIND = "a NumPy file"
_MASKS = "masks"
_PLAIN = re.compile(r"[biuf][1248]")


def read_npy(path: Path) -> tuple[NDArray[Any], str]:
    """Return the array of labels in a `.npy` file, of any number type, and what kind of file it is.

    Raises InputError for a file that is missing, damaged, holds anything but arrays, numbers and texts, or
    has no masks.
    """
    with reading(path, KIND):
        content = path.read_bytes()
        stream = io.BytesIO(content)
        major, _ = npy.read_magic(stream)
        read_header = npy.read_array_header_1_0 if major == 1 else npy.read_array_header_2_0
        _, _, dtype = read_header(stream)
        if not dtype.hasobject:
            return np.load(io.BytesIO(content), allow_pickle=False), "label image"
        return _find_masks(path, _Unpickler(stream, path.name).load()), "Cellpose"


def _find_masks(path: Path, saved: Any) -> NDArray[Any]:
    """Return the masks in what Cellpose saved: a dictionary in an array without axes."""
    items = saved.content if isinstance(saved, _Array) else None
    dictionary = items[0] if isinstance(items, list) and len(items) == 1 else None
    masks = dictionary.get(_MASKS) if isinstance(dictionary, dict) else None
    if not isinstance(masks, _Array):
        raise InputError(f"{path.name} has no masks in it: save the masks in Cellpose with Ctrl-S first.")
    return masks.build()


class _Dtype:
    """Stands in for a type of numbers: its code such as u2, and the order of its bytes."""

    def __init__(self, code: str, *_: object) -> None:
        self.code = code
        self.order = "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1]

    def build(self) -> np.dtype[Any]:
        """Return the type; InputError where it is not plain."""
        if not (
            isinstance(self.code, str) and _PLAIN.fullmatch(self.code) and self.order in ("<", ">", "|", "=")
        ):
            raise ValueError(f"{self.code!r} is no type of numbers")
        return np.dtype(self.code if self.order == "|" else f"{self.order}{self.code}")


class _Array:
    """Stands in for an array: its shape, type and bytes, or a list of what an array of objects holds."""

    def __init__(self, *_: object) -> None:
        self.content: Any = b""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, self.shape, self.dtype, self.columns_first, self.content = state

    def build(self) -> NDArray[Any]:
        """Return the array; ValueError or TypeError where it is not one of plain numbers."""
        if not (isinstance(self.content, bytes) and isinstance(self.dtype, _Dtype)):
            raise TypeError("masks are no array of numbers")
        flat = np.frombuffer(self.content, self.dtype.build())
        return flat.reshape(self.shape, order="F" if self.columns_first else "C")


class _Ignored:
    """Stands in for a single number."""

    def __init__(self, *_: object) -> None:
        pass


_STAND_INS: dict[tuple[str, str], type] = {
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Array for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _Ignored for core in ("core", "_core")},
    ("numpy", "ndarray"): _Ignored,
    ("numpy", "dtype"): _Dtype,
}


class _Unpickler(pickle.Unpickler):
    """Reads what plain arrays, numbers, texts, lists and dictionaries are written as, and nothing else."""

    def __init__(self, stream: io.BytesIO, name: str) -> None:
        super().__init__(stream)
        self._name = name

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in for a name; InputError for one that a file of arrays does not need."""
        stand_in = _STAND_INS.get((module, name))
        if stand_in is None:
            raise InputError(
                f"{self._name} is not opened, since it holds more than arrays and numbers ({module}.{name}): "
                "save the masks as PNG or TIFF instead."
            )
        return stand_in
