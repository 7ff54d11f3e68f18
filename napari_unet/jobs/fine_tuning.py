"""Fine-tune a model on corrections: the function for Python and the command line, and the worker's jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter, time
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_unet.core.base import (
    DoubtfulError,
    FineTuneParams,
    InputError,
    IsCancelled,
    Progress,
    Report,
    as_labels,
    ignore,
)
from napari_unet.core.cells import number_cells
from napari_unet.core.image import Channels, check_pixels, plan_planes
from napari_unet.core.review import ignore_crumbs
from napari_unet.io import hash_image
from napari_unet.jobs.model_cache import check_channels, obey, resolve_model
from napari_unet.jobs.protocol import (
    Doubted,
    ExamineRequest,
    FineTuned,
    FineTuneRequest,
    Known,
    PrepareRequest,
)
from napari_unet.jobs.train import software_versions
from napari_unet.nn import read_card, replace_card

if TYPE_CHECKING:
    from napari_unet.nn import Model
    from napari_unet.nn.learn import CorrectedPlane, FineTuneResult


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
    from napari_unet.nn.learn import fine_tune_planes

    report = progress or ignore
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
    from napari_unet.nn.learn import measure_known

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
    from napari_unet.nn.learn import CorrectedPlane

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


def fine_tune_job(request: FineTuneRequest, report: Report, cancelled: IsCancelled) -> FineTuned | Doubted:
    """Do what `fine_tune` does and write the new model to a file."""
    waited = 0.0 if request.pressed is None else max(time() - request.pressed, 0.0)
    start, planes, output = perf_counter() - waited, request.corrections, request.output
    try:
        result = fine_tune(
            request.model,
            [plane.image for plane in planes],
            [plane.labels for plane in planes],
            reviewed=[plane.reviewed for plane in planes],
            axes=[plane.axes for plane in planes],
            pixel_size=[plane.pixel_size for plane in planes],
            names=[plane.name for plane in planes],
            seen_at=[plane.seen_at for plane in planes],
            hashes=[plane.hash for plane in planes],
            seconds=request.seconds,
            steps=request.steps,
            seed=request.seed,
            name=output.stem,
            started=start,
            next_planes=request.next_planes,
            anyway=request.anyway,
            examine=False,
            progress=obey(report, cancelled),
        )
    except DoubtfulError as doubt:  # not an end: the user may want to go on
        return Doubted(str(doubt))
    result.model.save(output)
    return FineTuned(
        output=output,
        verdict=result.verdict,
        before=result.before,
        after=result.after,
        seconds=perf_counter() - start,
        share=result.share,
        history=tuple(result.history),
        cpu_seconds=result.cpu_seconds,
        step_seconds=result.step_seconds,
        learning_seconds=result.learning_seconds,
    )


def prepare_job(request: PrepareRequest, report: Report, cancelled: IsCancelled) -> None:
    """Do what a fine-tuning of a model begins with, so that it need not be waited for."""
    from napari_unet.nn.learn import prepare

    prepare(resolve_model(request.model), obey(report, cancelled))


def examine_job(request: ExamineRequest, report: Report, cancelled: IsCancelled) -> Known:
    """Try two models on scenes that the first one knows; the second's card is told what it has forgotten."""
    from napari_unet.nn.learn import measure_known

    models = resolve_model(request.parent), resolve_model(request.child)
    before, after = measure_known(*models, obey(report, cancelled))
    if before is not None:
        card = read_card(request.child)
        scores = {**card.scores, "known": {"before": before, "after": after}}
        replace_card(request.child, card.model_copy(update={"scores": scores}))
    return Known(before, after)
