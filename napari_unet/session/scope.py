"""What of an image is segmented: all, planes or a view. What the worker is asked for, what becomes of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_unet.core.base import Index, PlaneBox, SegmentParams, slices
from napari_unet.core.image import PlaneGrid, within
from napari_unet.core.review import Doubts, Review, find_reaching, merge_doubts, merge_labels, merge_view
from napari_unet.jobs import SegmentRequest, SegmentResult, ViewRequest, ViewResult

if TYPE_CHECKING:
    from napari_unet.session.image import OpenImage


@dataclass(frozen=True, slots=True)
class Planes:
    """Planes of an image, which are segmented and linked together; None for all of them."""

    indices: tuple[Index, ...] | None = None

    def request(self, image: OpenImage, params: SegmentParams) -> SegmentRequest:
        """Return what the worker is asked for; reads the pixels."""
        pixels, axes = image.read_planes(self.indices)
        return SegmentRequest(image=pixels, params=params.model_copy(update={"axes": axes}))

    def list_planes(self, grid: PlaneGrid) -> list[Index]:
        """Return the planes, in the order of the result."""
        return list(grid.indices() if self.indices is None else self.indices)

    def merge(self, grid: PlaneGrid, review: Review | None, result: SegmentResult) -> Review:
        """Return the review with the job's labels."""
        return merge_labels(grid, review, result.labels, self.indices)

    def describe(self, cells: int, result: SegmentResult) -> str:
        """Say what was done, where the image has so many cells now."""
        return _join(f"{cells} cell{'s' * (cells != 1)} found in {result.seconds:.1f} s.", result)

    def merge_doubts(self, grid: PlaneGrid, known: Doubts | None, result: SegmentResult) -> Doubts | None:
        """Return the network's doubts after the job."""
        return merge_doubts(grid, known, result.doubts, self.indices)


@dataclass(frozen=True, slots=True)
class View:
    """A box (rows, columns) of one plane; the labels elsewhere stay."""

    plane: Index
    box: PlaneBox

    def request(self, image: OpenImage, params: SegmentParams) -> ViewRequest:
        """Return what the worker is asked for; reads all pixels of the plane, for its brightness."""
        pixels, axes = image.read_planes([self.plane])
        scale = image.scales.get((params.model, params.channel, self.plane))
        asked = params.model_copy(update={"axes": axes})
        return ViewRequest(image=pixels, params=asked, box=self.box, scale=scale)

    def list_planes(self, grid: PlaneGrid) -> list[Index]:  # noqa: ARG002 - as of `Planes`
        """Return the plane."""
        return [self.plane]

    def merge(self, grid: PlaneGrid, review: Review | None, result: ViewResult) -> Review:
        """Return the review with the job's labels in the box."""
        return merge_view(grid, review, result.labels, self.plane, self.box, result.window)

    def describe(self, cells: int, result: ViewResult) -> str:
        """Say what was done, where the image has so many cells now."""
        seen = int(np.count_nonzero(np.unique(result.labels[within(self.box, result.window)])))
        found = f"{seen} cell{'s' * (seen != 1)} found in view in {result.seconds:.1f} s, {cells} in all."
        return _join(found, result)

    def merge_doubts(self, grid: PlaneGrid, known: Doubts | None, result: ViewResult) -> Doubts | None:
        """Return the doubts known, with those in the box and about cells that reach into it replaced."""
        number = int(np.ravel_multi_index(self.plane, grid.stack_shape)) if self.plane else 0
        replaced = np.zeros(grid.label_shape[-2:], np.bool_)
        inner = within(self.box, result.window)
        replaced[slices(result.window)] = find_reaching(result.labels, inner)
        parts = []
        if known is not None:
            plane, *at = known.points.T
            parts.append(known.select((plane != number) | ~replaced[tuple(at)]))
        if (new := result.doubts) is not None:
            parts.append(new.move([number]).select(replaced[tuple(new.points[:, 1:].T)]))
        return Doubts.join(parts)


Scope = Planes | View
WHOLE = Planes()
"""The whole image."""


def add_planes(known: Planes | None, scope: Scope, grid: PlaneGrid) -> Planes | None:
    """Return which planes have been segmented, as a whole or one by one, after `scope` has been, too."""
    if isinstance(scope, View):
        return known
    if scope.indices is None or known == WHOLE:
        return WHOLE
    indices = {*scope.indices, *(known.indices or () if known else ())}
    return WHOLE if len(indices) == math.prod(grid.stack_shape) else Planes(tuple(sorted(indices)))


def _join(said: str, result: SegmentResult) -> str:
    return " ".join([said, *result.notes])
