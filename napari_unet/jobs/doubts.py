"""Where the network is unsure of the cells that it found, and what could be done about it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from napari_unet.core.base import ModelCard
from napari_unet.core.image import PlaneGrid
from napari_unet.core.review import Doubts, Review, measure_doubts, rank_places, suggest
from napari_unet.jobs.plane import PlaneCells


def find_doubts(card: ModelCard, cells: PlaneCells, plane: int = 0) -> Doubts:
    """Return the doubts about the cells of plane number ``plane`` of an image, with what may mend them.

    Positions are those of the plane, not of the window that was segmented.
    """
    maps, labels = cells.maps, cells.labels
    size = card.object_size / cells.scale if card.object_size else None
    doubts = measure_doubts(maps, card.outputs, labels, object_size=size)
    places = rank_places(Review.of(labels), PlaneGrid("YX", labels.shape), doubts)
    boxes = [place.box for place in places]
    fixes = suggest(maps, card.outputs, labels, card.instances, boxes, object_size=size)
    found = doubts.suggest(fixes, labels).move([plane])
    corner = np.array([0, *(start for start, _ in cells.window)], np.int32)
    return replace(found, points=found.points + corner)
