"""Corrected images cut down to what was reviewed of them, in pieces that are predicted one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.base import Labels, Mask
from napari_unet.core.learning.sampling import TrainingImage

SIDE = 640  # px, about the longest side of what is reviewed in a piece
MARGIN = 96  # px of surroundings, which the network sees


def cut_pieces(image: TrainingImage, *, side: int = SIDE, margin: int = MARGIN) -> list[TrainingImage]:
    """Return parts of an image that together hold every reviewed pixel once, with their surroundings.

    A reviewed cell goes wholly to the part of its centre. Pixels that were not reviewed decide nothing.
    """
    reviewed = image.reviewed
    if reviewed is None:
        reviewed = np.ones(image.labels.shape, bool)
    if not reviewed.any():
        return []
    box = _bound(reviewed, margin=0)
    parts = [-(-(span.stop - span.start) // side) for span in box]
    if parts == [1, 1]:
        return [_crop(image, reviewed, margin)]
    shape = reviewed[box].shape
    blocks = number_blocks(shape, *(-(-size // count) for size, count in zip(shape, parts, strict=True)))
    owner, _ = assign_cells(image.labels[box], blocks, reviewed[box])
    pieces = []
    for block in range(int(blocks.max()) + 1):
        mask = np.zeros_like(reviewed)
        mask[box] = reviewed[box] & (owner == block)
        if mask.any():
            pieces.append(_crop(image, mask, margin))
    return pieces


def number_blocks(shape: tuple[int, ...], height: int, width: int) -> NDArray[np.intp]:
    """Return the number of the block (height, width) that each pixel (Y, X) lies in."""
    rows, columns = np.arange(shape[0]) // height, np.arange(shape[1]) // width
    return rows[:, None] * (int(columns[-1]) + 1) + columns[None]


def assign_cells(
    labels: Labels, blocks: NDArray[np.intp], reviewed: Mask
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the block of each pixel (Y, X), the same all over a reviewed cell, and of each cell."""
    ids, index = np.unique(labels, return_inverse=True)
    index = index.reshape(labels.shape)
    weights = reviewed.ravel().astype(float)
    counts = np.bincount(index.ravel(), weights, len(ids))
    grid = np.indices(labels.shape).reshape(2, -1)
    with np.errstate(invalid="ignore", divide="ignore"):
        centres = [np.bincount(index.ravel(), weights * axis, len(ids)) / counts for axis in grid]
    seen = (counts > 0) & (ids > 0)
    rows, columns = (np.rint(centre[seen]).astype(np.intp) for centre in centres)
    home = np.full(len(ids), -1, np.intp)
    home[seen] = blocks[rows, columns]
    return np.where(home[index] >= 0, home[index], blocks), home[seen]


def _crop(image: TrainingImage, mask: Mask, margin: int) -> TrainingImage:
    box = _bound(mask, margin)
    return replace(image, image=image.image[box], labels=image.labels[box], reviewed=mask[box])


def _bound(mask: Mask, margin: int) -> tuple[slice, slice]:
    sides = []
    for axis, size in enumerate(mask.shape):
        there = np.flatnonzero(mask.any(axis=1 - axis))
        sides.append(slice(max(int(there[0]) - margin, 0), min(int(there[-1]) + 1 + margin, size)))
    return sides[0], sides[1]
