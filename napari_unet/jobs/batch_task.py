"""One image file of a batch, segmented in a worker process: what goes in, what comes out, and its record.

The labels lie in the output folder as <stem>.tif, of a large image as <stem>.zarr; beside them <stem>.json
says what they were made of.
The record is written last: labels with a record that fits are finished, whatever happened to the batch.
"""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from napari_unet.core.base import InputError, Labels, Report, SegmentParams, ignore
from napari_unet.core.image import plan_planes
from napari_unet.io import (
    ENDING,
    LABELS,
    ImageFile,
    count_cells,
    is_large,
    read_image,
    write_file,
    write_labels,
)
from napari_unet.jobs.choose_model import choose_model
from napari_unet.jobs.model_cache import resolve_model
from napari_unet.jobs.segmentation import segment
from napari_unet.nn import hash_file

_one_at_a_time = threading.Lock()
"""Held while an image is segmented: the threads of a worker share one network, which uses all cores."""


class Settings(SegmentParams):
    """How the images of a batch are segmented; `model` is what `identify` returns."""

    version: str = version("napari-unet")


def identify(hashes: Sequence[str]) -> str:
    """Return what identifies the models of a batch: the SHA-256 of the file, or one of those of several."""
    if len(hashes) == 1:
        return hashes[0]
    return f"auto {hashlib.sha256(' '.join(sorted(hashes)).encode()).hexdigest()}"


class Record(BaseModel):
    """What finished labels were made of (`image` is a SHA-256), what came out of it, what was said of it.

    `chosen` is the name of the model, where there were several to choose from.
    """

    model_config = ConfigDict(frozen=True)

    image: str
    settings: Settings
    cells: int
    seconds: float
    worker: str
    notes: tuple[str, ...] = ()
    chosen: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """An image file to segment into `labels`.

    `models` are names or files that the worker finds too: of several, the one that fits the image best.
    """

    image: Path
    labels: Path
    models: tuple[str, ...]
    settings: Settings

    @property
    def large_labels(self) -> Path:
        """The folder for the labels instead of `labels`, where the image is large."""
        return self.labels.with_suffix(ENDING)

    @property
    def record(self) -> Path:
        """The file that says what `labels` was made of."""
        return self.labels.with_suffix(".json")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an image file: a row of the results table.

    `kept` was finished before, with these `seconds` and this `worker`: by an earlier batch, or by a process
    that died before it could say so. `waiting` is what a batch that ended early did not come to. `notes` are
    sentences about the image, such as that its pixel size is not borne out by its cells; `model` is the name
    of the model, where there were several to choose from.
    """

    file: Path
    cells: int | None = None
    seconds: float | None = None
    worker: str | None = None
    status: Literal["done", "kept", "failed", "waiting"] = "waiting"
    error: str | None = None
    notes: str = ""
    model: str = ""


def segment_file(
    task: Task, report: Report = ignore, warn: Callable[[str], object] = lambda note: None
) -> Outcome:
    """Segment an image file in this process, unless it is finished, and write its labels and its record.

    `warn` is told at once what the outcome's notes say in the end.

    Where the image cannot be segmented, the outcome says why. Raises InputError where results cannot be
    written: then the next image has no chance either.
    """
    start = perf_counter()
    try:
        digest = hash_image(task.image)
        record = _read_record(task.record)
        if record and (record.image, record.settings) == (digest, task.settings) and _is_there(task):
            return _tell(task, record, "kept")
        with _one_at_a_time, _reading_here():
            file = read_image(task.image)
            labels, notes, chosen = _segment(task, file, report, warn)
    except (InputError, OSError, MemoryError) as error:
        return Outcome(task.image, worker=name_process(), status="failed", error=_explain(error, task.image))
    made = Record(
        image=digest,
        settings=task.settings,
        cells=count_cells(labels),
        seconds=round(perf_counter() - start, 3),
        worker=name_process(),
        notes=tuple(notes),
        chosen=chosen,
    )
    _write(task, file, labels, made)
    return _tell(task, made, "done")


def _reading_here() -> AbstractContextManager[object]:
    """Read lazy pixels in this thread, not by further tasks of a cluster, which this one keeps waiting."""
    if find_spec("dask") is None:  # then there is no cluster, and nothing is lazy
        return nullcontext()
    import dask

    return dask.config.set(scheduler="synchronous")


def _tell(task: Task, made: Record, status: Literal["done", "kept"]) -> Outcome:
    notes = " ".join(made.notes)
    return Outcome(task.image, made.cells, made.seconds, made.worker, status, notes=notes, model=made.chosen)


def _is_there(task: Task) -> bool:
    return task.labels.is_file() or task.large_labels.is_dir()


def _is_large(task: Task, file: ImageFile) -> bool:
    return is_large(plan_planes(file.data.shape, task.settings.axes or file.axes))


def hash_image(path: Path) -> str:
    """Return the SHA-256 of an image file, or of all files of an OME-Zarr folder but its labels."""
    if not path.is_dir():
        return hash_file(path)
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path)
        if file.is_file() and name.parts[0] != LABELS:
            digest.update(f"{name.as_posix()} {hash_file(file)}\n".encode())
    return digest.hexdigest()


def name_process() -> str:
    """Return the name of this process in tables: its host and its number."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _segment(
    task: Task, file: ImageFile, report: Report, warn: Callable[[str], object]
) -> tuple[Labels, list[str], str]:
    """Return the labels, what there is to be said of them, and which of several models drew them."""
    settings, notes = task.settings, list[str]()

    def note(sentence: str) -> None:
        notes.append(sentence)
        warn(sentence)

    models = [resolve_model(name, settings.views) for name in task.models]
    if identify([model.sha256 for model in models]) != settings.model:
        raise InputError(
            f"{name_process()} has another model in {task.models[0]}: give all workers the same files."
        )
    model, chosen = models[0], ""
    if len(models) > 1:
        grid = plan_planes(file.data.shape, settings.axes or file.axes)
        size = settings.pixel_size or file.pixel_size
        choice = choose_model(
            file.data, grid, task.models, channel=settings.channel, pixel_size=size, report=report
        )
        model = resolve_model(choice.model, settings.views)
        chosen = choice.model.stem
        if not choice.finds_cells:
            note(choice.explain())
    output = task.large_labels if _is_large(task, file) else None
    if output:
        task.record.unlink(missing_ok=True)  # before the labels that it is about are replaced
    labels = segment(
        file.data,
        model,
        axes=settings.axes or file.axes,
        channel=settings.channel,
        pixel_size=settings.pixel_size or file.pixel_size,
        output=output,
        progress=report,
        warn=note,
    )
    return labels, notes, chosen


def _write(task: Task, file: ImageFile, labels: Labels, made: Record) -> None:
    settings = task.settings
    try:
        task.record.unlink(missing_ok=True)  # before the labels that it is about are replaced
        if not _is_large(task, file):  # else they are there already
            write_labels(
                task.labels,
                labels,
                axes=plan_planes(file.data.shape, settings.axes or file.axes).label_axes,
                pixel_size=settings.pixel_size or file.pixel_size,
                z_step=file.z_step,
            )
        write_file(task.record, made.model_dump_json(indent=2).encode())
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"{task.record} cannot be written ({reason}): choose another place or make room."
        ) from error


def _read_record(path: Path) -> Record | None:
    try:
        return Record.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _explain(error: Exception, image: Path) -> str:
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, MemoryError):
        return (
            f"{image.name} does not fit into memory: close other programs, use fewer processes, or a part of "
            "the image."
        )
    reason = getattr(error, "strerror", None) or str(error)
    return f"{image.name} cannot be read ({reason}): check that it is there for all workers."
