"""What of an image is segmented, planes or what is seen of one: the job for it, and what becomes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.core.base import Index, PlaneBox, slices
from napari_unet.core.image import PlaneGrid, within
from napari_unet.core.review import Doubts, Review, find_reaching, merge_doubts, merge_labels, merge_view

if TYPE_CHECKING:
    from napari_unet.session.image import OpenImage

Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Planes:
    """Some planes of an image, None for all of them."""

    indices: Sequence[Index] | None = None

    @property
    def job(self) -> str:
        """The worker's job."""
        return "segment"

    def order(self, image: OpenImage, model: str) -> dict[str, Any]:
        """Return what the job has to be told beside what all are; reads the pixels."""
        pixels, axes = image.read_planes(self.indices)
        return {"image": pixels, "axes": axes, "model": model}

    def list_planes(self, grid: PlaneGrid) -> list[Index]:
        """Return the planes, in the order of the result."""
        return list(grid.indices() if self.indices is None else self.indices)

    def merge(self, grid: PlaneGrid, review: Review | None, result: Result) -> Review:
        """Return the review with the job's labels."""
        return merge_labels(grid, review, result["labels"], self.indices)

    def describe(self, cells: int, result: Result) -> str:
        """Say what was done, where the image has so many cells now."""
        return _join(f"{cells} cell{'s' * (cells != 1)} found in {result['seconds']:.1f} s.", result)

    def merge_doubts(self, grid: PlaneGrid, known: Doubts | None, result: Result) -> Doubts | None:
        """Return the network's doubts after the job."""
        return merge_doubts(grid, known, result.get("doubts"), self.indices)


@dataclass(frozen=True, slots=True)
class View:
    """A box (rows, columns) of one plane; the labels elsewhere stay."""

    plane: Index
    box: PlaneBox

    @property
    def job(self) -> str:
        """The worker's job."""
        return "segment_view"

    def order(self, image: OpenImage, model: str) -> dict[str, Any]:
        """Return what the job has to be told beside what all are: all pixels, for the plane's brightness."""
        pixels, axes = image.read_planes([self.plane])
        scale = image.scales.get((model, image.channel, self.plane))
        return {"image": pixels, "axes": axes, "model": model, "box": self.box, "scale": scale}

    def list_planes(self, grid: PlaneGrid) -> list[Index]:  # noqa: ARG002 - as of `Planes`
        """Return the plane."""
        return [self.plane]

    def merge(self, grid: PlaneGrid, review: Review | None, result: Result) -> Review:
        """Return the review with the job's labels in the box."""
        return merge_view(grid, review, result["labels"], self.plane, self.box, result["window"])

    def describe(self, cells: int, result: Result) -> str:
        """Say what was done, where the image has so many cells now."""
        seen = int(np.count_nonzero(np.unique(result["labels"][within(self.box, result["window"])])))
        found = f"{seen} cell{'s' * (seen != 1)} found in view in {result['seconds']:.1f} s, {cells} in all."
        return _join(found, result)

    def merge_doubts(self, grid: PlaneGrid, known: Doubts | None, result: Result) -> Doubts | None:
        """Return the doubts known, with those in the box and about cells that reach into it replaced."""
        number = int(np.ravel_multi_index(self.plane, grid.stack_shape)) if self.plane else 0
        replaced = np.zeros(grid.label_shape[-2:], np.bool_)
        inner = within(self.box, result["window"])
        replaced[slices(result["window"])] = find_reaching(result["labels"], inner)
        parts = []
        if known is not None:
            plane, *at = known.points.T
            parts.append(known.select((plane != number) | ~replaced[tuple(at)]))
        if (new := result.get("doubts")) is not None:
            parts.append(new.move([number]).select(replaced[tuple(new.points[:, 1:].T)]))
        return Doubts.join(parts)


Part = Planes | View


def _join(said: str, result: Result) -> str:
    return " ".join([said, *result.get("notes", ())])
