"""What a simulated user's corrections of data sets are worth: how fast the labels get right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from napari_unet.bench.annotator import Annotator, Task, Walk, count_objects, drop_crumbs
from napari_unet.bench.benchmark import DataSet
from napari_unet.core.base import InputError, SegmentParams
from napari_unet.core.cells import evaluate
from napari_unet.io import read_image, read_labels
from napari_unet.jobs import SegmentRequest, segment_job
from napari_unet.models import find_model

STEPS = 20
_ALL = 1_000_000


class Curve(BaseModel):
    """How good labels are after so many objects were looked at, from none on; see `bench.annotator.Work`."""

    model_config = ConfigDict(frozen=True)

    looked: list[int] = Field(description="Objects looked at.")
    corrected: list[int] = Field(description="Of these, objects that were wrong.")
    ap50: list[float] = Field(description="Average precision at IoU 0.5 of the labels as they are then.")
    mean_ap: list[float] = Field(description="Mean average precision over IoU 0.5 to 0.9.")

    def count_looks(self, ap50: float) -> float:
        """Return the objects to look at to reach an AP, infinity where that is not reached."""
        above = np.flatnonzero(np.asarray(self.ap50) >= ap50)
        if not above.size:
            return float("inf")
        last = int(above[0])
        if last == 0:
            return 0.0
        pair = slice(last - 1, last + 1)
        return float(np.interp(ap50, self.ap50[pair], self.looked[pair]))


def segment_tasks(data_set: DataSet, model: str, precision: str = "fastest") -> list[Task]:
    """Segment the images of a data set as the window does; InputError where one is no single plane."""
    from napari_unet.nn import use_policy

    use_policy(precision)
    tasks = []
    path = str(find_model(model))
    for pair in data_set.pairs:
        file, truth = read_image(pair.image), read_labels(pair.labels)
        if truth.ndim != 2:
            raise InputError(f"{pair.labels.name} has {truth.ndim} axes: choose a data set of single planes.")
        params = SegmentParams(model=path, axes=file.axes, pixel_size=file.pixel_size)
        request = SegmentRequest(image=file.data, params=params)
        found = segment_job(request, lambda progress: None, lambda: False)
        tasks.append(Task(found.labels, truth, found.doubts))
    return tasks


def measure_curve(tasks: Sequence[Task], walk: Walk, *, steps: int = STEPS, seed: int = 0) -> Curve:
    """Correct all images, in `steps` of as many objects each, and score the labels after each step."""
    truths = [drop_crumbs(task.truth) for task in tasks]
    users = [Annotator([task], walk, seed=seed + 1000 * at) for at, task in enumerate(tasks)]
    objects = [count_objects(t.prediction, truth) for t, truth in zip(tasks, truths, strict=True)]
    rows = []
    for step in range(steps + 1):
        for user, count in zip(users, objects, strict=True):
            # Looks at nothing are not among the objects: the last step sees to all that is left.
            user.work((round(count * step / steps) if step < steps else _ALL) - user.done.looked)
        scores = evaluate([user.reviews[0].labels for user in users], truths)
        looked, corrected = (sum(getattr(u.done, name) for u in users) for name in ("looked", "corrected"))
        rows.append((looked, corrected, scores.ap50, scores.mean_ap))
    return Curve(**dict(zip(Curve.model_fields, map(list, zip(*rows, strict=True)), strict=True)))
