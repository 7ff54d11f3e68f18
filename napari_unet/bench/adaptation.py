"""How much better a model gets on images of another kind by few corrections, and what it forgets meanwhile.

A simulated user corrects train images of a data set up to a number of objects, `fine_tune` learns from that
for as long as the effort says, and the new model is scored on the val images, which nobody corrected.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time, time
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from napari_unet.bench.annotator import WALKS, Annotator, Task
from napari_unet.bench.benchmark import DataSet
from napari_unet.core.base import FineTuneParams, Labels, Mask, Progress, Report
from napari_unet.core.cells import Scores, evaluate
from napari_unet.io import read_image, read_labels
from napari_unet.jobs import fine_tune, segment
from napari_unet.models import find_model

if TYPE_CHECKING:
    from napari_unet.nn import Model

PER_PLACE = 5
"""Objects that the user looks at in one view."""
PER_IMAGE = 10
"""Objects that the user looks at in an image before the next one is opened."""


class Point(BaseModel):
    """What is measured: objects looked at, none for the whole train folder; 0 for the model as it is."""

    model_config = ConfigDict(frozen=True)

    data_set: str
    model: str
    objects: int | None
    walk: str = "queue"
    seconds: float = 60.0
    steps: int | None = None
    seed: int = 0
    precision: str = Field("fastest", description="A dtype policy of Keras, or the fastest one here.")
    settings: dict[str, float] = Field(default_factory=dict, description="Of `FineTuneParams`, for pilots.")

    @property
    def name(self) -> str:
        """A name for a file, another one for every other point."""
        amount = "all" if self.objects is None else f"{self.objects:03}"
        effort = f"{self.seconds:g}s" if self.steps is None else f"{self.steps}steps"
        kind, model = self.data_set.replace("/", "_"), Path(self.model).stem
        pilot = [f"{name}{value:g}" for name, value in sorted(self.settings.items())]
        return "-".join((kind, model, amount, self.walk, effort, f"seed{self.seed}", self.precision, *pilot))


class Adaptation(BaseModel):
    """What came of a point."""

    model_config = ConfigDict(frozen=True)

    point: Point
    images: int = Field(0, description="Train images with corrections.")
    looked: int | None = Field(None, description="Objects looked at.")
    corrected: int | None = Field(None, description="Of these, objects that were wrong.")
    seconds: float = Field(0.0, description="From the start of a new process to labels of the new model.")
    cpu_seconds: float = Field(0.0, description="Of that process, all threads, up to the same moment.")
    steps: int = 0
    accepted: bool | None = None
    verdict: str = ""
    val: Scores = Field(description="On the val images.")
    old: Scores = Field(description="On val images of a data set that the parent knows.")


@dataclass(frozen=True, slots=True)
class Corrections:
    """The images, by number, in which the user has corrected something; `reviewed` is None for all."""

    numbers: list[int]
    labels: list[Labels]
    reviewed: list[Mask] | None
    looked: int | None = None
    corrected: int | None = None


def correct_images(tasks: Sequence[Task], point: Point) -> Corrections:
    """Let a simulated user, to whom images come in random order, correct as many objects as a point says."""
    if point.objects is None:
        truths = [task.truth for task in tasks]
        return Corrections(numbers=list(range(len(tasks))), labels=truths, reviewed=None)
    order = np.random.default_rng(point.seed).permutation(len(tasks))
    user = Annotator(
        [tasks[at] for at in order],
        WALKS[point.walk],
        per_place=PER_PLACE,
        per_image=PER_IMAGE,
        seed=point.seed,
    )
    user.work(point.objects)
    seen = [(at, r) for at, r in zip(order, user.reviews, strict=True) if r.reviewed().any()]
    return Corrections(
        numbers=[int(at) for at, _ in seen],
        labels=[review.labels for _, review in seen],
        reviewed=[review.reviewed() for _, review in seen],
        looked=user.done.looked,
        corrected=user.done.corrected,
    )


def measure_adaptation(
    point: Point,
    corrections: Corrections,
    train: DataSet,
    val: DataSet,
    old: DataSet,
    *,
    started: float | None = None,
    report: Report = lambda progress: None,
) -> Adaptation:
    """Fine-tune the point's model on corrections and score it; `started` is when the user pressed, `time()`.

    To be called in a new process, whose CPU time is counted.
    """
    from napari_unet.nn import use_policy

    use_policy(point.precision)
    model: Model | Path = find_model(point.model)
    made: dict[str, Any] = {}
    if corrections.numbers:
        waited = 0.0 if started is None else time() - started
        begun = perf_counter() - waited
        files = [read_image(train.pairs[number].image) for number in corrections.numbers]
        result = fine_tune(
            find_model(point.model),
            [file.data for file in files],
            corrections.labels,
            reviewed=corrections.reviewed,
            axes=[file.axes for file in files],
            pixel_size=[file.pixel_size for file in files],
            steps=point.steps,
            seconds=point.seconds,
            params=FineTuneParams(**point.settings),
            examine=False,
            seed=point.seed,
            started=begun,
            next_planes=[corrections.labels[-1].shape],
            progress=report,
        )
        model = result.model
        segment(files[-1].data, model, axes=files[-1].axes, pixel_size=files[-1].pixel_size)
        made = {
            "seconds": perf_counter() - begun,
            "cpu_seconds": process_time(),
            "steps": len(result.history),
            "accepted": result.accepted,
            "verdict": str(result.verdict),
        }
    report(Progress(1.0, "Scoring on val images"))
    return Adaptation(
        point=point,
        images=len(corrections.numbers),
        looked=corrections.looked,
        corrected=corrections.corrected,
        val=score_model(model, val),
        old=score_model(model, old),
        **made,
    )


def score_model(model: Model | Path, data_set: DataSet) -> Scores:
    """Score a model, or a file of one, on a data set."""
    predictions, truths = [], []
    for pair in data_set.pairs:
        file = read_image(pair.image)
        predictions.append(segment(file.data, model, axes=file.axes, pixel_size=file.pixel_size))
        truths.append(read_labels(pair.labels))
    return evaluate(predictions, truths)


_COLUMNS: dict[str, Callable[[Adaptation, Adaptation | None], str]] = {
    "data set": lambda it, _: it.point.data_set,
    "objects looked at": lambda it, _: "all" if it.point.objects is None else str(it.looked),
    "corrected": lambda it, _: "" if it.corrected is None else str(it.corrected),
    "images": lambda it, _: str(it.images),
    "effort": lambda it, _: _describe_effort(it),
    "wall s": lambda it, _: f"{it.seconds:.0f}" if it.images else "",
    "CPU s": lambda it, _: f"{it.cpu_seconds:.0f}" if it.images else "",
    "steps": lambda it, _: str(it.steps) if it.images else "",
    "accepted": lambda it, _: {True: "yes", False: "no", None: ""}[it.accepted],
    "AP 0.5": lambda it, _: f"{it.val.ap50:.2f}",
    "of whole": lambda it, whole: f"{it.val.ap50 / whole.val.ap50:.0%}" if whole and whole.val.ap50 else "",
    "mean AP": lambda it, _: f"{it.val.mean_ap:.2f}",
    "IoU per cell": lambda it, _: f"{it.val.mean_iou:.2f}",
    "old AP 0.5": lambda it, _: f"{it.old.ap50:.3f}",
}


def render_adaptations(results: Sequence[Adaptation]) -> str:
    """Return the results as a Markdown table.

    "of whole" is a result's AP as a part of that of the first result with the whole train folder of its data.
    """
    rows = [list(_COLUMNS), ["---"] * len(_COLUMNS)]
    for each in results:
        same = (r for r in results if r.point.data_set == each.point.data_set)
        whole = next((r for r in same if r.point.objects is None), None)
        rows.append([show(each, whole) for show in _COLUMNS.values()])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def render_summary(results: Sequence[Adaptation]) -> str:
    """Return AP 0.5 on val images as a Markdown table: a row for each data set, a column for each amount.

    "25 of whole" and "100 of whole" are as parts of what the whole train folder gives, "old" is the AP 0.5 on
    what the parent knows, as it was and after the most objects. The last row has the means.
    """
    rows = [_summarise([r for r in results if r.point.data_set == name]) for name in _list_sets(results)]
    header = list(dict.fromkeys(key for row in rows for key in row))
    mean: dict[str, float] = {}
    for key in header:
        numbers = [value for row in rows if isinstance(value := row.get(key), float)]
        mean |= {key: float(np.mean(numbers))} if numbers else {}
    lines = [header, ["---"] * len(header)]
    lines += [[_show(row.get(key, "")) for key in header] for row in rows]
    lines.append(["mean", *(_show(mean.get(key, "")) for key in header[1:])])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _list_sets(results: Sequence[Adaptation]) -> list[str]:
    return list(dict.fromkeys(result.point.data_set for result in results))


def _summarise(results: Sequence[Adaptation]) -> dict[str, str | float]:
    """Return the row of a data set; of several seeds and walks the means."""
    groups: dict[int | None, list[Adaptation]] = {}
    for result in results:
        groups.setdefault(result.point.objects, []).append(result)
    ap = {amount: float(np.mean([r.val.ap50 for r in group])) for amount, group in groups.items()}
    row: dict[str, str | float] = {"data set": results[0].point.data_set}
    row |= {_AMOUNTS.get(amount, str(amount)): value for amount, value in ap.items()}
    whole = ap.get(None)
    row |= {f"{n} of whole": ap[n] / whole for n in (25, 100) if n in ap and whole}
    row |= {"old, before": groups[0][0].old.ap50} if 0 in groups else {}
    most = max((amount for amount in groups if amount), default=None)
    row |= {"old, after": float(np.mean([r.old.ap50 for r in groups[most]]))} if most else {}
    return row


_AMOUNTS = {0: "parent", None: "whole"}


def _show(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.2f}"


def _describe_effort(it: Adaptation) -> str:
    if not it.images:
        return ""
    return f"{it.point.seconds:g} s" if it.point.steps is None else f"{it.point.steps} steps"
