"""Cells as shapes, one for each cell and plane: what every file format of outlines has in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unet.core.base.arrays import Labels
from napari_unet.core.base.errors import InputError
from napari_unet.core.cells.polygons import fill_rings, trace_polygons
from napari_unet.core.image.axes import Place, default_axes, iterate_planes

Polygons = Sequence[Sequence[npt.NDArray[Any]]]
"""Polygons as lists of rings, each of corners (n, 2) as x, y."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What one cell covers of one plane.

    `label` is None where a file gives no number; `place` leaves out the axes along which the shape lies in
    every plane. A pixel is covered where its centre lies inside an odd number of a polygon's rings.
    """

    label: int | None
    place: Place
    polygons: Polygons


def trace_shapes(labels: Labels, axes: str) -> Iterator[Shape]:
    """Return the shapes of a label image, plane by plane, by ascending id."""
    for place, plane in iterate_planes(labels, axes):
        for label, polygons in trace_polygons(plane).items():
            yield Shape(label, place, polygons)


def draw_shapes(shapes: Sequence[Shape], shape: tuple[int, ...], axes: str | None = None) -> Labels:
    """Return the label image (int32) of `shape`; the later of two shapes covers the earlier.

    Shapes without a label get the numbers that are free, in their order. Raises InputError for a shape whose
    place is not in the stack.
    """
    labels = np.zeros(shape, np.int32)
    planes = list(iterate_planes(labels, axes or default_axes(len(shape))))
    taken = {each.label for each in shapes}
    free = (number for number in count(1) if number not in taken)
    for each in shapes:
        number = next(free) if each.label is None else each.label
        there = [plane for place, plane in planes if _lies_in(each.place, place)]
        if not there:
            place = ", ".join(f"{axis} {index}" for axis, index in each.place.items())
            raise InputError(
                f"A cell lies at {place}, outside a stack of shape {shape}: give its image's shape."
            )
        for plane in there:
            for polygon in each.polygons:
                window, mask = fill_rings(polygon, plane.shape)
                plane[window][mask] = number
    return labels


def _lies_in(wanted: Place, place: Place) -> bool:
    """True if each wanted index is the plane's, which is the first along axes that it does not have."""
    return all(place.get(axis, 0) == index for axis, index in wanted.items())
