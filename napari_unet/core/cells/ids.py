"""The numbers of cells: where each is, which are the same, and new ones."""

from __future__ import annotations

import numpy as np

from napari_unet.core.base import Ids, Labels


def measure_cells(labels: Labels) -> tuple[Ids, Ids]:
    """Return the ids in `labels`, ascending, without background, and the pixels of each."""
    if not labels.size:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    if labels.min() >= 0 and labels.max() <= max(4 * labels.size, 65535):
        counts = np.bincount(labels.ravel())
        ids = np.flatnonzero(counts)
        sizes = counts[ids]
    else:  # a user may type any number as a label
        ids, sizes = np.unique(labels, return_counts=True)
    cells = ids != 0
    return ids[cells].astype(np.int64), sizes[cells].astype(np.int64)


def rename_cells(labels: Labels, ids: Ids, names: Ids) -> Labels:
    """Return labels in which each of `ids`, which ascend, is called as in `names`."""
    moved = names != ids
    if not moved.any():
        return labels.copy()
    renamed = labels.copy()
    where = np.isin(labels, ids[moved])
    renamed[where] = names[np.searchsorted(ids, labels[where])]
    return renamed


def match_cells(labels: Labels, kept_ids: Ids, prediction: Labels) -> tuple[Ids, Ids]:
    """Return pairs (kept id, predicted id) of cells with IoU > 0.5; no cell is in two pairs.

    Of `labels` only the cells `kept_ids` count. Both arrays have one shape.
    """
    kept = np.isin(labels, kept_ids)
    both = kept & (prediction != 0)
    pairs = (labels[both].astype(np.int64) << 32) | (prediction[both].astype(np.int64) & 0xFFFFFFFF)
    codes, shared = np.unique(pairs, return_counts=True)
    first, second = codes >> 32, codes.astype(np.int32).astype(np.int64)
    old_ids, old_sizes = measure_cells(labels[kept])
    new_ids, new_sizes = measure_cells(prediction)
    joined = old_sizes[np.searchsorted(old_ids, first)] + new_sizes[np.searchsorted(new_ids, second)] - shared
    match = 2 * shared > joined
    return first[match], second[match]
