"""Checks of corrections before anything is learnt from them: each failure says what is wrong and what to do.

Held-out corrections cannot tell that all corrections are wrong; the image can. Outlines of cells lie on
edges of the image, best of all where they are, and not a few pixels beside. Where only that speaks against
them the user has the last word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage
from skimage.segmentation import find_boundaries

from napari_unet.core.base import DoubtfulError, FineTuneParams, Float64, InputError, Labels, Mask
from napari_unet.core.image import normalise

Correction = tuple[NDArray[np.generic], Labels, Mask]
"""A raw plane (Y, X, C), its corrected labels (Y, X) and the pixels that were reviewed (Y, X)."""

FEWEST_CELLS = 5
MOST_LABELLED = 0.998
REACH = 24  # px, how far labels are shifted to find a better place
_NEAR = 6  # px, within which the best place counts as the right one: as far as hands go astray
_FAR = 12  # px, from which on outlines and edges agree by chance only
_MARGIN = 0.8  # standard deviations of chance, by which the right place has to be better than all far ones
_LEAST = 0.03  # mean rank of the edges under outlines, below which they agree with nothing; chance is 0
_PLAIN = 0.35  # from which on they agree beyond doubt
_EDGE_SIGMA = 1.5
_MOST_HOLES = 2
_HOLLOW, _VERY_HOLLOW = 0.03, 0.15  # of an object with its holes filled
_HUGE = 0.5  # of what was reviewed; such an object is hollow with two holes, however small they are
_MOST_PLANES = 16
_MOST_OFF = 30.0  # factor


def check_corrections(
    corrections: Sequence[Correction], names: Sequence[str] = (), anyway: bool = False
) -> None:
    """Raise InputError if the corrections cannot be right, and DoubtfulError if they hardly can.

    They cannot if nothing or no cell was reviewed, or if background and cells are exchanged. They hardly can
    if there is no background, or if outlines lie beside the edges of the images; with ``anyway`` that is not
    asked, and never of fewer than 5 cells. ``names`` are those of the images, one each, for the message.
    """
    if not any(reviewed.any() for _, _, reviewed in corrections):
        raise InputError("Nothing has been reviewed yet: correct some cells or mark a region as right first.")
    known = [np.where(reviewed, labels, 0) for _, labels, reviewed in corrections]
    cells = sum(np.count_nonzero(np.unique(labels)) for labels in known)
    if not cells:
        raise InputError("No cell is among what was reviewed: correct or mark at least one cell first.")
    step = -(-len(corrections) // _MOST_PLANES)
    if _are_inverted(known[::step], [reviewed for _, _, reviewed in corrections[::step]]):
        raise InputError(
            "Cells and background seem to be exchanged in the labels: cells must have numbers, background 0."
        )
    if anyway or cells < FEWEST_CELLS:
        return
    seen = sum(np.count_nonzero(reviewed) for _, _, reviewed in corrections)
    if sum(np.count_nonzero(labels) for labels in known) > MOST_LABELLED * seen:
        raise DoubtfulError(
            "Everything that was reviewed is labelled as a cell: mark some background as reviewed, too."
        )
    _check_place(corrections[::step], list(names)[::step])


def check_rate(rate: float) -> None:
    """Raise InputError if a learning rate is so far from the usual one that nothing good can come of it."""
    usual = float(FineTuneParams.model_fields["learning_rate"].default)
    if not usual / _MOST_OFF <= rate <= usual * _MOST_OFF:
        fault = "high that all would be unlearnt" if rate > usual else "low that nothing would be learnt"
        raise InputError(f"The learning rate {rate:g} is so {fault}: use {usual:g}.")


def _are_inverted(images: Sequence[Labels], seen: Sequence[Mask]) -> bool:
    """Whether most of what is labelled has several holes in it, as background with cells in it has."""
    areas: list[tuple[int, bool]] = []
    for labels, reviewed in zip(images, seen, strict=True):
        huge = _HUGE * np.count_nonzero(reviewed)
        boxes: Sequence[tuple[slice, ...] | None] = ndimage.find_objects(labels)
        for index, box in enumerate(boxes, start=1):
            if box is not None:
                cell = labels[box] == index
                area = int(np.count_nonzero(cell))
                areas.append((area, _is_hollow(cell, *((0.0, 1) if area > huge else (_HOLLOW, _MOST_HOLES)))))
    return 2 * sum(area for area, hollow in areas if hollow) > sum(area for area, _ in areas)


def _is_hollow(cell: Mask, share_allowed: float, number_allowed: int) -> bool:
    """Whether a cell has more holes than are allowed, in number and in their share of it, or large ones."""
    holes = ndimage.binary_fill_holes(cell) & ~cell
    share = np.count_nonzero(holes) / np.count_nonzero(cell | holes)
    many = share > share_allowed and ndimage.label(holes)[1] > number_allowed
    return bool(many or share > _VERY_HOLLOW)


def _check_place(corrections: Sequence[Correction], names: Sequence[str]) -> None:
    """Raise DoubtfulError if outlines agree with edges better elsewhere, or nowhere better than by chance."""
    parts = [_agree(*correction) for correction in corrections]
    found = _Agreement.of([part for part, _ in parts], [count for _, count in parts])
    if found.is_right:
        return
    each = [_Agreement.of([part], [count]) for part, count in parts]
    wrong = [number for number, agreement in enumerate(each) if not agreement.is_right]
    told = [names[number] for number in wrong if number < len(names) and names[number]]
    where = f" in {' and '.join(dict.fromkeys(told))}" if told else ""
    if found.is_plain:
        down, right = found.shift
        raise DoubtfulError(
            f"The labels{where} seem to be shifted against the image, {down} px down and {right} px to the "
            "right: put them in their place."
        )
    raise DoubtfulError(
        f"The outlines of the labels{where} do not lie on edges of the image: check that the labels belong "
        "to it."
    )


@dataclass(frozen=True, slots=True)
class _Agreement:
    """How well outlines agree with edges for every shift of them, (2 REACH + 1) ^ 2."""

    ranks: Float64

    @classmethod
    def of(cls, parts: Sequence[Float64], counts: Sequence[int]) -> _Agreement:
        """Join what `_agree` found in several images."""
        return cls(np.sum(parts, axis=0) / max(sum(counts), 1))

    @property
    def is_right(self) -> bool:
        """Whether outlines agree best about where they are, and better than by chance."""
        best = self.ranks.max()
        return bool(self._distance[self._best] <= _NEAR and best >= _LEAST and self.is_plain)

    @property
    def is_plain(self) -> bool:
        """Whether the place that is best is better than far ones, of which one is the best by chance."""
        far = self.ranks[(self._distance >= _FAR) & (self._away_from_best >= _FAR)]
        return bool(self.ranks.max() >= min(far.max() + _MARGIN * far.std(), _PLAIN))

    @property
    def shift(self) -> tuple[int, int]:
        """How far, down and to the right, labels lie from the best place, px."""
        return REACH - self._best[0], REACH - self._best[1]

    @property
    def _best(self) -> tuple[int, int]:
        row, column = np.unravel_index(int(self.ranks.argmax()), self.ranks.shape)
        return int(row), int(column)

    @property
    def _distance(self) -> NDArray[np.intp]:
        return self._measure_distance((REACH, REACH))

    @property
    def _away_from_best(self) -> NDArray[np.intp]:
        return self._measure_distance(self._best)

    def _measure_distance(self, place: tuple[int, int]) -> NDArray[np.intp]:
        rows, columns = np.indices(self.ranks.shape)
        return np.maximum(np.abs(rows - place[0]), np.abs(columns - place[1]))


def _find_outlines(labels: Labels, reviewed: Mask) -> Mask:
    """Return the reviewed pixels of cells (Y, X) that border on another cell or on background.

    What lies beyond the reviewed pixels is only asked whether the cell goes on there: a cell that was drawn
    is reviewed on its own pixels and no others.
    """
    return np.asarray(find_boundaries(labels, mode="inner") & reviewed, np.bool_)


def _agree(plane: NDArray[np.generic], labels: Labels, reviewed: Mask) -> tuple[Float64, int]:
    """Return how well outlines agree with edges for every shift of them by up to REACH px, (2 REACH + 1) ^ 2,
    and the number of their pixels.

    Edges are ranks, -0.5 to 0.5, of the gradient's magnitude, summed over outlines by a Fourier transform.
    """
    grey = normalise(plane).mean(axis=-1)
    gradient = ndimage.gaussian_gradient_magnitude(grey.astype(np.float32), _EDGE_SIGMA)
    ranks = np.empty(gradient.size, np.float32)
    ranks[np.argsort(gradient, axis=None)] = np.linspace(-0.5, 0.5, gradient.size)
    outlines = _find_outlines(labels, reviewed)
    shape = [fft.next_fast_len(side + REACH, real=True) for side in labels.shape]
    edges = fft.rfft2(ranks.reshape(labels.shape), shape)
    lines = fft.rfft2(outlines.astype(np.float32), shape)
    correlation = fft.irfft2(edges * np.conj(lines), shape)
    shifts = np.arange(-REACH, REACH + 1)
    shifted = np.asarray(correlation[np.ix_(shifts % shape[0], shifts % shape[1])], np.float64)
    return shifted, int(np.count_nonzero(outlines))
