"""The command `batch`: many images on many processes."""

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
    report,
    say,
)
from napari_unet.core.base import InputError, Progress
from napari_unet.models import AUTO

if TYPE_CHECKING:
    from napari_unet.jobs import Outcome


def batch(
    inputs: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.")],
    output: Annotated[Path, typer.Option(help="Folder for <stem>.tif, their records and results.csv.")],
    model: ModelOption = AUTO,
    axes: AxesOption = None,
    channel: ChannelOption = None,
    pixel_size: PixelOption = None,
    views: ViewsOption = 1,
    scheduler: Annotated[
        str | None, typer.Option(help="A Dask scheduler that is running, tcp://host:port or tls://host:port.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes on this machine; by default as many as suit it.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Segment many images with several processes; give it again to go on after an interruption."""
    from napari_unet.jobs import TABLE, collect_notes, name_files, open_cluster, plan_batch, run_batch

    if scheduler and workers:
        raise InputError("A scheduler has workers of its own: give --workers or --scheduler, not both.")
    tasks = plan_batch(inputs, output, model, axes=axes, channel=channel, pixel_size=pixel_size, views=views)
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
