"""How well membranes part what they enclose: the scores by which the ISBI 2012 challenge ranks.

Arganda-Carreras et al., Crowdsourcing the creation of image segmentation algorithms for connectomics,
Frontiers in Neuroanatomy 9:142 (2015). Only pixels of true segments count (foreground-restricted), and
predicted borders are thinned to one pixel first, so that a membrane's width makes no difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import ndimage
from skimage.segmentation import watershed

from napari_unet.core.base import AnyLabels, Float32, InputError
from napari_unet.core.cells import cell_landscape, find_cores, grow_markers

PROMINENCES = tuple(round(0.02 * k, 2) for k in range(4, 26))
"""At which maps are parted into segments."""


class MembraneScores(BaseModel):
    """Agreement of predicted with true segments, the mean over all planes given; 1 is perfect."""

    model_config = ConfigDict(frozen=True)

    v_rand: float = Field(description="Foreground-restricted Rand score after border thinning.")
    v_info: float = Field(description="Foreground-restricted information score after border thinning.")
    v_rand_prominence: float | None = Field(None, description="At which a map's v_rand is best.")
    v_info_prominence: float | None = Field(None, description="At which a map's v_info is best.")


def score_segments(segments: AnyLabels, truth: AnyLabels) -> tuple[float, float]:
    """Return V_rand and V_info (alpha 0.5) of predicted ``segments`` as they are, for one plane (Y, X).

    V_rand is the F-score of the Rand split and merge scores, V_info that of the mutual information over
    the entropies of either side. True pixels of no predicted segment are segments of one pixel each.
    InputError if the shapes differ or ``truth`` has no segment.
    """
    if segments.shape != truth.shape:
        raise InputError(
            f"Segments of shape {segments.shape} cannot be compared with labels of shape {truth.shape}."
        )
    inside = truth > 0
    if not inside.any():
        raise InputError("There is no true segment to compare with: give labels with at least one.")
    joint, predicted, true = _contingency(segments[inside], truth[inside])
    rand = 2 * (joint**2).sum() / ((predicted**2).sum() + (true**2).sum())
    entropies = _entropy(predicted) + _entropy(true)
    shared = entropies - _entropy(joint)
    # Two undivided sides agree, though neither tells anything.
    return float(rand), float(2 * shared / entropies) if entropies > 0 else 1.0


def thin_borders(segments: AnyLabels) -> NDArray[np.int32]:
    """Grow the segments (Y, X) of any number over the background until lines of one pixel part them."""
    if not segments.any():
        return np.zeros(segments.shape, np.int32)
    plateau = np.zeros(segments.shape, np.uint8)
    return watershed(plateau, segments.astype(np.int32), watershed_line=True).astype(np.int32)


def label_interior(interior: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Number the 4-connected pieces of a mask (Y, X) of what is not membrane."""
    return ndimage.label(interior)[0].astype(np.int32)


def evaluate_segments(predictions: Sequence[AnyLabels], truths: Sequence[AnyLabels]) -> MembraneScores:
    """Score predicted label planes (Y, X) after border thinning against true ones."""
    rand, info = _mean_scores(predictions, truths)
    return MembraneScores(v_rand=rand, v_info=info)


def part_interior(interior: Float32, prominence: float) -> NDArray[np.int32]:
    """Return the segments (Y, X) into which a map of the probability of being no membrane is parted.

    They grow from the map's cores (`core.instances.find_cores`) by watershed until they meet. Where two
    are parted is then decided by how deep the membrane between them is, not by one threshold for all.
    """
    everywhere = np.ones(interior.shape, bool)
    landscape = cell_landscape({"distance": interior})
    cores, count = ndimage.label(find_cores(landscape, everywhere, prominence))
    if count == 0:
        return everywhere.astype(np.int32)
    return grow_markers(landscape, cores.astype(np.int32), everywhere)


def evaluate_interiors(interiors: Sequence[Float32], truths: Sequence[AnyLabels]) -> MembraneScores:
    """Score maps (Y, X) of the probability of being no membrane, each score at its best prominence.

    At each of ``PROMINENCES`` they are parted and scored. It is the same for all planes, but each score has
    its own, as in the challenge, where it was a threshold.
    """
    scores = np.array(
        [
            _mean_scores((part_interior(interior, prominence) for interior in interiors), truths)
            for prominence in PROMINENCES
        ]
    )
    best = scores.argmax(axis=0)
    return MembraneScores(
        v_rand=scores[best[0], 0],
        v_info=scores[best[1], 1],
        v_rand_prominence=PROMINENCES[best[0]],
        v_info_prominence=PROMINENCES[best[1]],
    )


def _mean_scores(planes: Iterable[AnyLabels], truths: Iterable[AnyLabels]) -> tuple[float, float]:
    pairs = zip(planes, truths, strict=True)
    rand, info = np.mean([score_segments(thin_borders(plane), truth) for plane, truth in pairs], axis=0)
    return float(rand), float(info)


def _contingency(segments: AnyLabels, truth: AnyLabels) -> tuple[NDArray[np.float64], ...]:
    """Return the parts of all pixels in each pair of segments that meet, each predicted, each true one."""
    numbers = segments.astype(np.int64)
    loose = numbers == 0
    numbers[loose] = -1 - np.arange(np.count_nonzero(loose))
    _, rows = np.unique(numbers, return_inverse=True)
    _, columns = np.unique(truth, return_inverse=True)
    _, joint = np.unique(rows * (columns.max() + 1) + columns, return_counts=True)
    return joint / truth.size, np.bincount(rows) / truth.size, np.bincount(columns) / truth.size


def _entropy(parts: NDArray[np.float64]) -> float:
    return float(-(parts * np.log(parts)).sum())
