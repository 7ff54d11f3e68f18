"""Corrections set aside: which teach, which prove, and how a prediction does on those that prove."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.metrics import Scores, evaluate

Labels = NDArray[np.int32]
Mask = NDArray[np.bool_]

_BLOCK_CELLS = 2.0
_SMALLEST_BLOCK = 32
FEWEST_CELLS = 4


def split_corrections(
    labels: Sequence[Labels], reviewed: Sequence[Mask], *, held_out: float, cell_size: float, seed: int
) -> tuple[list[Mask], list[Mask]]:
    """Split reviewed pixels into those that teach and those that prove; one mask (Y, X) each per image.

    The image is cut into blocks about two cells (``cell_size``, px) wide; blocks are put aside at random
    until they hold the share ``held_out`` of the reviewed cells. A cell goes wholly to the side of its
    centre. With fewer than 4 reviewed cells or 2 blocks nothing is put aside: the proving masks are empty.
    """
    side = max(int(_BLOCK_CELLS * cell_size), _SMALLEST_BLOCK)
    blocks = [_number_blocks(image.shape, side) for image in labels]
    offset = np.cumsum([0, *(int(b.max()) + 1 for b in blocks)])
    blocks = [b + first for b, first in zip(blocks, offset, strict=False)]
    owners = [
        _assign_cells(image, block, mask) for image, block, mask in zip(labels, blocks, reviewed, strict=True)
    ]
    cells = np.concatenate([cell_blocks for _, cell_blocks in owners])
    if len(cells) < FEWEST_CELLS:
        return list(reviewed), [np.zeros_like(mask) for mask in reviewed]
    proving = _choose_blocks(cells, int(offset[-1]), max(1, round(held_out * len(cells))), seed)
    prove = [mask & proving[owner] for mask, (owner, _) in zip(reviewed, owners, strict=True)]
    learn = [mask & ~aside for mask, aside in zip(reviewed, prove, strict=True)]
    if not any(mask.any() for mask in learn):
        return list(reviewed), [np.zeros_like(mask) for mask in reviewed]
    return learn, prove


def _number_blocks(shape: tuple[int, ...], side: int) -> NDArray[np.intp]:
    rows, columns = (np.arange(size) // side for size in shape)
    return rows[:, None] * (int(columns[-1]) + 1) + columns[None]


def _assign_cells(
    labels: Labels, blocks: NDArray[np.intp], reviewed: Mask
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the block of each pixel (Y, X), the same all over a cell, and of each reviewed cell."""
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


def _choose_blocks(cells: NDArray[np.intp], blocks: int, wanted: int, seed: int) -> Mask:
    per_block = np.bincount(cells, minlength=blocks)
    filled = np.random.default_rng(seed).permutation(np.flatnonzero(per_block))
    chosen = np.zeros(blocks, bool)
    held = 0
    for block in filled[:-1]:
        if held >= wanted:
            break
        if held and held + per_block[block] > 2 * wanted:
            continue
        chosen[block] = True
        held += per_block[block]
    return chosen


def score_reviewed(
    predictions: Sequence[Labels], labels: Sequence[Labels], reviewed: Sequence[Mask]
) -> Scores | None:
    """Score predictions on reviewed pixels only; None if no true cell lies there.

    A predicted cell that lies mostly outside counts only if it meets a true cell inside.
    """
    truths = [np.where(mask, image, 0) for image, mask in zip(labels, reviewed, strict=True)]
    if not any(truth.any() for truth in truths):
        return None
    seen = [
        _restrict(prediction, truth, mask)
        for prediction, truth, mask in zip(predictions, truths, reviewed, strict=True)
    ]
    return evaluate(seen, truths)


def _restrict(prediction: Labels, truth: Labels, mask: Mask) -> Labels:
    inside = np.where(mask, prediction, 0)
    whole = np.bincount(prediction.ravel())
    seen = np.bincount(inside.ravel(), minlength=len(whole))
    meets = np.bincount(inside[truth > 0], minlength=len(whole)) > 0
    keep = (2 * seen >= whole) | meets
    return np.where(keep[inside], inside, 0).astype(np.int32)
