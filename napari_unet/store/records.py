"""An edit of a review, and the bytes it becomes in the journal."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np

from napari_unet.core.base import Box, InputError, Labels, Mask, as_labels, slices
from napari_unet.core.review import Review

_LABELS, _MARKED = 1, 2


@dataclass(frozen=True, slots=True)
class Edit:
    """New content of one box, (start, stop) per axis: `labels` int32 and `marked` bool of the box's shape.

    None leaves that array as it is. Raises InputError where shapes do not fit.
    """

    box: Box
    labels: Labels | None = None
    marked: Mask | None = None

    def __post_init__(self) -> None:
        shape = tuple(stop - start for start, stop in self.box)
        if self.labels is not None:
            object.__setattr__(self, "labels", as_labels(self.labels))
        for array in (self.labels, self.marked):
            if array is not None and array.shape != shape:
                raise InputError(
                    f"An edit of a box of {shape} cannot hold an array of {array.shape}: cut it first."
                )

    @classmethod
    def cut(cls, box: Box, *, labels: Labels | None = None, marked: Mask | None = None) -> Edit:
        """Return the edit that copies `box` out of whole arrays, which may be painted on at once."""
        return cls(
            box,
            None if labels is None else labels[slices(box)].copy(),
            None if marked is None else marked[slices(box)].copy(),
        )

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether the box lies within an array of `shape`."""
        return len(self.box) == len(shape) and all(
            0 <= start <= stop <= length for (start, stop), length in zip(self.box, shape, strict=True)
        )

    def apply(self, review: Review) -> None:
        """Write the box into `review`, in place."""
        if self.labels is not None:
            review.labels[slices(self.box)] = self.labels
        if self.marked is not None:
            review.marked[slices(self.box)] = self.marked


def encode(edit: Edit) -> bytes:
    """Return `edit` as bytes: flags, axes, the box, then the arrays' content compressed."""
    content = b""
    flags = 0
    if edit.labels is not None:
        flags |= _LABELS
        content += edit.labels.astype("<i4").tobytes()
    if edit.marked is not None:
        flags |= _MARKED
        content += np.packbits(edit.marked).tobytes()
    corners = [value for side in edit.box for value in side]
    return struct.pack(f"<BB{len(corners)}q", flags, len(edit.box), *corners) + zlib.compress(content, 1)


def decode(payload: bytes, shape: tuple[int, ...]) -> Edit:
    """Return the edit in what `encode` made; raises ValueError where it does not fit an array of `shape`."""
    if len(payload) < 2:
        raise ValueError("a record without a head")
    flags, ndim = payload[0], payload[1]
    if ndim != len(shape) or len(payload) < 2 + 16 * ndim:
        raise ValueError(f"an edit of {ndim} axes")
    corners = struct.unpack_from(f"<{2 * ndim}q", payload, 2)
    box = tuple(zip(corners[::2], corners[1::2], strict=True))
    if not Edit(box).fits(shape):
        raise ValueError(f"an edit at {box}")
    size = tuple(stop - start for start, stop in box)
    pixels = int(np.prod(size))
    label_bytes = 4 * pixels if flags & _LABELS else 0
    mark_bytes = (pixels + 7) // 8 if flags & _MARKED else 0
    content = _decompress(payload[2 + 16 * ndim :], label_bytes + mark_bytes)
    labels = marked = None
    if flags & _LABELS:
        labels = np.frombuffer(content, "<i4", pixels).reshape(size).astype(np.int32)
    if flags & _MARKED:
        bits = np.frombuffer(content, np.uint8, mark_bytes, label_bytes)
        marked = np.unpackbits(bits, count=pixels).reshape(size).astype(np.bool_)
    return Edit(box, labels, marked)


def _decompress(data: bytes, size: int) -> bytes:
    """Return exactly `size` bytes, never making more of `data` than that."""
    try:
        content = zlib.decompressobj().decompress(data, size + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if len(content) != size:
        raise ValueError(f"{len(content)} bytes where {size} were due")
    return content
