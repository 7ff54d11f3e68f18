"""What a user asks of a model: segment images, fine-tune on corrections, evaluate.

The same functions serve Python, the command line and, through ``JOBS``, the worker process.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter, time
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_unet.core.base.arrays import as_labels
from napari_unet.core.base.errors import DoubtfulError, InputError
from napari_unet.core.base.params import FineTuneParams
from napari_unet.core.base.progress import IsCancelled, Progress, Report
from napari_unet.core.cells.link import link_cells
from napari_unet.core.cells.metrics import Scores
from napari_unet.core.cells.targets import number_cells
from napari_unet.core.image.axes import Channels, PlaneGrid, plan_planes
from napari_unet.core.image.normalise import check_pixels, normalise
from napari_unet.core.review.doubt import Doubts
from napari_unet.core.review.review import ignore_crumbs
from napari_unet.io.hashing import hash_image
from napari_unet.io.zarr_write import BLOCK
from napari_unet.jobs.choose_model import Choice, choose_model, pick_model
from napari_unet.jobs.large import LargeRun, segment_to_disk
from napari_unet.jobs.model_cache import check_channels, obey, resolve_model
from napari_unet.jobs.region_jobs import estimate_job, segment_large_job, segment_view_job
from napari_unet.jobs.train import software_versions
from napari_unet.models.library import verify_model
from napari_unet.models.registry import AUTO

if TYPE_CHECKING:
    from napari_unet.nn.learn.fine_tune import CorrectedPlane, FineTuneResult
    from napari_unet.nn.model import Model, Prediction

Labels = NDArray[np.int32]

logger = logging.getLogger("napari_unet")


def _ignore(progress: Progress) -> None:
    pass


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
    um; ``warn`` is given a sentence where it does not suit the model. With ``views``, up to 8, the network's
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
        report=progress or _ignore,
        warn=warn,
        look=lambda number, model, prediction: None,
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
    look: Callable[[int, Model, Prediction], object],
) -> Labels:
    """Do what `segment` does; `look(number, model, prediction)` sees every plane's maps before they go."""
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

        def on_tile(done: int, total: int, number: int = number) -> None:
            where = f"plane {number + 1} of {len(indices)}, " if len(indices) > 1 else ""
            fraction = (number + done / total) / len(indices)
            report(Progress(fraction, f"Segmenting: {where}tile {done} of {total}"))

        prediction = loaded.predict(normalise(plane), pixel_size=pixel_size, on_tile=on_tile)
        labels[grid.select(index)] = prediction.labels
        questions.append(loaded.question_pixels(prediction, pixel_size))
        look(number, loaded, prediction)
    if all(questions):
        warn(questions[0])
    if len(indices) > 1:
        report(Progress(1.0, "Linking the cells of all planes"))
    return link_cells(labels, grid.label_axes)


def fine_tune(
    model: Model | str | Path,
    images: ArrayLike | Sequence[ArrayLike],
    labels: ArrayLike | Sequence[ArrayLike],
    *,
    reviewed: ArrayLike | Sequence[ArrayLike] | None = None,
    validation: tuple[Sequence[ArrayLike], Sequence[ArrayLike]] | None = None,
    steps: int | None = None,
    seconds: float | None = None,
    seed: int = 0,
    progress: Report | None = None,
    axes: str | Sequence[str] | None = None,
    channel: Channels = None,
    pixel_size: float | Sequence[float | None] | None = None,
    name: str | None = None,
    names: Sequence[str] = (),
    seen_at: Sequence[float | None] = (),
    started: float | None = None,
    next_planes: Sequence[tuple[int, ...]] = (),
    hashes: Sequence[str] | None = None,
    anyway: bool = False,
    examine: bool = True,
    params: FineTuneParams | None = None,
) -> FineTuneResult:
    """Fine-tune ``model`` on corrected ``labels`` of ``images`` and compare the result with it.

    Each image may have any axes; its labels, and the ``reviewed`` mask that says which pixels may teach
    (all if None), have the image's spatial and time axes. Part of the corrections is held out for the
    comparison unless ``validation`` (images, labels) is given. ``pixel_size`` is in µm, of all images or of
    each. ``steps`` fixes the number of weight updates; without it the work ends ``seconds`` (60) after
    ``started`` (perf_counter; now if None), early enough to segment planes of the shapes ``next_planes``;
    ``params`` has the rest that can be tuned. The model given is never changed. The new model's card names
    the images by ``hashes``, one each, which are computed if None; ``names`` are for messages, ``seen_at``
    are the scales at which the old model saw them when they were segmented, where that is known. Afterwards
    both models are tried on scenes that the old one knows, unless not to ``examine`` is asked for.
    InputError if shapes do not fit or nothing usable was reviewed; DoubtfulError, unless ``anyway``, if the
    labels do not seem to belong to the images.
    """
    from napari_unet.nn.learn.fine_tune import fine_tune_planes

    report = progress or _ignore
    report(Progress(0.0, "Loading the model"))
    parent = resolve_model(model)
    pixels, truth = _as_list(images), _as_list(labels)
    masks = [None] * len(pixels) if reviewed is None else _as_list(reviewed)
    every_axes = [axes] * len(pixels) if axes is None or isinstance(axes, str) else list(axes)
    _check_counts(len(pixels), len(truth), len(masks), len(every_axes))
    sizes = list(pixel_size) if isinstance(pixel_size, Sequence) else [pixel_size] * len(pixels)
    called = list(names) or [""] * len(pixels)
    scales = list(seen_at) or [None] * len(pixels)
    planes: list[CorrectedPlane] = []
    for image, target, mask, letters, size, scale, title in zip(
        pixels, truth, masks, every_axes, sizes, scales, called, strict=True
    ):
        found = _corrected_planes(image, target, mask, letters, channel, parent)
        planes += [replace(plane, pixel_size=size, seen_at=scale, name=title) for plane in found]
    held: list[CorrectedPlane] = []
    for image, target in zip(*(_as_list(part) for part in validation or ([], [])), strict=True):
        found = _corrected_planes(image, target, None, None, channel, parent)
        held += [replace(plane, pixel_size=sizes[0]) for plane in found]
    given = {key: value for key, value in (("steps", steps), ("seconds", seconds)) if value is not None}
    result = fine_tune_planes(
        parent,
        planes,
        (params or FineTuneParams()).model_copy(update={**given, "seed": seed}),
        name=name or f"{parent.card.name}-tuned",
        validation=held,
        next_planes=next_planes,
        report=report,
        started=started,
        anyway=anyway,
    )
    if examine:
        report(Progress(1.0, "Looking at what the new model still knows"))
        result = examine_result(result, parent)
    return _sign(result, [hash_image(image) for image in pixels] if hashes is None else hashes)


def examine_result(result: FineTuneResult, parent: Model) -> FineTuneResult:
    """Return the result with what both models score on scenes that the parent knows, on the card as well."""
    from napari_unet.nn.learn.rehearsal import measure_known

    before, after = measure_known(parent, result.model)
    card = result.model.card
    scores = {**card.scores, "known": {"before": before, "after": after}}
    model = replace(result.model, card=card.model_copy(update={"scores": scores}))
    return replace(result, model=model, known_before=before, known_after=after)


def _sign(result: FineTuneResult, hashes: Sequence[str]) -> FineTuneResult:
    """Add to a new model's card when, by what software and from which images it was made."""
    card = result.model.card
    made = {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "training": {**card.training, "image_sha256": sorted(set(hashes))},
        "versions": {**card.versions, **software_versions()},
    }
    return replace(result, model=replace(result.model, card=card.model_copy(update=made)))


def evaluate(predictions: Any, labels: Any) -> Scores:
    """Score predicted label images against true ones; see ``napari_unet.core.cells.metrics.evaluate``."""
    from napari_unet.core.cells.metrics import evaluate as score

    return score(predictions, labels)


def _as_list(arrays: Any) -> list[NDArray[Any]]:
    if isinstance(arrays, np.ndarray):
        return [arrays]
    return [np.asarray(array) for array in arrays]


def _check_counts(images: int, labels: int, masks: int, axes: int) -> None:
    if not images:
        raise InputError("There is no image to learn from: give at least one with its corrected labels.")
    if not images == labels == masks == axes:
        raise InputError(
            f"There are {images} images, {labels} label images and {masks} reviewed masks: give one of each."
        )


def _corrected_planes(
    image: NDArray[Any],
    labels: NDArray[Any],
    reviewed: NDArray[Any] | None,
    axes: str | None,
    channel: Channels,
    model: Model,
) -> list[CorrectedPlane]:
    from napari_unet.nn.learn.fine_tune import CorrectedPlane

    grid = plan_planes(image.shape, axes)
    check_pixels(image)
    truth = as_labels(labels)
    mask = np.ones(truth.shape, bool) if reviewed is None else np.asarray(reviewed) != 0
    if truth.shape != grid.label_shape or mask.shape != grid.label_shape:
        raise InputError(
            f"Labels of shape {truth.shape} and a reviewed mask of shape {mask.shape} do not fit an image of "
            f"shape {image.shape}: they need the shape {grid.label_shape}."
        )
    channel = check_channels(grid, channel, model)
    planes = []
    for index in grid.indices():
        where = grid.select(index)
        seen = ignore_crumbs(truth[where], mask[where])
        if seen.any():
            cells = number_cells(truth[where])
            planes.append(CorrectedPlane(grid.plane(image, index, channel), cells, seen))
    return planes


Request = dict[str, Any]


def _warm_up_job(request: Request, _report: Report, _cancelled: IsCancelled) -> dict[str, Any]:
    from napari_unet.nn.backend import backend_name, fast_policy
    from napari_unet.nn.learn.timing import estimate_step

    model = resolve_model(request["model"])
    model.predict_maps(np.zeros((32, 32, model.card.network.channels), np.float32))
    return {
        "backend": backend_name(),
        "bfloat16": fast_policy() == "mixed_bfloat16",
        "step_seconds": estimate_step(model),
    }


def _segment_job(request: Request, report: Report, cancelled: IsCancelled) -> dict[str, Any]:
    start = perf_counter()
    model = resolve_model(request.pop("model"), request.pop("views", None))
    doubts: list[Doubts] = []
    scales: list[float] = []
    notes: list[str] = []

    def look(number: int, model: Model, prediction: Prediction) -> None:
        doubts.append(model.measure_doubts(prediction, number))
        scales.append(prediction.scale)

    labels = _segment(model=model, report=obey(report, cancelled), warn=notes.append, look=look, **request)
    return {
        "labels": labels,
        "doubts": Doubts.join(doubts),
        "scales": scales,
        "seconds": perf_counter() - start,
        "model": model.sha256,
        "notes": notes,
    }


def _verify_job(request: Request, _report: Report, _cancelled: IsCancelled) -> dict[str, Any]:
    return {"sha256": verify_model(Path(request["model"]))}


def _fine_tune_job(request: Request, report: Report, cancelled: IsCancelled) -> dict[str, Any]:
    output = Path(request.pop("output"))
    start = perf_counter() - max(time() - request.pop("pressed", time()), 0.0)
    try:
        result = fine_tune(
            **request, name=output.stem, progress=obey(report, cancelled), started=start, examine=False
        )
    except DoubtfulError as doubt:  # not an end: the user may want to go on
        return {"doubt": str(doubt)}
    result.model.save(output)
    return {
        "before": result.before.model_dump() if result.before else None,
        "after": result.after.model_dump() if result.after else None,
        "verdict": str(result.verdict),
        "share": result.share,
        "history": result.history,
        "output": str(output),
        "seconds": perf_counter() - start,
        "cpu_seconds": result.cpu_seconds,
        "step_seconds": result.step_seconds,
        "learning_seconds": result.learning_seconds,
    }


def _prepare_job(request: Request, report: Report, cancelled: IsCancelled) -> dict[str, Any]:
    """Do what a fine-tuning of a model begins with, so that it need not be waited for."""
    from napari_unet.nn.learn.rehearsal import prepare

    prepare(resolve_model(request["model"]), obey(report, cancelled))
    return {}


def _choose_job(request: Request, report: Report, cancelled: IsCancelled) -> Choice:
    image = request["image"]
    return choose_model(
        image,
        PlaneGrid(request["axes"], image.shape),
        request["models"],
        channel=request["channel"],
        pixel_size=request["pixel_size"],
        report=obey(report, cancelled),
    )


def _examine_job(request: Request, report: Report, cancelled: IsCancelled) -> dict[str, Any]:
    """Try two models on scenes that the first one knows: nobody waits for it."""
    from napari_unet.nn.learn.rehearsal import measure_known

    models = resolve_model(request["parent"]), resolve_model(request["child"])
    before, after = measure_known(*models, obey(report, cancelled))
    return {"known_before": before, "known_after": after}


JOBS: dict[str, Callable[[Request, Report, IsCancelled], Any]] = {
    "warm_up": _warm_up_job,
    "segment": _segment_job,
    "fine_tune": _fine_tune_job,
    "choose": _choose_job,
    "prepare": _prepare_job,
    "examine": _examine_job,
    "verify": _verify_job,
    "segment_view": segment_view_job,
    "segment_large": segment_large_job,
    "estimate": estimate_job,
}
