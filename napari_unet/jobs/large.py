"""Images bigger than memory, segmented plane by plane from the disk to the disk.

The network's maps lie in a temporary folder beside the result.
"""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.core.base import InputError, IsCancelled, Progress, Report
from napari_unet.core.cells import link_cells, needed_maps
from napari_unet.core.image import Channels, Footprint, PlaneGrid, estimate_footprint, plan_planes
from napari_unet.io import BLOCK, ENDING, TEMPORARY, count_cells, fill_label_image
from napari_unet.jobs.lazy_plane import PlaneSlot, open_plane, plane_shape
from napari_unet.jobs.model_cache import check_channels, obey, resolve_model
from napari_unet.jobs.plane import OnDisk, segment_plane, tell_of_plane
from napari_unet.jobs.protocol import EstimateRequest, LargeRequest, LargeResult

if TYPE_CHECKING:
    from napari_unet.nn import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeRun:
    """How an image is segmented in parts; ``block`` is the side in px of what is labelled at a time.

    ``warn`` is given sentences for the user: what the run needs, and what speaks against the pixel size.
    """

    model: Model
    channel: Channels
    pixel_size: float | None
    report: Report
    warn: Callable[[str], object]
    block: int = BLOCK


def segment_to_disk(image: Any, grid: PlaneGrid, output: Path, run: LargeRun) -> Any:
    """Segment anything that has a shape, a dtype and slices into a label image on the disk; return its array.

    Raises InputError for an image that cannot be read, an ``output`` that does not end in .zarr or cannot be
    written, and where there is not room enough; then nothing is left behind.
    """
    if output.suffix != ENDING:
        raise InputError(f"{output.name} cannot be written: choose a name that ends in {ENDING}.")
    if np.dtype(image.dtype).kind not in "buif":
        raise InputError(f"The image has pixels of type {image.dtype}: convert them to numbers first.")
    indices = list(grid.indices())
    footprint = estimate(image, grid, run)
    _check_room(output, footprint)
    needs = f"The image ({grid.describe(run.channel)}) {footprint.describe()}."
    run.report(Progress(0.0, needs))
    run.warn(needs)
    with (
        fill_label_image(output, grid.label_shape, grid.label_axes, pixel_size=run.pixel_size) as labels,
        tempfile.TemporaryDirectory(
            prefix=f".{output.name}.", suffix=TEMPORARY, dir=output.parent, ignore_cleanup_errors=True
        ) as folder,
    ):
        questions = []
        for number, index in enumerate(indices):
            source, slot = open_plane(image, grid, index, run.channel), PlaneSlot(labels, grid.select(index))
            disk = OnDisk(Path(folder, str(number)), slot, run.block)
            found = segment_plane(
                run.model,
                source.read,
                source.shape,
                disk=disk,
                pixel_size=run.pixel_size,
                may_be_blank=len(indices) > 1,
                tell=tell_of_plane(run.report, number, len(indices)),
            )
            questions.append(found.question)
            shutil.rmtree(disk.folder, ignore_errors=True)
        if all(questions):
            run.warn(questions[0])
        if len(indices) > 1:
            run.report(Progress(1.0, "Linking the cells of all planes"))
            labels[...] = link_cells(np.asarray(labels[...]), grid.label_axes)
    import zarr

    return zarr.open_array(output / "0", mode="r")


def _chunk_bytes(image: Any) -> int:
    """Return the bytes of an image that are read at once, as far as it says."""
    chunk = getattr(image, "chunksize", None) or getattr(image, "chunks", None) or ()
    return math.prod(chunk) * np.dtype(image.dtype).itemsize if chunk else 0


def estimate(image: Any, grid: PlaneGrid, run: LargeRun) -> Footprint:
    """Return what `segment_to_disk` needs for an image, of which only shape, dtype and chunks count."""
    shape = plane_shape(grid)
    card = run.model.card
    seen = run.model.shape_seen(shape, card.image_scale(run.pixel_size))
    wanted = needed_maps(card.outputs)
    return estimate_footprint(
        shape,
        seen,
        card.network,
        len(wanted),
        tile=run.model.plan_tiles(seen).tile_shape,
        block=run.block,
        depth="distance" not in wanted,
        chunk=_chunk_bytes(image),
        planes=len(list(grid.indices())),
    )


def _check_room(output: Path, footprint: Footprint) -> None:
    try:
        free = shutil.disk_usage(output.parent).free
    except OSError as error:
        raise InputError(f"{output.parent} is not there: choose a folder for the labels.") from error
    if free < footprint.disk:
        raise InputError(
            f"The image {footprint.describe()}, but {output.parent} has {free / 1e9:.1f} GB left: make room "
            "or choose another drive."
        )


def segment_large_job(request: LargeRequest, report: Report, cancelled: IsCancelled) -> LargeResult:
    """Segment an image, which may be bigger than memory, into a label image on the disk."""
    start = perf_counter()
    tell, notes = obey(report, cancelled), list[str]()
    tell(Progress(0.0, "Loading the model"))
    grid, run = _plan(request, tell, notes.append)
    labels = segment_to_disk(request.image, grid, request.output, run)
    seconds = perf_counter() - start
    return LargeResult(cells=count_cells(labels), seconds=seconds, notes=tuple(notes[1:]))


def estimate_job(request: EstimateRequest, _report: Report, _cancelled: IsCancelled) -> str:
    """Say what a `segment_large_job` of an image with this outline would need."""
    grid, run = _plan(request, lambda progress: None, lambda said: None)
    return estimate(request.image, grid, run).describe()


def _plan(
    request: LargeRequest | EstimateRequest, report: Report, warn: Callable[[str], object]
) -> tuple[PlaneGrid, LargeRun]:
    params = request.params
    model = resolve_model(params.model, params.views)
    grid = plan_planes(tuple(request.image.shape), params.axes)
    channel = check_channels(grid, params.channel, model)
    return grid, LargeRun(
        model=model, channel=channel, pixel_size=params.pixel_size, report=report, warn=warn
    )
