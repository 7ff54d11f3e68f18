"""Which kind of cells is taught: one that the parent has learnt, or a new one, and at what scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.base.params import MOST_ENLARGED
from napari_unet.core.cells.metrics import Scores
from napari_unet.core.image.scale import Range, fit_size
from napari_unet.nn.learn.rehearsal import Exam
from napari_unet.nn.model import Model

Float32 = NDArray[np.float32]

_SIZE_TOLERANCE = 1.7
_NEW_OBJECT_SIZE = 32.0
_BAR = 0.25  # of the way from what is known to what was taught
_FOUND = 0.35  # mean AP from which on a network is said to know cells


def choose_teacher(parent: Model, size: float | None, pixel_size: float | None) -> tuple[Model, float]:
    """Return the parent's network to go on from, and the scale at which it sees cells of ``size`` px.

    It is the one that has learnt cells of about their size; else the last one, at a scale that fits.
    """
    for one in parent.specialists:
        scale, known = one.card.image_scale(pixel_size), one.card.object_size
        if size is None or known is None or 1 / _SIZE_TOLERANCE <= size * scale / known <= _SIZE_TOLERANCE:
            return one, scale
    assert size is not None
    last = parent.specialists[0]
    sizes = _sizes_looked_for(last, pixel_size)
    return last, fit_size(size, sizes) if sizes else _enlarge(last, size)


def is_known(
    teacher: Model, scale: float, pixel_size: float | None, before: Scores | None, exam: Exam | None
) -> bool:
    """Whether cells that score ``before`` under a teacher at ``scale`` are of the kind that it has learnt.

    Not if it knows others, by its ``exam``, and finds few of these; nor where they are of another size,
    unless it finds them by looking for their size.
    """
    finds = before is not None and before.mean_ap >= _FOUND
    if scale != teacher.card.image_scale(pixel_size):
        return finds and _sizes_looked_for(teacher, pixel_size) is not None
    return finds or before is None or (exam or Exam.of(teacher)).before is None


def scale_new_kind(teacher: Model, scale: float, pixel_size: float | None, size: float | None) -> float:
    """Return the scale for a new kind of cells of ``size`` px: the teacher's ``scale`` if it fits them."""
    return scale if size is None or scale == teacher.card.image_scale(pixel_size) else _enlarge(teacher, size)


def measure_reserve(
    child: Model, parent: Model, taught: Sequence[Float32], known: Sequence[Float32], pixel_size: float | None
) -> float:
    """Return how much surer than its parent a child has to be of an image to draw it.

    The parent is to draw images (Y, X, C) such as it has ``known``, the child such as it was ``taught``, with
    pixels of ``pixel_size`` in um. The bar lies nearer to the former, since new images of what was taught are
    less familiar. Where nothing tells them apart the surer one draws.
    """
    if not taught or not known:
        return 0.0
    gaps = [
        [child.measure_claim(image, size) - parent.measure_claim(image, size) for image in images]
        for images, size in ((known, None), (taught, pixel_size))
    ]
    most, least = max(gaps[0]), min(gaps[1])
    return max(most + _BAR * (least - most), 0.0) if least > most else 0.0


def _sizes_looked_for(model: Model, pixel_size: float | None) -> Range | None:
    """Return of which sizes, px, a model looks for cells in an image whose scale it does not know."""
    return None if model.card.knows_scale(pixel_size) else model.card.size_range


def _enlarge(teacher: Model, size: float) -> float:
    """Return a scale at which cells of ``size`` px are seen well."""
    return min(max(teacher.card.object_size or 0, _NEW_OBJECT_SIZE) / size, MOST_ENLARGED)
