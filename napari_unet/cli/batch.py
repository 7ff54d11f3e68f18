"""The commands `segment` and `batch`: many images in this process, or on many."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer

from napari_unet.cli.console import (
    AxesOption,
    ChannelOption,
    JsonOption,
    ModelOption,
    PixelOption,
    ViewsOption,
    option,
    report,
    say,
)
from napari_unet.core.base import AUTO, BatchParams, InputError, Progress, SegmentParams

if TYPE_CHECKING:
    from napari_unet.jobs import Outcome, Task


Inputs = Annotated[list[Path], typer.Argument(help="Image files, or folders of them.")]
Output = Annotated[
    Path,
    typer.Option(help="Folder for <stem>.tif, or .zarr of a large image, <stem>.json and results.csv."),
]


def segment(
    inputs: Inputs,
    output: Output,
    model: ModelOption = AUTO,
    axes: AxesOption = None,
    channel: ChannelOption = None,
    pixel_size: PixelOption = None,
    views: ViewsOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Segment images one after the other; give it again to go on after an interruption."""
    from napari_unet.jobs import find_labels, plan_batch, run_here

    params = SegmentParams.of(model=model, axes=axes, channel=channel, pixel_size=pixel_size, views=views)
    tasks = plan_batch(inputs, output, params)

    def tell(outcome: Outcome) -> None:
        if outcome.status == "kept" and outcome.notes:
            say(f"{outcome.file.name}: {outcome.notes}")
        if not outcome.error:
            by = f" by {outcome.model}" if outcome.model else ""
            say(f"{_describe(outcome)}{by} -> {find_labels(outcome.file, output)}")
        elif len(tasks) > 1:
            say(_describe(outcome))

    def warn(task: Task, note: str) -> None:
        say(f"{task.image.name}: {note}")

    outcomes = run_here(tasks, tell, report, warn)
    failed = [outcome for outcome in outcomes if outcome.error]
    if failed and len(tasks) == 1:
        raise InputError(_describe(failed[0]))
    if as_json:
        done = [
            {
                "image": str(outcome.file),
                "labels": str(find_labels(outcome.file, output)),
                "cells": outcome.cells,
                "model": outcome.model or model,
            }
            for outcome in outcomes
            if not outcome.error
        ]
        problems = [{"image": str(outcome.file), "error": outcome.error} for outcome in failed]
        print(json.dumps({"segmented": done, "failed": problems}, indent=2))
    if failed:
        raise InputError(f"{len(failed)} of {len(tasks)} images could not be segmented; the others are done.")


def batch(
    inputs: Inputs,
    output: Output,
    model: ModelOption = AUTO,
    axes: AxesOption = None,
    channel: ChannelOption = None,
    pixel_size: PixelOption = None,
    views: ViewsOption = 1,
    scheduler: Annotated[str | None, option(BatchParams, "scheduler")] = None,
    workers: Annotated[int | None, option(BatchParams, "workers")] = None,
    as_json: JsonOption = False,
) -> None:
    """Segment many images with several processes; give it again to go on after an interruption."""
    from napari_unet.jobs import TABLE, collect_notes, name_files, open_cluster, plan_batch, run_batch

    if scheduler and workers:
        raise InputError("A scheduler has workers of its own: give --workers or --scheduler, not both.")
    params = SegmentParams.of(model=model, axes=axes, channel=channel, pixel_size=pixel_size, views=views)
    tasks = plan_batch(inputs, output, params)
    with open_cluster(scheduler, workers, len(tasks), say) as client:
        outcomes = run_batch(client, tasks, _follow(len(tasks)))
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    for note, about in collect_notes(outcomes).items():
        say(f"{name_files(about)}: {note}")
    if as_json:
        results = [asdict(outcome) for outcome in outcomes]
        print(json.dumps({"table": str(output / TABLE), "results": results}, indent=2, default=str))
    if failed:
        sentences = "\n".join(map(_describe, failed))
        raise InputError(f"{len(failed)} of {len(outcomes)} images failed; the others are done.\n{sentences}")


def _follow(total: int) -> Callable[[Outcome], None]:
    """Return what tells of each image as it is finished, and of the time that is left."""
    start, done = perf_counter(), 0

    def tell(outcome: Outcome) -> None:
        nonlocal done
        done += 1
        say(_describe(outcome))
        left = (perf_counter() - start) / done * (total - done)
        report(Progress(done / total, f"{done} of {total} images, about {left:.0f} s left"))

    return tell


def _describe(outcome: Outcome) -> str:
    name = outcome.file.name
    if outcome.error:
        return outcome.error if name in outcome.error else f"{name}: {outcome.error}"
    return f"{name}: {outcome.cells} cells{' (kept)' * (outcome.status == 'kept')}"
