"""How well predicted labels agree with the truth, counted as the field counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse
from scipy.sparse.csgraph import maximum_bipartite_matching

from napari_unet.core.base import AnyLabels, InputError

THRESHOLDS = tuple(round(0.5 + 0.05 * k, 2) for k in range(9))


class Scores(BaseModel):
    """Agreement of predicted with true labels, pooled over all images given."""

    model_config = ConfigDict(frozen=True)

    ap: dict[str, float] = Field(description="Average precision TP / (TP + FP + FN) by IoU threshold.")
    mean_iou: float = Field(
        description="Mean over true cells of the IoU with the cell that covers more than half of it, else 0."
    )
    dice: float = Field(description="2 |A and B| / (|A| + |B|) of the foregrounds.")
    objects: int = Field(description="True cells.")
    matched: int = Field(description="True cells found at IoU 0.5.")
    missed: int = Field(description="True cells that no predicted cell accounts for.")
    false: int = Field(description="Predicted cells that account for no true cell.")
    split: int = Field(description="True cells predicted in two or more pieces.")
    merged: int = Field(description="Predicted cells that join two or more true cells.")

    @property
    def ap50(self) -> float:
        """Average precision at IoU 0.5."""
        return self.ap["0.50"]

    @property
    def ap75(self) -> float:
        """Average precision at IoU 0.75."""
        return self.ap["0.75"]

    @property
    def ap90(self) -> float:
        """Average precision at IoU 0.9."""
        return self.ap["0.90"]

    @property
    def mean_ap(self) -> float:
        """Mean of the average precision over IoU 0.5 to 0.9 in steps of 0.05."""
        return float(np.mean(list(self.ap.values())))


def average_precision(prediction: AnyLabels, truth: AnyLabels, threshold: float = 0.5) -> float:
    """Return TP / (TP + FP + FN) at one IoU ``threshold``; 1 when both images are empty."""
    found, predicted, true = _count_matches(_Overlap.of(prediction, truth), threshold)
    return _ratio(found, predicted + true - found)


def evaluate(predictions: AnyLabels | Sequence[AnyLabels], labels: AnyLabels | Sequence[AnyLabels]) -> Scores:
    """Score predicted label images against true ones of the same shapes (0 is background).

    One array is one image (of any dimension); a sequence of arrays is pooled. InputError if numbers or
    shapes of the images differ.
    """
    pairs = _pair(predictions, labels)
    overlaps = [_Overlap.of(prediction, truth) for prediction, truth in pairs]
    ap = {}
    for threshold in THRESHOLDS:
        counts = np.array([_count_matches(o, threshold) for o in overlaps])
        found, predicted, true = counts.sum(axis=0)
        ap[f"{threshold:.2f}"] = _ratio(found, predicted + true - found)
    errors = np.array([o.errors() for o in overlaps]).sum(axis=0)
    objects = sum(len(o.true_areas) for o in overlaps)
    seg = np.concatenate([o.true_ious() for o in overlaps])
    both = sum(int(o.table.sum()) for o in overlaps)
    total = sum(o.predicted_total + o.true_total for o in overlaps)
    return Scores(
        ap=ap,
        mean_iou=float(seg.mean()) if len(seg) else float(all(len(o.areas) == 0 for o in overlaps)),
        dice=_ratio(2 * both, total),
        objects=objects,
        matched=int(sum(_count_matches(o, 0.5)[0] for o in overlaps)),
        missed=int(errors[0]),
        false=int(errors[1]),
        split=int(errors[2]),
        merged=int(errors[3]),
    )


def _pair(
    predictions: AnyLabels | Sequence[AnyLabels], labels: AnyLabels | Sequence[AnyLabels]
) -> Iterable[tuple[AnyLabels, AnyLabels]]:
    left = [predictions] if isinstance(predictions, np.ndarray) else list(predictions)
    right = [labels] if isinstance(labels, np.ndarray) else list(labels)
    if len(left) != len(right) or not left:
        raise InputError(f"{len(left)} predictions cannot be compared with {len(right)} label images.")
    for prediction, truth in zip(left, right, strict=True):
        if prediction.shape != truth.shape:
            raise InputError(
                f"A prediction of shape {prediction.shape} cannot be compared with labels of shape "
                f"{truth.shape}."
            )
    return list(zip(left, right, strict=True))


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else 1.0


class _Overlap:
    """Shared pixel counts of every (true, predicted) pair of cells of one image."""

    def __init__(self, table: sparse.csr_array, true_areas: AnyLabels, areas: AnyLabels) -> None:
        self.table, self.true_areas, self.areas = table, true_areas, areas
        self.true_total, self.predicted_total = int(true_areas.sum()), int(areas.sum())

    @classmethod
    def of(cls, prediction: AnyLabels, truth: AnyLabels) -> _Overlap:
        true_ids, true = np.unique(truth, return_inverse=True)
        ids, predicted = np.unique(prediction, return_inverse=True)
        shape = (len(true_ids), len(ids))
        counts = sparse.coo_array(
            (np.ones(true.size, np.int64), (true.ravel(), predicted.ravel())), shape=shape
        ).tocsr()
        rows, columns = np.flatnonzero(true_ids), np.flatnonzero(ids)
        return cls(counts[rows][:, columns], counts.sum(axis=1)[rows], counts.sum(axis=0)[columns])

    def ious(self) -> sparse.coo_array:
        """Return the IoU of every overlapping pair, (true, predicted)."""
        pairs = self.table.tocoo()
        rows, columns = pairs.coords
        union = self.true_areas[rows] + self.areas[columns] - pairs.data
        return sparse.coo_array((pairs.data / union, (rows, columns)), shape=pairs.shape)

    def true_ious(self) -> NDArray[np.float64]:
        """Return, for each true cell, the IoU with the cell that covers more than half of it, else 0."""
        result = np.zeros(len(self.true_areas))
        pairs, ious = self.table.tocoo(), self.ious()
        rows = pairs.coords[0]
        covering = pairs.data * 2 > self.true_areas[rows]
        result[rows[covering]] = ious.data[covering]
        return result

    def errors(self) -> tuple[int, int, int, int]:
        """Return the numbers of missed, false, split and merged cells.

        A predicted cell accounts for a true cell, or a true cell for a predicted one, if more than half of
        the smaller lies in the larger.
        """
        pairs = self.table.tocoo()
        rows, columns = pairs.coords
        inside_true = pairs.data * 2 > self.areas[columns]
        inside_predicted = pairs.data * 2 > self.true_areas[rows]
        related = inside_true | inside_predicted
        missed = len(self.true_areas) - len(np.unique(rows[related]))
        false = len(self.areas) - len(np.unique(columns[related]))
        split = np.bincount(rows[inside_true], minlength=1) > 1
        merged = np.bincount(columns[inside_predicted], minlength=1) > 1
        return missed, false, int(split.sum()), int(merged.sum())


def _count_matches(overlap: _Overlap, threshold: float) -> tuple[int, int, int]:
    """Return the one-to-one matches with IoU >= threshold, the predicted and the true cells."""
    ious = overlap.ious()
    keep = ious.data >= threshold
    rows, columns = (index[keep] for index in ious.coords)
    graph = sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=ious.shape)
    found = 0
    if len(rows):
        found = int(np.count_nonzero(maximum_bipartite_matching(graph, perm_type="column") >= 0))
    return found, len(overlap.areas), len(overlap.true_areas)
