"""The model that is to learn: what it has of its parent, and which kinds of cells it keeps beside its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.base.card import MOST_EARLIER
from napari_unet.core.base.params import InstanceParams
from napari_unet.core.image.scale import Range, measure_object_size, measure_size_range
from napari_unet.core.learning.sampling import TrainingImage
from napari_unet.nn.backend import fast_policy, keras
from napari_unet.nn.learn.kinds import measure_reserve
from napari_unet.nn.learn.rehearsal import Exam
from napari_unet.nn.model import Model
from napari_unet.nn.unet import build_network

_TUNED = ", fine-tuned"


def conceive(
    parent: Model,
    teacher: Model,
    goes_on: bool,
    name: str,
    scale: float,
    pixel_size: float | None,
    samples: Sequence[TrainingImage],
) -> Model:
    """Return the child before it learns: its teacher's weights, and the parent's other kinds of cells.

    The teacher's are kept, too, unless the child ``goes_on`` with the same kind. Of a new kind too little is
    known to look for a scale where cells seem to be of another size: they may be merged, not larger. Nor do
    a few cells tell how they are split best, which the network will have learnt by heart. Of a known kind
    the size stays, too: by that of a few large cells, small ones would be dropped.
    """
    seen = _see_cells(samples)
    known_size, seen_size = teacher.card.object_size, measure_object_size(seen)
    size, size_range, instances = seen_size or known_size, None, teacher.card.instances
    if goes_on:
        size = known_size or seen_size
        size_range = _widen(teacher.card.size_range, measure_size_range(seen))
    else:
        instances = _split_anew(instances)
    card = parent.card.model_copy(
        update={
            "name": name,
            "title": f"{(parent.card.title or parent.card.name).removesuffix(_TUNED)}{_TUNED}",
            "parent": parent.sha256 or None,
            "scale": teacher.card.scale if goes_on and pixel_size is None else scale,
            "earlier": (),
            "pixel_size": pixel_size,
            "object_size": size,
            "size_range": size_range,
            "instances": instances,
            "reserve": teacher.card.reserve if goes_on else 0.0,
            "versions": {**parent.card.versions, "keras": keras.__version__},
        }
    )
    network = build_network(card.network, dtype=fast_policy())
    network.set_weights(teacher.network.get_weights())
    return _keep(Model(network, card), [one for one in parent.specialists if not goes_on or one != teacher])


def keep_beside(child: Model, parent: Model, samples: Sequence[TrainingImage]) -> Model:
    """Return the child, which went on with a kind of cells, as one that has learnt a new kind instead."""
    size = measure_object_size(_see_cells(samples)) or child.card.object_size
    anew = {"object_size": size, "size_range": None, "instances": _split_anew(child.card.instances)}
    card = child.card.model_copy(update=anew)
    return _keep(replace(child, card=card), parent.specialists)


def set_reserve(
    child: Model, parent: Model, taught: Sequence[NDArray[np.float32]], exam: Exam, pixel_size: float | None
) -> Model:
    """Return the child, which keeps kinds of its parent's, as one that leaves their images to them."""
    reserve = measure_reserve(child.specialists[0], parent, taught, exam.images, pixel_size)
    return replace(child, card=child.card.model_copy(update={"reserve": reserve}))


def has_room(parent: Model) -> bool:
    """Whether a child can keep all kinds of cells that a parent knows, beside a new one."""
    return len(parent.specialists) <= MOST_EARLIER


def _keep(child: Model, known: Sequence[Model]) -> Model:
    """Return the child with these of its parent's kinds of cells."""
    card = child.card.model_copy(update={"earlier": tuple(one.card.kind for one in known)})
    return replace(child, card=card, earlier=tuple(one.network for one in known))


def _see_cells(samples: Sequence[TrainingImage]) -> list[NDArray[np.int32]]:
    return [np.where(s.reviewed, s.labels, 0) if s.reviewed is not None else s.labels for s in samples]


def _split_anew(instances: InstanceParams) -> InstanceParams:
    return instances.model_copy(update=InstanceParams().model_dump(include={"prominence", "blend"}))


def _widen(known: Range | None, seen: Range | None) -> Range | None:
    """Return a range that holds what was known and what was seen; None where none was known."""
    if known is None or seen is None:
        return known
    return min(known[0], seen[0]), max(known[1], seen[1])
