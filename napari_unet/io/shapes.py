"""Cells as shapes, one for each cell and plane: what every file format of outlines has in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from napari_unet.core.base import Labels
from napari_unet.core.cells import trace_polygons
from napari_unet.core.image import Place, iterate_planes

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
