"""Segment images: the function for Python and the command line, and the worker's jobs."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_unet.core.base import AUTO, IsCancelled, Labels, Progress, Report, ignore
from napari_unet.core.cells import link_cells
from napari_unet.core.image import Channels, PlaneGrid, check_pixels, plan_planes, read_boxes
from napari_unet.core.review import Doubts
from napari_unet.io import BLOCK
from napari_unet.jobs.choose_model import pick_model
from napari_unet.jobs.doubts import find_doubts
from napari_unet.jobs.large import LargeRun, segment_to_disk
from napari_unet.jobs.model_cache import check_channels, obey, resolve_model
from napari_unet.jobs.plane import PlaneCells, segment_plane, tell_of_plane
from napari_unet.jobs.protocol import SegmentRequest, SegmentResult, ViewRequest, ViewResult

if TYPE_CHECKING:
    from napari_unet.nn import Model


logger = logging.getLogger("napari_unet")


def segment(
    image: ArrayLike,
    model: Model | str | Path = AUTO,
    *,
    axes: str | None = None,
    channel: Channels = None,
    pixel_size: float | None = None,
    views: int | None = None,
    output: str | os.PathLike[str] | None = None,
    block: int = BLOCK,
    progress: Report | None = None,
    warn: Callable[[str], object] = logger.warning,
) -> Labels:
    """Return the cells of an image as int32 labels (0 is background) of the same spatial and time axes.

    ``model`` is a name, a file or a loaded model; by default it is the one that fits the image best.
    ``axes`` names the image's axes with the letters TZCYXS and is guessed if None. ``channel`` picks one
    (the first by default; RGB is turned to grey) or several, whose mean is looked at. ``pixel_size`` is in
    µm; ``warn`` is given a sentence where it does not suit the model. With ``views``, up to 8, the network's
    maps are averaged over so many turned and mirrored views: slower, and a little better. Planes are
    segmented one by one; then cells are linked along Z and T, so that a cell has one number in all its planes
    and frames, the daughters of a division have their own, and no two cells share one.

    With ``output``, a folder that ends in .zarr, the image may be bigger than memory: dask, zarr, or anything
    else with a shape, a dtype and slices. The labels go into a new OME-Zarr label image, whose zarr array is
    returned; ``warn`` is told how much memory it will take. ``block`` is the side in px of what is labelled
    at a time; it changes the memory that is needed, and not the cells.
    InputError for an image or a model that cannot be used; what ``progress`` raises ends the run.
    """
    report = progress or ignore
    array: Any = image if output is not None else np.asarray(image)
    grid = plan_planes(array.shape, axes)
    if output is None:
        check_pixels(array)
    report(Progress(0.0, "Loading the model"))
    if not isinstance(model, str | Path):
        loaded = resolve_model(model, views)
    else:
        name, why = pick_model(model, array, grid, channel=channel, pixel_size=pixel_size, report=report)
        loaded = resolve_model(name, views)
        logger.info("%s", why)
    channel = check_channels(grid, channel, loaded)
    if output is not None:
        run = LargeRun(
            model=loaded, channel=channel, pixel_size=pixel_size, block=block, report=report, warn=warn
        )
        return segment_to_disk(array, grid, Path(output), run)
    return _segment_planes(array, grid, loaded, channel, pixel_size, report=report, warn=warn)


def _segment_planes(
    image: NDArray[Any],
    grid: PlaneGrid,
    model: Model,
    channel: Channels,
    pixel_size: float | None,
    *,
    report: Report,
    warn: Callable[[str], object],
    look: Callable[[int, PlaneCells], object] = lambda number, cells: None,
) -> Labels:
    """Return the linked cells of all planes; `look(number, cells)` sees every plane's maps before they go."""
    labels = np.zeros(grid.label_shape, np.int32)
    indices, questions = list(grid.indices()), list[str]()
    for number, index in enumerate(indices):
        plane = grid.plane(image, index, channel)
        cells = segment_plane(
            model,
            read_boxes(plane),
            (plane.shape[0], plane.shape[1]),
            pixel_size=pixel_size,
            tell=tell_of_plane(report, number, len(indices)),
        )
        labels[grid.select(index)] = cells.labels
        questions.append(cells.question)
        look(number, cells)
    if all(questions):
        warn(questions[0])
    if len(indices) > 1:
        report(Progress(1.0, "Linking the cells of all planes"))
    return link_cells(labels, grid.label_axes)


def segment_job(request: SegmentRequest, report: Report, cancelled: IsCancelled) -> SegmentResult:
    """Do what `segment` does; tell, too, where labels are in doubt and at which scales planes were seen."""
    start, tell = perf_counter(), obey(report, cancelled)
    model, grid, channel = _begin(request, tell)
    doubts, scales, notes = list[Doubts](), list[float](), list[str]()

    def look(number: int, cells: PlaneCells) -> None:
        doubts.append(find_doubts(model.card, cells, number))
        scales.append(cells.scale)

    pixel_size = request.params.pixel_size
    labels = _segment_planes(
        request.image, grid, model, channel, pixel_size, report=tell, warn=notes.append, look=look
    )
    return SegmentResult(
        labels=labels,
        seconds=perf_counter() - start,
        scales=tuple(scales),
        doubts=Doubts.join(doubts),
        notes=tuple(notes),
    )


def segment_view_job(request: ViewRequest, report: Report, cancelled: IsCancelled) -> ViewResult:
    """Segment a box of one plane; tell, too, where labels are in doubt."""
    start, tell = perf_counter(), obey(report, cancelled)
    model, grid, channel = _begin(request, tell)
    plane = grid.plane(request.image, (0,) * len(grid.stack_shape), channel)

    def say(part: float, what: str) -> None:
        tell(Progress(part, f"Segmenting what you see: {what}"))

    cells = segment_plane(
        model,
        read_boxes(plane),
        (plane.shape[0], plane.shape[1]),
        request.box,
        pixel_size=request.params.pixel_size,
        scale=request.scale,
        tell=say,
    )
    return ViewResult(
        labels=cells.labels,
        window=cells.window,
        seconds=perf_counter() - start,
        scales=(cells.scale,),
        doubts=find_doubts(model.card, cells),
        notes=(cells.question,) if cells.question else (),
    )


def _begin(request: SegmentRequest | ViewRequest, report: Report) -> tuple[Model, PlaneGrid, Channels]:
    """Return the model, the planes and the channels that a request is about, once its pixels are checked."""
    params = request.params
    grid = plan_planes(request.image.shape, params.axes)
    check_pixels(request.image)
    report(Progress(0.0, "Loading the model"))
    model = resolve_model(params.model, params.views)
    return model, grid, check_channels(grid, params.channel, model)
