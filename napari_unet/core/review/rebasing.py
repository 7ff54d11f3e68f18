"""What becomes of a review when another model segments the image: the user's word stays, the rest is new."""

from __future__ import annotations

import numpy as np
from skimage.measure import label as label_pieces

from napari_unet.core.base import Ids, Labels, Mask, as_labels
from napari_unet.core.cells import match_cells, measure_cells, rename_cells
from napari_unet.core.review.review import Review, require_shape

SLIVER = 0.25
"""A piece of a predicted cell smaller than this part of it is no cell of its own."""

_STRAIGHT = 0.8  # of an edge: a brush may have been a pixel or two beyond
_ALL, _FIRST, _LAST = slice(None), slice(None, -1), slice(1, None)
_NEIGHBOURS = (  # the axis along which they lie, pixels, and those beside them
    (0, (_FIRST,), (_LAST,)),
    (0, (_LAST,), (_FIRST,)),
    (1, (_ALL, _FIRST), (_ALL, _LAST)),
    (1, (_ALL, _LAST), (_ALL, _FIRST)),
)


def rebase(review: Review, prediction: Labels) -> Review:
    """Return the review carried over to a new `prediction` (int32, same shape) of the same image.

    Reviewed pixels keep their prediction, label and mark; all others take the new prediction, and no pixel
    gets changed or marked by that. Predicted cells keep their ids unless a kept cell has it. A predicted
    cell loses the pixels that are reviewed, and pieces that are then less than `SLIVER` of it are dropped. A
    predicted cell that matches a kept one (IoU > 0.5, of what is reviewed of it or else of all) continues it
    under the kept id where the user had not reviewed all of it, or could not, since it is cut off by the
    straight edge of what he reviewed; it adds nothing where he had. Pieces are judged plane by plane, so that
    a cell tracked through time is not taken for slivers.
    """
    prediction = as_labels(prediction)
    require_shape(prediction, review.shape)
    kept = review.reviewed()
    kept_ids = measure_cells(review.labels[kept])[0]
    planes = [plane for plane in np.ndindex(review.shape[:-2]) if kept[plane].any()]
    cut_off = {plane: _find_cut_off(review.labels[plane], kept[plane]) for plane in planes}
    every = np.unique(np.concatenate([np.zeros(0, np.int64), *cut_off.values()]))
    predicted = _name_cells(review.labels, kept, kept_ids, every, prediction)
    outside = np.where(kept, np.int32(0), predicted)
    for plane, ids in cut_off.items():
        _drop_slivers(outside[plane], predicted[plane], kept[plane], review.labels[plane], kept_ids, ids)
    return Review(
        prediction=np.where(kept, review.prediction, outside),
        labels=np.where(kept, review.labels, outside),
        marked=review.marked.copy(),
    )


def _find_cut_off(labels: Labels, kept: Mask) -> Ids:
    """Return the cells of a plane that a straight edge of what was reviewed cuts off, or two at a corner.

    Nearly all of where they meet what was not reviewed is in one row, one column or both. That of a cell that
    was reviewed by itself is all around it, as far as the plane goes: cells at its border are left out.
    """
    ids = measure_cells(labels[kept])[0]
    straight, meeting = np.zeros((ids.size, 2), np.int64), np.zeros(ids.size, np.int64)
    for axis, here, there in _NEIGHBOURS:
        edge = np.nonzero(kept[here] & ~kept[there] & (labels[here] != 0))
        lines, lengths = np.unique(np.stack([labels[here][edge], edge[axis]]), axis=1, return_counts=True)
        cells = np.searchsorted(ids, lines[0])
        np.maximum.at(straight[:, axis], cells, lengths)
        np.add.at(meeting, cells, lengths)
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    return np.setdiff1d(ids[(meeting > 0) & (straight.sum(axis=1) >= _STRAIGHT * meeting)], border)


def _name_cells(labels: Labels, kept: Mask, kept_ids: Ids, cut_off: Ids, prediction: Labels) -> Labels:
    """Return `prediction` with ids that continue the kept cells it matches and clash with no other."""
    ids = measure_cells(prediction)[0]
    names = ids.copy()
    # What lies outside of a reviewed view may be another cell now; what lies inside tells whose part it is.
    seen = labels[kept]
    parts = match_cells(seen, np.union1d(_find_seen_in_part(labels, seen), cut_off), prediction[kept])
    rest = np.where(np.isin(prediction, parts[1]), np.int32(0), prediction)
    wholes = match_cells(labels, np.setdiff1d(kept_ids, parts[0]), rest)
    old, new = (np.concatenate(found) for found in zip(parts, wholes, strict=True))
    continuing = np.zeros(ids.size, np.bool_)
    continuing[np.searchsorted(ids, new)] = True
    names[np.searchsorted(ids, new)] = old
    clashing = np.flatnonzero(np.isin(ids, kept_ids) & ~continuing)
    taken = np.union1d(ids, kept_ids)
    free = np.setdiff1d(np.arange(1, taken.size + clashing.size + 1), taken)
    names[clashing] = free[: clashing.size]
    return rename_cells(prediction, ids, names)


def _find_seen_in_part(labels: Labels, seen: Labels) -> Ids:
    """Return the cells of which a good part, but not all, is among the pixels `seen`, (N,)."""
    ids, areas = measure_cells(seen)
    all_ids, all_areas = measure_cells(labels)
    whole = all_areas[np.searchsorted(all_ids, ids)]
    return ids[(areas < whole) & (areas > SLIVER * whole)]


def _drop_slivers(
    outside: Labels, predicted: Labels, kept: Mask, labels: Labels, kept_ids: Ids, cut_off: Ids
) -> None:
    """Clear, in one plane of `outside`, what remains of predicted cells next to the kept pixels.

    `outside` is `predicted` without the kept pixels. A piece under a kept id stays where it overlaps a part
    of that cell (in the old `labels`) that was not reviewed, or touches one that is `cut_off`.
    """
    cut = np.isin(predicted, np.unique(predicted[kept])) & (predicted != 0)
    ids, areas = measure_cells(predicted[cut])
    pieces = label_pieces(np.where(cut, outside, 0), background=0, connectivity=1)
    sizes = np.bincount(pieces.ravel())
    owners = np.zeros(sizes.size, np.int64)
    owners[pieces[cut]] = outside[cut]
    areas_of_owners = np.zeros(sizes.size, np.int64)
    areas_of_owners[1:] = areas[np.searchsorted(ids, owners[1:])]
    continuing = np.zeros(sizes.size, np.bool_)
    continuing[pieces[cut & (outside == labels)]] = True
    known = np.where(kept & np.isin(labels, cut_off), labels, np.int32(0))
    for _, here, there in _NEIGHBOURS:
        continuing[pieces[here][(known[there] != 0) & (outside[here] == known[there])]] = True
    dropped = np.where(np.isin(owners, kept_ids), ~continuing, sizes < SLIVER * areas_of_owners)
    dropped[0] = False
    outside[dropped[pieces]] = 0
