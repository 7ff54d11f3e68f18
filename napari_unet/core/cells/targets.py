"""Label images to what the network learns to draw, and how much each pixel counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import find_boundaries

from napari_unet.core.base import Float32, Labels

_CUTOFF = 4.0
BORDER_WIDTH = 5


def foreground(labels: Labels) -> Float32:
    """Return 1 inside cells, 0 outside; (Y, X)."""
    return (labels > 0).astype(np.float32)


def number_cells(labels: NDArray[np.integer]) -> Labels:
    """Return the label image with its cells numbered 1, 2, ... without gaps; 0 stays background.

    People and trackers use any number for a cell; what counts by number would need memory up to the largest.
    """
    ids, index = np.unique(labels, return_inverse=True)
    numbers = np.zeros(len(ids), np.int32)
    numbers[ids != 0] = np.arange(1, np.count_nonzero(ids) + 1)
    return numbers[index].reshape(labels.shape)


def background(labels: Labels) -> Float32:
    """Return 1 outside cells, 0 inside; (Y, X)."""
    return (labels == 0).astype(np.float32)


def border(labels: Labels) -> Float32:
    """Return 1 where two different cells lie within the same 5 x 5 window, else 0; (Y, X)."""
    highest = ndimage.maximum_filter(labels, BORDER_WIDTH)
    absent = np.iinfo(np.int32).max
    lowest = ndimage.minimum_filter(np.where(labels > 0, labels, absent), BORDER_WIDTH)
    return ((highest > 0) & (lowest != highest)).astype(np.float32)


def distance(labels: Labels) -> Float32:
    """Return each cell's distance to its own edge divided by the cell's largest such distance; (Y, X).

    0 outside cells, and 1 at each cell's deepest pixel. One Euclidean transform serves all cells: the way
    from inside a cell to any other cell's edge crosses its own first.
    """
    if not labels.any():
        return np.zeros(labels.shape, np.float32)
    depth = depth_in_pixels(labels)
    largest = np.zeros(int(labels.max()) + 1)
    np.maximum.at(largest, labels.ravel(), depth.ravel())
    largest[0] = 1
    return (depth / largest[labels]).astype(np.float32)


def depth_in_pixels(labels: Labels) -> NDArray[np.float64]:
    """Return each cell's distance to its own edge in px, 1 at the edge; 0 outside cells; (Y, X)."""
    depth = ndimage.distance_transform_edt(~find_boundaries(labels, mode="inner") & (labels > 0)) + 1.0
    depth[labels == 0] = 0
    return np.asarray(depth)


_MAPS = {"background": background, "foreground": foreground, "border": border, "distance": distance}


def target_maps(labels: Labels, outputs: tuple[str, ...]) -> Float32:
    """Return the target (Y, X, len(outputs)) in [0, 1] of each named output map for ``labels`` (Y, X)."""
    return np.stack([_MAPS[name](labels) for name in outputs], axis=-1)


def nearest_two(labels: Labels, cutoff: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return d1, d2 (Y, X): distances in px to the nearest and second-nearest cell.

    Exact up to ``cutoff``; infinite where no (second) cell is nearer than that. Each cell's transform is
    computed only in its bounding box grown by the cutoff.
    """
    first = np.full(labels.shape, np.inf)
    second = np.full(labels.shape, np.inf)
    reach = int(np.ceil(cutoff))
    boxes: Sequence[tuple[slice, ...] | None] = ndimage.find_objects(labels)
    for index, box in enumerate(boxes, start=1):
        if box is None:
            continue
        window = tuple(
            slice(max(side.start - reach, 0), min(side.stop + reach, size))
            for side, size in zip(box, labels.shape, strict=True)
        )
        near = ndimage.distance_transform_edt(labels[window] != index)
        near[near > cutoff] = np.inf
        np.minimum(second[window], np.maximum(first[window], near), out=second[window])
        np.minimum(first[window], near, out=first[window])
    return first, second


def separation_weights(labels: Labels, w0: float = 10.0, sigma: float = 5.0) -> Float32:
    """Return w0 exp(-(d1 + d2)^2 / (2 sigma^2)), the second term of Ronneberger et al. 2015, eq. 2; (Y, X).

    Inside a cell d1 is 0, so that the seam of two touching cells weighs as much as a narrow gap. Terms
    below w0 exp(-8) are left out.
    """
    if w0 == 0 or not labels.any():
        return np.zeros(labels.shape, np.float32)
    first, second = nearest_two(labels, _CUTOFF * sigma)
    weights: Float32 = (w0 * np.exp(-((first + second) ** 2) / (2 * sigma**2))).astype(np.float32)
    return weights


def class_weights(labels: Labels) -> Float32:
    """Return w_c (Y, X): each class weighted so that foreground and background count the same; mean 1."""
    inside = labels > 0
    share = float(inside.mean())
    if share in (0.0, 1.0):
        return np.ones(labels.shape, np.float32)
    return np.where(inside, 0.5 / share, 0.5 / (1 - share)).astype(np.float32)


def border_weight_map(labels: Labels, w0: float = 10.0, sigma: float = 5.0) -> Float32:
    """Return the paper's weight map w(x) = w_c(x) + w0 exp(-(d1 + d2)^2 / (2 sigma^2)); (Y, X)."""
    return class_weights(labels) + separation_weights(labels, w0, sigma)


def reviewed_weights(labels: Labels, reviewed: NDArray[np.bool_], outputs: tuple[str, ...]) -> Float32:
    """Return 1 where the target of a map is certain from reviewed pixels alone, else 0; (Y, X, outputs).

    A border is certain where the whole window that decides it was reviewed, a distance in cells that were
    reviewed to their edge all around. ``labels`` and ``reviewed`` are (Y, X); labels outside ``reviewed``
    have no influence.
    """
    known = np.where(reviewed, labels, 0)
    window = ndimage.minimum_filter(reviewed, BORDER_WIDTH, mode="nearest")
    beside_unknown = ~ndimage.minimum_filter(reviewed, 3, mode="nearest") & (known > 0)
    whole = reviewed & ~np.isin(known, np.unique(known[beside_unknown]))
    certain = {"border": window, "distance": whole}
    return np.stack([certain.get(name, reviewed) for name in outputs], axis=-1).astype(np.float32)
