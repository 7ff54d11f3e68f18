"""Outlines that another program drew, as a label image: where they overlap, the smaller cell is on top."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import numpy as np

from napari_unet.core.base import InputError, Labels
from napari_unet.core.cells import fill_rings
from napari_unet.core.image import Place, iterate_planes
from napari_unet.io import Polygons, Shape
from napari_unet.io.labels.target import Target

LARGEST = int(np.iinfo(np.int32).max)
_FEWEST = 5  # outlines from which on their places say in which unit they are
_CHANCE = 1e-3  # that so many outlines lie in a corner by chance
_SPREAD = 0.75  # share of the image's size in µm that outlines in µm reach at least


def draw_shapes(shapes: Sequence[Shape], target: Target, name: str) -> tuple[Labels, list[str]]:
    """Return the label image (int32) of `target` and what had to be decided, in sentences.

    Shapes without a label get the numbers that are free, in their order. A pixel in several cells goes to the
    smallest of them. `name` is the file's. Raises InputError for shapes that are not of this image.
    """
    _check_numbers(shapes, name)
    _check_places(shapes, target, name)
    labels = np.zeros(target.shape, np.int32)
    planes = list(iterate_planes(labels, target.axes))
    taken = {shape.label for shape in shapes}
    free = (number for number in count(1) if number not in taken)
    numbered = [(next(free) if shape.label is None else shape.label, shape) for shape in shapes]
    overlapping: set[int] = set()
    shared = 0
    for number, shape in sorted(numbered, key=lambda pair: -measure_area(pair[1].polygons)):
        there = [plane for place, plane in planes if _lies_in(shape.place, place)]
        if not there:
            raise InputError(
                f"{name} has cells in frames or planes that this image ({target.describe()}) does not have: "
                "open the image that they were drawn on."
            )
        for plane in there:
            for polygon in shape.polygons:
                window, mask = fill_rings(polygon, plane.shape)
                under = plane[window][mask]
                under = under[(under != 0) & (under != number)]
                shared += under.size
                overlapping |= {number, *np.unique(under).tolist()} if under.size else set()
                plane[window][mask] = number
    return labels, _describe(labels, {number for number, _ in numbered}, len(overlapping), shared)


def measure_area(polygons: Polygons) -> float:
    """Return the area of polygons whose holes run the other way round than their outer rings."""
    areas = []
    for polygon in polygons:
        rings = [abs(_sign_area(np.asarray(ring, np.float64))) for ring in polygon]
        areas.append(2 * max(rings) - sum(rings) if rings else 0.0)
    return float(sum(areas))


def _sign_area(ring: np.ndarray) -> float:
    x, y = ring.T
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2


def _describe(labels: Labels, numbers: set[int], overlapping: int, shared: int) -> list[str]:
    lost = len(numbers - set(np.unique(labels).tolist()))
    notes = []
    if shared:
        notes.append(f"{overlapping} cells overlap: the smaller one keeps the {shared} px that they share.")
    if lost:
        have = (
            "cell covers no pixel of its own and is"
            if lost == 1
            else "cells cover no pixel of their own and are"
        )
        notes.append(f"{lost} {have} left out.")
    return notes


def _check_numbers(shapes: Sequence[Shape], name: str) -> None:
    largest = max((shape.label or 0 for shape in shapes), default=0)
    if largest > LARGEST:
        raise InputError(f"{name} has a cell with the number {largest}, above {LARGEST}: renumber its cells.")


def _check_places(shapes: Sequence[Shape], target: Target, name: str) -> None:
    """Raise InputError where outlines lie beside the image, or in the corner that µm would put them in."""
    if not shapes:
        return
    boxes = np.array([_bound(shape) for shape in shapes])  # first and last x, first and last y
    if not np.isfinite(boxes).all():
        raise InputError(f"{name} has outlines without a place: export it again.")
    height, width = target.plane
    size, reach = np.array([width, height]), boxes[:, 1::2].max(0)
    first, last = boxes[:, ::2], boxes[:, 1::2]
    inside = np.minimum(last, size) - np.maximum(first, 0)
    outside = ((inside <= 0) | (2 * inside < last - first)).any(1)
    length = target.pixel_size or 1.0
    in_micrometres = bool((boxes[:, ::2] >= -length).all() and (reach <= size * length * 1.01).all())
    if outside.any():
        hint = ", or export them in pixels, not in µm" if length > 1 and in_micrometres else ""
        raise InputError(
            f"{name} has {np.count_nonzero(outside)} of {len(shapes)} outlines outside this image "
            f"({target.describe()}): open the image that they were drawn on{hint}."
        )
    by_chance = min(length, 1.0) ** (2 * len(shapes)) < _CHANCE
    spread = (reach >= _SPREAD * size * length).all()
    if in_micrometres and by_chance and spread and len(shapes) >= _FEWEST:
        raise InputError(
            f"The outlines in {name} seem to be in µm: all of them lie in the first {width * length:.0f} x "
            f"{height * length:.0f} px of the image. Export them in pixels."
        )


def _bound(shape: Shape) -> tuple[float, float, float, float]:
    corners = np.concatenate([np.asarray(ring, np.float64) for polygon in shape.polygons for ring in polygon])
    (left, top), (right, bottom) = corners.min(0), corners.max(0)
    return left, right, top, bottom


def _lies_in(wanted: Place, place: Place) -> bool:
    """True if each wanted index is the plane's, which is the first along axes that it does not have."""
    return all(place.get(axis, 0) == index for axis, index in wanted.items())
