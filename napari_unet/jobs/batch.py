"""Many image files, segmented by worker processes: one task for each file.

Workers read the images and write the results themselves, so they must see the same folders as this process.
A batch that was ended, however roughly, goes on where it was when the same command is given again.

As a job of the worker process a batch has its cluster there: the window's process never sees Dask. Whichever
way that process ends, so do those that it started: each holds a pipe to it and ends itself, on every system,
when that is closed (`distributed.process.AsyncProcess`).
"""

from __future__ import annotations

import csv
import io
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import astuple, dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unet.core.base import (
    AUTO,
    BatchParams,
    Cancelled,
    InputError,
    IsCancelled,
    Progress,
    Report,
    SegmentParams,
    ignore,
)
from napari_unet.io import ENDING, TEMPORARY, list_images, stem_of, write_file
from napari_unet.jobs.batch_task import Outcome, Settings, Task, identify, segment_file
from napari_unet.jobs.choose_model import list_candidates
from napari_unet.jobs.cluster import open_cluster
from napari_unet.models import BUNDLED, find_model
from napari_unet.nn import hash_file, read_card
from napari_unet.worker import Request

if TYPE_CHECKING:
    from distributed import Client

TABLE = "results.csv"
_MOST_NAMES = 3
_LOOK = 0.05  # s between looks at whether to stop

logger = logging.getLogger("napari_unet")


def plan_batch(
    inputs: Sequence[Path],
    output: Path,
    params: SegmentParams,
) -> list[Task]:
    """Return the tasks of a batch, and make its output folder.

    `inputs` are image files and folders of them. Raises InputError for what `list_images` and `find_model`
    refuse, for images of one stem, and for an output folder that cannot be written or holds the images.
    """
    images = [path.absolute() for path in list_images(inputs)]
    output = output.resolve()
    if output in (path.resolve() for path in inputs):
        raise InputError(f"The images are in {output}: choose another folder for the results.")
    paths = [
        path.resolve() for path in (list_candidates() if params.model == AUTO else [find_model(params.model)])
    ]
    digest = identify([hash_file(path) for path in paths])
    settings = Settings(**{**params.model_dump(), "model": digest})
    # What ships with the package may lie elsewhere on another machine.
    bundled = BUNDLED.resolve()
    names = tuple(read_card(path).name if path.parent == bundled else str(path) for path in paths)
    tasks: dict[str, Task] = {}
    for image in images:
        task = Task(image, name_labels(image, output), names, settings)
        labels = task.labels
        if image.resolve() in (output, labels, task.large_labels):
            raise InputError(f"{image} would be overwritten by its labels: choose another folder for them.")
        # Names that differ in case only are one file on Windows and macOS.
        if (other := tasks.setdefault(labels.stem.casefold(), task)) is not task:
            raise InputError(
                f"{other.image} and {image} would both be written to {labels.name}: rename one of them."
            )
    _prepare(list(tasks.values()), output)
    return list(tasks.values())


def name_labels(image: Path, output: Path) -> Path:
    """Return the file that the labels of an image go into."""
    return output / f"{stem_of(image)}.tif"


def find_labels(image: Path, output: Path) -> Path | None:
    """Return the labels of an image in the output folder: a file or, of a large image, an OME-Zarr folder."""
    file = name_labels(image, output)
    return next((path for path in (file, file.with_suffix(ENDING)) if path.exists()), None)


def _prepare(tasks: Sequence[Task], output: Path) -> None:
    """Make the folder, try to write in it, and delete the unfinished files that a killed batch left."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        trial = output / f".trial{TEMPORARY}"
        write_file(trial, b"\0")
        trial.unlink(missing_ok=True)
        _delete_unfinished(tasks, output)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"Nothing can be written to {output} ({reason}): choose another folder or make room."
        ) from error


def _delete_unfinished(tasks: Sequence[Task], output: Path) -> None:
    unfinished = re.compile(rf"\.(.+)\.[0-9a-f]+{re.escape(TEMPORARY)}")
    names = {file.name for task in tasks for file in (task.labels, task.record)}
    for path in output.iterdir():
        found = unfinished.fullmatch(path.name)
        if found and found[1] in names:
            path.unlink(missing_ok=True)


def run_batch(
    client: Client,
    tasks: Sequence[Task],
    on_outcome: Callable[[Outcome], None] = lambda outcome: None,
    cancelled: IsCancelled = lambda: False,
) -> list[Outcome]:
    """Segment the images of `tasks` on a cluster and return what became of each, in their order.

    `on_outcome` is called as each is finished; what it raises ends the batch. An image that fails does not
    stop the rest. The table results.csv is written to the output folder however the batch ends. Raises
    InputError where results cannot be written any more, and where the cluster is lost, Cancelled soon after
    `cancelled()` is true.
    """
    futures = dict(zip(client.map(segment_file, tasks, pure=False), tasks, strict=True))
    finished = (_collect(future, futures[future]) for future in _take_finished(client, futures, cancelled))
    try:
        return _gather(tasks, finished, on_outcome)
    finally:
        client.cancel(list(futures))


def run_here(
    tasks: Sequence[Task],
    on_outcome: Callable[[Outcome], None] = lambda outcome: None,
    report: Report = ignore,
    warn: Callable[[Task, str], object] = lambda task, note: None,
) -> list[Outcome]:
    """Do what `run_batch` does in this process, one image after the other.

    `report` is told of each step, and `warn` at once of what there is to be said of an image.
    """
    finished = (segment_file(task, report, partial(warn, task)) for task in tasks)
    return _gather(tasks, finished, on_outcome)


def _gather(
    tasks: Sequence[Task], finished: Iterable[Outcome], on_outcome: Callable[[Outcome], None]
) -> list[Outcome]:
    outcomes = {task.image: Outcome(task.image) for task in tasks}
    try:
        for outcome in finished:
            outcomes[outcome.file] = outcome
            on_outcome(outcome)
        with suppress(OSError):
            _delete_unfinished(tasks, tasks[0].labels.parent)  # of a worker that was killed
    except (InputError, CancelledError) as error:
        raise InputError(_say_where_it_stopped(error, outcomes)) from error
    finally:
        _write_table(tasks[0].labels.with_name(TABLE), list(outcomes.values()))
    return list(outcomes.values())


def collect_notes(outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    """Return what was said about images, each sentence once, with those that it is about."""
    notes: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.notes:
            notes.setdefault(outcome.notes, []).append(outcome)
    return notes


def name_files(outcomes: Sequence[Outcome]) -> str:
    """Return the names of the first files, and how many more there are."""
    names = ", ".join(outcome.file.name for outcome in outcomes[:_MOST_NAMES])
    rest = len(outcomes) - _MOST_NAMES
    return f"{names} and {rest} more" if rest > 0 else names


def _take_finished(client: Client, futures: Iterable[Any], cancelled: IsCancelled) -> Iterator[Any]:
    """Yield futures as they are finished; raises Cancelled when it is so."""
    from distributed import as_completed

    waiting = as_completed(futures, loop=client.loop)
    while not waiting.is_empty():
        finished = waiting.next_batch(block=False)
        yield from finished
        if cancelled():
            raise Cancelled("the batch was cancelled")
        with waiting.thread_condition:  # notified as a future is finished
            if not waiting.has_ready():
                waiting.thread_condition.wait(_LOOK)


def _collect(future: Any, task: Task) -> Outcome:
    """Return what became of a task; raises InputError or CancelledError where the batch cannot go on."""
    from distributed import KilledWorker

    try:
        outcome: Outcome = future.result()
    except (InputError, CancelledError):
        raise
    except KilledWorker:
        why = f"{task.image.name} ended every process that tried it: it may need more memory than there is."
    except Exception as error:
        logger.exception("The image %s failed on its worker", task.image)
        why = f"{task.image.name} could not be segmented: {type(error).__name__}, {error}."
    else:
        return outcome
    return Outcome(task.image, status="failed", error=why)


def _say_where_it_stopped(error: BaseException, outcomes: dict[Path, Outcome]) -> str:
    finished = sum(outcome.status in ("done", "kept") for outcome in outcomes.values())
    reason = str(error) if isinstance(error, InputError) else "The connection to the cluster was lost."
    return (
        f"{reason} {finished} of {len(outcomes)} images are finished: give the same command again to go on."
    )


def _write_table(path: Path, outcomes: Sequence[Outcome]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(each.name for each in fields(Outcome))
    writer.writerows(map(astuple, outcomes))
    try:
        write_file(path, text.getvalue().encode())
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"{path} cannot be written ({reason}): make room and give the same command again to go on."
        ) from error


@dataclass(frozen=True, slots=True)
class Order:
    """What a batch is to do, and where."""

    output: Path
    params: SegmentParams
    where: BatchParams = field(default_factory=BatchParams)


@dataclass(frozen=True, slots=True)
class BatchRequest(Request[list[Outcome]]):
    """Segment image files, and those in folders, as an order says."""

    inputs: tuple[Path, ...]
    order: Order


def segment_files(request: BatchRequest, report: Report, cancelled: IsCancelled) -> list[Outcome]:
    """Segment image files; each outcome is reported as news."""
    order = request.order

    def say(sentence: str) -> None:
        report(Progress(message=sentence))

    say("Looking at the images and the folder")
    tasks = plan_batch(request.inputs, order.output, order.params)
    where = order.where
    with open_cluster(where.scheduler, where.workers, len(tasks), say) as client:
        return run_batch(client, tasks, lambda outcome: report(Progress(news=(outcome,))), cancelled)


JOBS = {BatchRequest: segment_files}
