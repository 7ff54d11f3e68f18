"""What differs between two segmentations of the same plane, cell by cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.base import Labels

_SAME = 0.9
_MATCH = 0.5


class Fate(StrEnum):
    """What became of a cell."""

    SAME = "same"
    RESHAPED = "reshaped"
    UNMATCHED = "unmatched"


@dataclass(frozen=True, slots=True)
class Changes:
    """The fate of each cell in the ``old`` and in the ``new`` labels, by label.

    Cells are the same with an IoU of 0.9 and more, reshaped from 0.5 on. Where a cell was split or merged,
    its pieces are unmatched, unless one is more than half of it.
    """

    old: Mapping[int, Fate]
    new: Mapping[int, Fate]

    def describe(self) -> str:
        """Say how many cells are the same, and what became of the others."""
        count = {fate: sum(f == fate for f in self.new.values()) for fate in Fate}
        gone = sum(fate == Fate.UNMATCHED for fate in self.old.values())
        return (
            f"{count[Fate.SAME]} the same, {count[Fate.RESHAPED]} with another outline, "
            f"{gone} gone, {count[Fate.UNMATCHED]} new"
        )


def find_changes(old: Labels, new: Labels) -> Changes:
    """Compare two label images (Y, X)."""
    old_ids, first = np.unique(old, return_inverse=True)
    new_ids, second = np.unique(new, return_inverse=True)
    pairs, counts = np.unique(first.ravel() * len(new_ids) + second.ravel(), return_counts=True)
    rows, columns = pairs // len(new_ids), pairs % len(new_ids)
    areas = np.bincount(first.ravel()), np.bincount(second.ravel())
    ious = counts / (areas[0][rows] + areas[1][columns] - counts)
    ious[(old_ids[rows] == 0) | (new_ids[columns] == 0)] = 0
    return Changes(_judge(old_ids, rows, ious), _judge(new_ids, columns, ious))


def _judge(ids: Labels, owners: NDArray[np.intp], ious: NDArray[np.float64]) -> dict[int, Fate]:
    best = np.zeros(len(ids))
    np.maximum.at(best, owners, ious)
    return {int(i): _name(iou) for i, iou in zip(ids, best, strict=True) if i}


def _name(iou: float) -> Fate:
    if iou >= _SAME:
        return Fate.SAME
    return Fate.RESHAPED if iou > _MATCH else Fate.UNMATCHED
