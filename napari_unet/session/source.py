"""An image as a window shows it: its array, lazy or not, and what the layer says about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unet.core.base import Index, InputError
from napari_unet.core.image import PlaneGrid, plan_planes
from napari_unet.store import Region


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Source:
    """An image as a window shows it.

    `id` is the window's own name for it. `data` is a numpy array or lazy; `axes` has one letter of TZCYXS
    per axis of it, or is None where only its file can say; `pixel_size` is in µm. `region` says what it was
    cut from.
    """

    id: str
    name: str
    data: Any
    axes: str | None = None
    rgb: bool = False
    path: str | None = None
    pixel_size: float | None = None
    region: Region | None = None

    @property
    def is_lazy(self) -> bool:
        """Whether the pixels are read when they are used."""
        return not isinstance(self.data, np.ndarray) or isinstance(self.data, np.memmap)

    def is_same(self, other: Source) -> bool:
        """Whether both are the same array of the same layer."""
        return self.id == other.id and self.data is other.data

    def plan(self, axes: str) -> PlaneGrid:
        """Return the planes of the image if its axes are `axes`; InputError where they cannot be.

        A window shows rows and columns last, behind them only the colours that it shows as such.
        """
        grid = plan_planes(tuple(self.data.shape), axes)
        if self.rgb and not grid.axes.endswith("YXS"):
            raise InputError(f"Axes '{grid.axes}' do not end with YXS: the last axis is shown as colours.")
        if "S" in grid.axes and not self.rgb:
            raise InputError(f"Axes '{grid.axes}' name RGB samples, which are not shown as colours: use C.")
        if not self.rgb and not grid.axes.endswith("YX"):
            raise InputError(f"Axes '{grid.axes}' do not end with YX: rows and columns are shown last.")
        return grid


def name_axes(ndim: int, *, rgb: bool) -> str:
    """Return axes for an image whose axes have no names: Z for the one with a slider, T and Z for two."""
    tail = "YXS" if rgb else "YX"
    leading = ndim - len(tail)
    if leading not in (0, 1, 2, 3):
        raise InputError(
            f"An image with {ndim} axes cannot be segmented: choose one with rows, columns, and at most "
            "time, channels and depth."
        )
    return ("", "Z", "TZ", "TCZ")[leading] + tail


def read_plane(data: Any, axes: str, plane: Index) -> npt.NDArray[Any]:
    """Return one plane of an image, all its channels, as a numpy array."""
    steps = iter(plane)
    return np.asarray(data[tuple(next(steps) if axis in "TZ" else slice(None) for axis in axes)])
