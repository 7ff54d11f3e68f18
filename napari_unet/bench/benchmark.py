"""The benchmark: methods on data sets, scored alike, as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from napari_unet.bench.membranes import (
    MembraneScores,
    evaluate_interiors,
    evaluate_segments,
    label_interior,
)
from napari_unet.bench.methods import Method
from napari_unet.core.base import Float32, InputError, Labels, Progress, Report
from napari_unet.core.cells import Scores, evaluate
from napari_unet.core.image import PlaneGrid, plan_planes
from napari_unet.io import read_image, read_labels
from napari_unet.io.labels import Matched, match_by_stem


@dataclass(frozen=True, slots=True)
class DataSet:
    """Images with true labels; for membranes also masks, non-zero where there is none, one per image."""

    name: str
    pairs: tuple[Matched, ...]
    interiors: tuple[Path, ...] = ()


class Result(BaseModel):
    """How one method did on one data set. Stacks are scored plane by plane."""

    model_config = ConfigDict(frozen=True)

    data_set: str
    method: str
    images: int
    seconds: float = Field(description="Wall time of segmenting the images, once the model is loaded.")
    scores: Scores
    membranes: MembraneScores | None = Field(None, description="For data sets that have membrane masks.")


def find_data_sets(folder: Path, names: Sequence[str] = (), *, split: str = "val") -> list[DataSet]:
    """Find ``<folder>/<name>/<split>/{images,masks}`` (and ``masks_membrane``), all or those named.

    InputError naming what is missing: the folder, a data set, or the partner of a file.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: give the folder that holds the data sets.")
    found = sorted(p.parent.parent.name for p in folder.glob(f"*/{split}/images") if p.is_dir())
    if not found:
        raise InputError(f"There is no data set in {folder}: it needs folders NAME/{split}/images and masks.")
    unknown = [name for name in names if name not in found]
    if unknown:
        raise InputError(
            f"There is no data set '{unknown[0]}' with a split '{split}' in {folder}: there are "
            f"{', '.join(found)}."
        )
    return [_find_data_set(folder / name / split, name) for name in names or found]


def _find_data_set(folder: Path, name: str) -> DataSet:
    pairs = match_by_stem(folder / "images", folder / "masks")
    interiors: list[Path] = []
    if (folder / "masks_membrane").is_dir():
        interiors = [pair.labels for pair in match_by_stem(folder / "images", folder / "masks_membrane")]
    return DataSet(name, tuple(pairs), tuple(interiors))


def run_benchmark(
    data_sets: Sequence[DataSet], methods: Sequence[Method], report: Report = lambda progress: None
) -> Iterator[Result]:
    """Yield the result of every method on each data set, one data set after the other.

    InputError that names the image that a method or the files refuse.
    """
    total, done = len(methods) * sum(len(data_set.pairs) for data_set in data_sets), 0
    for data_set in data_sets:
        for method in methods:
            images = []
            for number in range(len(data_set.pairs)):
                where = f"{data_set.name}, {method.name}: image {number + 1} of {len(data_set.pairs)}"
                report(Progress(done / total, where))
                images.append(_run(method, data_set, number))
                done += 1
            yield _score(data_set, method, images)


@dataclass(frozen=True, slots=True)
class _Image:
    """Planes (Y, X) of one image; of membranes, none where the data set or the method has none."""

    predictions: list[Labels]
    truths: list[Labels]
    seconds: float
    interiors: list[Float32]
    segments: list[Labels]


def _run(method: Method, data_set: DataSet, number: int) -> _Image:
    pair = data_set.pairs[number]
    try:
        file = read_image(pair.image)
        grid = plan_planes(file.data.shape, file.axes)
        truths = _read_planes(pair.labels, grid)
        masks = _read_planes(data_set.interiors[number], grid) if data_set.interiors else []
        start = perf_counter()
        labels = method.segment(file)
        seconds = perf_counter() - start
        interiors = _split(method.predict_interior(file), grid) if masks and method.predict_interior else []
    except InputError as error:
        raise InputError(f"{method.name} on {data_set.name}, {pair.image.name}: {error}") from error
    return _Image(
        predictions=_split(labels, grid),
        truths=truths,
        seconds=seconds,
        interiors=interiors,
        segments=[label_interior(mask > 0) for mask in masks],
    )


def _score(data_set: DataSet, method: Method, images: Sequence[_Image]) -> Result:
    predictions = [plane for image in images for plane in image.predictions]
    interiors = [plane for image in images for plane in image.interiors]
    segments = [plane for image in images for plane in image.segments]
    membranes = None
    if interiors:
        membranes = evaluate_interiors(interiors, segments)
    elif segments:
        membranes = evaluate_segments(predictions, segments)
    return Result(
        data_set=data_set.name,
        method=method.name,
        images=len(images),
        seconds=sum(image.seconds for image in images),
        scores=evaluate(predictions, [plane for image in images for plane in image.truths]),
        membranes=membranes,
    )


def _read_planes(path: Path, grid: PlaneGrid) -> list[Labels]:
    mask = read_labels(path)
    if mask.shape != grid.label_shape:
        raise InputError(
            f"The mask {path.name} has the shape {mask.shape}, but its image needs {grid.label_shape}."
        )
    return _split(mask, grid)


def _split(array: NDArray[Any], grid: PlaneGrid) -> list[NDArray[Any]]:
    return [array[grid.select(index)] for index in grid.indices()]


_COLUMNS: dict[str, Callable[[Result], str | int | float | None]] = {
    "data set": lambda result: result.data_set,
    "method": lambda result: result.method,
    "AP 0.5": lambda result: result.scores.ap50,
    "AP 0.75": lambda result: result.scores.ap75,
    "AP 0.9": lambda result: result.scores.ap90,
    "mean AP": lambda result: result.scores.mean_ap,
    "IoU per cell": lambda result: result.scores.mean_iou,
    "Dice": lambda result: result.scores.dice,
    "matched": lambda result: result.scores.matched,
    "missed": lambda result: result.scores.missed,
    "false": lambda result: result.scores.false,
    "split": lambda result: result.scores.split,
    "merged": lambda result: result.scores.merged,
    "V_rand": lambda result: result.membranes.v_rand if result.membranes else None,
    "V_info": lambda result: result.membranes.v_info if result.membranes else None,
    "images": lambda result: result.images,
    "cells": lambda result: result.scores.objects,
    "seconds": lambda result: f"{result.seconds:.1f}",
}


def render_table(results: Sequence[Result]) -> str:
    """Return the results as a Markdown table, a row each; without V_rand and V_info where none has them."""
    columns = {
        name: [read(result) for result in results]
        for name, read in _COLUMNS.items()
        if not name.startswith("V_") or any(result.membranes for result in results)
    }
    cells = zip(*columns.values(), strict=True)
    rows = [list(columns), ["---"] * len(columns), *([_format(cell) for cell in row] for row in cells)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def check_output(path: Path) -> None:
    """Raise InputError if a table cannot be written to ``path``, so that nothing is measured in vain."""
    if path.suffix != ".md" or path.is_dir():
        raise InputError(f"The table cannot be written to {path.name}: choose a file name that ends in .md.")
    if not path.parent.is_dir():
        raise InputError(f"There is no folder {path.parent} to write the table to: make it first.")


def _format(cell: str | int | float | None) -> str:
    if cell is None:
        return "-"
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)
