"""How much memory and disk it takes to segment a plane block by block."""

from __future__ import annotations

from dataclasses import dataclass

from napari_unet.core.base import NetworkParams
from napari_unet.core.image.blocks import Shape

_PROGRAM = 900 << 20  # Python, TensorFlow and the libraries, loaded
_WEIGHT = 8  # bytes: in two precisions, where the fast one is not float32
_FEATURE = 20  # bytes per pixel and filter of the top level: its maps that exist at the same time
_LABELLED = 64  # bytes per pixel of a block
_LINKED = 12  # bytes per pixel of all planes, while cells are linked from plane to plane
_CHUNKS = 4  # that one tile meets
_FLOAT, _LABEL = 4, 4


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes of memory at the peak, and of disk for what exists only during the run."""

    memory: int
    disk: int

    def describe(self) -> str:
        """Return the footprint in words, such as 'needs about 2.1 GB of memory and 4.8 GB of disk'."""
        return f"needs about {self.memory / 1e9:.1f} GB of memory and {self.disk / 1e9:.1f} GB of disk"


def estimate_footprint(
    shape: Shape,
    seen: Shape,
    network: NetworkParams,
    maps: int,
    *,
    tile: Shape,
    block: int,
    depth: bool = False,
    chunk: int = 0,
    planes: int = 1,
) -> Footprint:
    """Estimate what ``planes`` of ``shape`` (Y, X) take, one after the other, in blocks of ``block`` px.

    The network sees a plane as one of shape ``seen``, in tiles of shape ``tile``. ``maps`` are kept of the
    network's maps; ``depth`` tells whether the depth of cells is kept besides. ``chunk`` is how many bytes of
    the image have to be read at a time.
    """
    tiled = tile[0] * tile[1] * network.level_filters[0] * _FEATURE
    labelled = min(block, shape[0]) * min(block, shape[1]) * (_LABELLED + _FLOAT * maps)
    linked = planes * shape[0] * shape[1] * _LINKED if planes > 1 else 0
    memory = _PROGRAM + _CHUNKS * chunk + network.count_parameters() * _WEIGHT + max(tiled, labelled, linked)
    pixels = shape[0] * shape[1]
    disk = seen[0] * seen[1] * maps * _FLOAT + pixels * (_LABEL + 8 * depth)
    return Footprint(memory, disk)
