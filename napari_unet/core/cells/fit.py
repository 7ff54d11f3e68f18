"""How well cells that a network drew fit an image, where nobody knows the true ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage
from skimage.segmentation import find_boundaries

from napari_unet.core.base import Float32, Labels
from napari_unet.core.cells.metrics import evaluate

LEAST_FIT = 0.22
"""Below it a model is said to find no cells."""
_EDGE_SIGMA = 1.5  # px
_NEAR = 3  # px, side of the window in which an outline meets its edge


def measure_fit(image: Float32, labels: Labels, again: Sequence[Labels]) -> float:
    """Return how well a network's ``labels`` (Y, X) fit a normalised image (Y, X, C); 0 where there are none.

    They fit if the same cells are found ``again``, when the network sees the image in other ways, if their
    outlines lie on edges, and if they are many: a few large blobs are easily stable.
    """
    cells = np.count_nonzero(np.bincount(labels.ravel())[1:])
    stable = np.mean([measure_agreement(other, labels) for other in again])
    return float(stable * max(measure_edges(image, labels), 0) * np.log1p(cells))


def measure_edges(image: Float32, labels: Labels) -> float:
    """Return by how much the edges under the outlines of ``labels`` are stronger than others, -0.5 to 0.5.

    Edges are ranks of the gradient's magnitude, so that a few bright spots do not count for more.
    """
    outlines = find_boundaries(labels, mode="inner")
    if not outlines.any():
        return 0.0
    gradient = ndimage.gaussian_gradient_magnitude(image.mean(axis=-1), _EDGE_SIGMA)
    ranks = np.empty(gradient.size, np.float32)
    ranks[np.argsort(gradient, axis=None)] = np.linspace(-0.5, 0.5, gradient.size)
    nearest = ndimage.maximum_filter(ranks.reshape(gradient.shape), _NEAR)
    return float(nearest[outlines].mean() - nearest.mean())


def measure_agreement(one: Labels, other: Labels) -> float:
    """Return how much two label images (Y, X) show the same cells: mean AP, 0 to 1; 0 where one is empty."""
    return evaluate(one, other).mean_ap if one.any() and other.any() else 0.0
