"""Segment images: the function for Python and the command line, and the worker's job."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from napari_unet.core.base import IsCancelled, Labels, Progress, Report, ignore
from napari_unet.core.cells import link_cells
from napari_unet.core.image import Channels, check_pixels, plan_planes, read_boxes
from napari_unet.core.review import Doubts
from napari_unet.io import BLOCK
from napari_unet.jobs.choose_model import pick_model
from napari_unet.jobs.doubts import find_doubts
from napari_unet.jobs.large import LargeRun, segment_to_disk
from napari_unet.jobs.model_cache import check_channels, obey, resolve_model
from napari_unet.jobs.plane import PlaneCells, segment_plane, tell_of_plane
from napari_unet.models import AUTO

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
    return _segment(
        image,
        model,
        axes=axes,
        channel=channel,
        pixel_size=pixel_size,
        views=views,
        output=output,
        block=block,
        report=progress or ignore,
        warn=warn,
        look=lambda number, model, cells: None,
    )


def _segment(
    image: ArrayLike,
    model: Model | str | Path,
    *,
    axes: str | None = None,
    channel: Channels = None,
    pixel_size: float | None = None,
    views: int | None = None,
    output: str | os.PathLike[str] | None = None,
    block: int = BLOCK,
    report: Report,
    warn: Callable[[str], object],
    look: Callable[[int, Model, PlaneCells], object],
) -> Labels:
    """Do what `segment` does; `look(number, model, cells)` sees every plane's maps before they go."""
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
    labels = np.zeros(grid.label_shape, np.int32)
    indices, questions = list(grid.indices()), list[str]()
    for number, index in enumerate(indices):
        plane = grid.plane(array, index, channel)
        cells = segment_plane(
            loaded,
            read_boxes(plane),
            (plane.shape[0], plane.shape[1]),
            pixel_size=pixel_size,
            tell=tell_of_plane(report, number, len(indices)),
        )
        labels[grid.select(index)] = cells.labels
        questions.append(cells.question)
        look(number, loaded, cells)
    if all(questions):
        warn(questions[0])
    if len(indices) > 1:
        report(Progress(1.0, "Linking the cells of all planes"))
    return link_cells(labels, grid.label_axes)


Request = dict[str, Any]


def segment_job(request: Request, report: Report, cancelled: IsCancelled) -> dict[str, Any]:
    """Do what `segment` does; tell, too, where labels are in doubt and at which scales planes were seen."""
    start = perf_counter()
    model = resolve_model(request.pop("model"), request.pop("views", None))
    doubts: list[Doubts] = []
    scales: list[float] = []
    notes: list[str] = []

    def look(number: int, model: Model, cells: PlaneCells) -> None:
        doubts.append(find_doubts(model.card, cells, number))
        scales.append(cells.scale)

    labels = _segment(model=model, report=obey(report, cancelled), warn=notes.append, look=look, **request)
    return {
        "labels": labels,
        "doubts": Doubts.join(doubts),
        "scales": scales,
        "seconds": perf_counter() - start,
        "model": model.sha256,
        "notes": notes,
    }
