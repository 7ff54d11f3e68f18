"""A batch as a job of the worker process, where its cluster lives: the window's process never sees Dask.

Whichever way that process ends, so do those that it started: each holds a pipe to it and ends itself, on
every system, when that is closed (`distributed.process.AsyncProcess`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_unet.core.base.progress import IsCancelled, Progress, Report
from napari_unet.jobs.batch import plan_batch, run_batch
from napari_unet.jobs.batch_task import Outcome
from napari_unet.jobs.cluster import open_cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a batch is to do: the options of `plan_batch` and of `open_cluster`."""

    output: Path
    model: str | Path
    axes: str | None = None
    channel: int | tuple[int, ...] | None = None
    pixel_size: float | None = None
    views: int = 1
    workers: int | None = None
    scheduler: str | None = None


def segment_files(request: dict[str, Any], report: Report, cancelled: IsCancelled) -> list[Outcome]:
    """Segment the images `request["inputs"]` as `request["order"]` says; each outcome is reported as news."""
    inputs: Sequence[Path] = request["inputs"]
    order: Order = request["order"]

    def say(sentence: str) -> None:
        report(Progress(message=sentence))

    say("Looking at the images and the folder")
    tasks = plan_batch(
        inputs,
        order.output,
        order.model,
        axes=order.axes,
        channel=order.channel,
        pixel_size=order.pixel_size,
        views=order.views,
    )
    with open_cluster(order.scheduler, order.workers, len(tasks), say) as client:
        return run_batch(client, tasks, lambda outcome: report(Progress(news=(outcome,))), cancelled)


JOBS = {"batch": segment_files}
