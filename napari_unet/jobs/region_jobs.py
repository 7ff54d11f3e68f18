"""Jobs of the worker process on parts of images, and on images that are only read in parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from napari_unet.core.base import IsCancelled, Progress, Report
from napari_unet.core.image import PlaneGrid, check_pixels, read_boxes
from napari_unet.io import count_cells
from napari_unet.jobs.doubts import find_doubts
from napari_unet.jobs.large import LargeRun, estimate, segment_to_disk
from napari_unet.jobs.model_cache import check_channels, obey, resolve_model
from napari_unet.jobs.plane import segment_plane

Request = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outline:
    """An image without its pixels: what `estimate` has to know of it."""

    shape: tuple[int, ...]
    dtype: str
    chunksize: tuple[int, ...]

    @classmethod
    def of(cls, image: Any) -> Outline:
        """Return the outline of anything with a shape, a dtype and perhaps chunks."""
        chunks = getattr(image, "chunksize", None) or getattr(image, "chunks", None) or ()
        return cls(tuple(image.shape), str(image.dtype), tuple(chunks))


def segment_view_job(request: Request, report: Report, cancelled: IsCancelled) -> dict[str, Any]:
    """Segment a box (rows, columns) of one plane; the labels (y, x) are of `window`, which contains it."""
    start, tell = perf_counter(), obey(report, cancelled)
    tell(Progress(0.0, "Loading the model"))
    model = resolve_model(request["model"], request.get("views"))
    image, pixel_size = request["image"], request["pixel_size"]
    grid = PlaneGrid(request["axes"], image.shape)
    check_pixels(image)
    channel = check_channels(grid, request["channel"], model)
    plane = grid.plane(image, (0,) * len(grid.stack_shape), channel)

    def say(part: float, what: str) -> None:
        tell(Progress(part, f"Segmenting what you see: {what}"))

    cells = segment_plane(
        model,
        read_boxes(plane),
        (plane.shape[0], plane.shape[1]),
        request["box"],
        pixel_size=pixel_size,
        scale=request["scale"],
        tell=say,
    )
    return {
        "labels": cells.labels,
        "window": cells.window,
        "scales": [cells.scale],
        "doubts": find_doubts(model.card, cells),
        "seconds": perf_counter() - start,
        "model": model.sha256,
        "notes": [cells.question] if cells.question else [],
    }


def segment_large_job(request: Request, report: Report, cancelled: IsCancelled) -> dict[str, Any]:
    """Segment an image, which may be bigger than memory, into the label image `output` on the disk."""
    start = perf_counter()
    tell, notes = obey(report, cancelled), list[str]()
    tell(Progress(0.0, "Loading the model"))
    grid, run = _plan(request, tell, notes.append)
    labels = segment_to_disk(request["image"], grid, Path(request["output"]), run)
    cells = count_cells(labels)
    return {"cells": cells, "seconds": perf_counter() - start, "model": run.model.sha256, "notes": notes[1:]}


def estimate_job(request: Request, _report: Report, _cancelled: IsCancelled) -> dict[str, Any]:
    """Say what a `segment_large_job` of an image with the outline `image` would need."""
    grid, run = _plan(request, lambda progress: None, lambda said: None)
    return {"needs": estimate(request["image"], grid, run).describe()}


def _plan(request: Request, report: Report, warn: Callable[[str], object]) -> tuple[PlaneGrid, LargeRun]:
    model = resolve_model(request["model"], request.get("views"))
    grid = PlaneGrid(request["axes"], tuple(request["image"].shape))
    channel = check_channels(grid, request["channel"], model)
    return grid, LargeRun(
        model=model, channel=channel, pixel_size=request["pixel_size"], report=report, warn=warn
    )
