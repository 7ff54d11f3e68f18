"""Corrections set aside: which teach, which prove, and how a prediction does on those that prove."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.base import Labels, Mask
from napari_unet.core.cells import Scores, evaluate
from napari_unet.core.learning.pieces import assign_cells, number_blocks

_BLOCK_CELLS = 2.0
_SMALLEST_BLOCK = 32
FEWEST_CELLS = 4
_LEEWAY = 0.5  # held-out cells, that the new model may do worse on: chance alone does as much


class Verdict(StrEnum):
    """How a new model does beside the old one on held-out corrections."""

    BETTER = "better"
    AS_GOOD = "as good"
    WORSE = "worse"
    UNCHANGED = "unchanged"
    UNTESTED = "untested"

    @property
    def is_proven(self) -> bool:
        """Whether the new model should take the place of the old one."""
        return self in (Verdict.BETTER, Verdict.AS_GOOD)


def split_corrections(
    labels: Sequence[Labels],
    reviewed: Sequence[Mask],
    *,
    held_out: float,
    cell_size: float,
    seed: int,
    eligible: Collection[int] | None = None,
) -> tuple[list[Mask], list[Mask]]:
    """Split reviewed pixels into those that teach and those that prove; one mask (Y, X) each per image.

    The image is cut into blocks about two cells (``cell_size``, px) wide; blocks are put aside at random
    until they hold the share ``held_out`` of the reviewed cells, if given only in the images numbered in
    ``eligible``. A cell goes wholly to the side of its centre. With fewer than 4 reviewed cells or 2 blocks
    nothing is put aside: the proving masks are empty.
    """
    side = max(int(_BLOCK_CELLS * cell_size), _SMALLEST_BLOCK)
    blocks = [number_blocks(image.shape, side, side) for image in labels]
    offset = np.cumsum([0, *(int(b.max()) + 1 for b in blocks)])
    blocks = [b + first for b, first in zip(blocks, offset, strict=False)]
    owners = [
        assign_cells(image, block, mask) for image, block, mask in zip(labels, blocks, reviewed, strict=True)
    ]
    cells = np.concatenate([cell_blocks for _, cell_blocks in owners])
    if len(cells) < FEWEST_CELLS:
        return list(reviewed), [np.zeros_like(mask) for mask in reviewed]
    may_prove = np.zeros(int(offset[-1]), bool)
    for number in range(len(labels)) if eligible is None else eligible:
        may_prove[offset[number] : offset[number + 1]] = True
    proving = _choose_blocks(cells, may_prove, max(1, round(held_out * len(cells))), seed)
    prove = [mask & proving[owner] for mask, (owner, _) in zip(reviewed, owners, strict=True)]
    learn = [mask & ~aside for mask, aside in zip(reviewed, prove, strict=True)]
    if not any(mask.any() for mask in learn):
        return list(reviewed), [np.zeros_like(mask) for mask in reviewed]
    return learn, prove


def _choose_blocks(cells: NDArray[np.intp], may_prove: Mask, wanted: int, seed: int) -> Mask:
    per_block = np.bincount(cells, minlength=len(may_prove))
    filled = np.random.default_rng(seed).permutation(np.flatnonzero((per_block > 0) & may_prove))
    if not per_block[~may_prove].any():
        filled = filled[:-1]  # one block must be left to teach
    chosen = np.zeros(len(may_prove), bool)
    held = 0
    for block in filled:
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


def judge(before: Scores | None, after: Scores | None, *, unchanged: bool = False) -> Verdict:
    """Say how a new model does beside the old one, by their scores on held-out corrections, if there are any.

    ``unchanged`` says that both draw the same cells there.
    """
    if before is None or after is None:
        return Verdict.UNTESTED
    if unchanged:
        return Verdict.UNCHANGED
    if after.mean_ap > before.mean_ap:
        return Verdict.BETTER
    return Verdict.AS_GOOD if after.mean_ap >= before.mean_ap - _LEEWAY / after.objects else Verdict.WORSE


def draw_the_same(one: Sequence[Labels], other: Sequence[Labels]) -> bool:
    """Whether label images show the same cells, each with an IoU of 0.9 or more with its counterpart."""
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if a.any() or b.any()]
    if any(a.any() != b.any() for a, b in pairs):
        return False
    return not pairs or evaluate([a for a, _ in pairs], [b for _, b in pairs]).ap["0.90"] == 1
