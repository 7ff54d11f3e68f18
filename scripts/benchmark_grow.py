"""How well a cell is drawn from the image by one key: `python scripts/benchmark_grow.py DATA FILE.md`.

True cells of each data set are taken, up to a number, evenly from its images. Each is removed from the true
labels and drawn at its deepest point, and at a random point inside it; and each is drawn anew from an outline
that was made wider, made narrower or shifted by 10 to 20 % of its diameter. All other cells are right, as
somebody who corrects an image that was segmented well has them. The table says how well the outlines fit, how
often nothing was drawn, and how much processor time it took.
"""

import itertools
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from scipy import ndimage

from napari_unet.bench.benchmark import check_output, find_data_sets
from napari_unet.core.base.arrays import slices
from napari_unet.core.base.errors import InputError
from napari_unet.core.image.axes import plan_planes
from napari_unet.core.review.grow import grow_at
from napari_unet.io.atomic import write_file
from napari_unet.io.files import read_image, read_labels

NAMES = "dsb2018_fluo,dsb2018_histology,fluo_gowt1,dic_hela"
WAYS = ("drawn at the middle", "drawn at a random point", "drawn anew")
GOOD = (0.5, 0.75, 0.9)
WORSE = (0.1, 0.2)
COLUMNS = ["data set", "", "cells", "median IoU", *(f"IoU >= {good}" for good in GOOD), "not drawn", "CPU ms"]


@dataclass
class Outcome:
    """By cell: the IoU before and after, whether anything was drawn, and the seconds of processor time."""

    before: list[float] = field(default_factory=list)
    after: list[float] = field(default_factory=list)
    drawn: list[bool] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def main(
    data: Annotated[Path, typer.Argument(help="Folder of the data sets.")],
    output: Annotated[Path, typer.Argument(help="The table, FILE.md.")],
    names: Annotated[str, typer.Option(help="Data sets.")] = NAMES,
    cells: Annotated[int, typer.Option(help="How many cells of each, at most.")] = 150,
    split: Annotated[str, typer.Option(help="Which images: train or val.")] = "val",
) -> None:
    """Measure one data set after the other, and write the table after each."""
    check_output(output)
    lines = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    for data_set in find_data_sets(data, names.split(","), split=split):
        outcomes = measure([(pair.image, pair.labels) for pair in data_set.pairs], cells)
        lines += render(data_set.name, outcomes)
        write_file(output, ("\n".join(lines) + "\n").encode())
    print(output.read_text(encoding="utf-8"))


def measure(files: list[tuple[Path, Path]], most: int) -> dict[str, Outcome]:
    """Draw up to `most` cells of some images and labels in each way."""
    rng = np.random.default_rng(0)
    outcomes = {way: Outcome() for way in WAYS}
    share = -(-most // len(files))
    chosen = [(image, labels, cell) for image, labels in files for cell in choose(labels, share, rng)]
    opened: tuple[Path, np.ndarray, np.ndarray] | None = None
    for path, labels_path, cell in [chosen[at] for at in sorted(rng.permutation(len(chosen))[:most])]:
        if opened is None or opened[0] != path:
            opened = path, read_pixels(path), np.asarray(read_labels(labels_path)).astype(np.int32)
        _, pixels, truth = opened
        mask = truth == cell
        without = np.where(mask, 0, truth)
        inside = np.argwhere(mask)
        points = {WAYS[0]: middle(mask), WAYS[1]: tuple(inside[rng.integers(len(inside))])}
        for way, point in points.items():
            draw(outcomes[way], pixels, without, point, mask)
        wrong = worsen(mask, rng) & (without == 0)
        if wrong.any():
            labels = without.copy()
            labels[wrong] = cell
            draw(outcomes[WAYS[2]], pixels, labels, middle(wrong), mask)
    return outcomes


def choose(labels: Path, count: int, rng: np.random.Generator) -> Iterator[int]:
    """Yield the ids of some cells of a file."""
    ids = np.unique(np.asarray(read_labels(labels)))
    yield from rng.permutation(ids[ids > 0])[:count].tolist()


def read_pixels(path: Path) -> np.ndarray:
    """Return the plane (Y, X, C) of an image as the window hands it over."""
    image = read_image(path)
    return plan_planes(image.data.shape, image.axes).plane(image.data, ())


def draw(outcome: Outcome, pixels: np.ndarray, labels: np.ndarray, point: tuple, truth: np.ndarray) -> None:
    """Draw a cell at a point and note how well it fits."""
    cell = int(labels[point])
    started = time.process_time()
    change = grow_at(labels, lambda box: pixels[slices(box)], point, itertools.count(int(labels.max()) + 1))
    outcome.seconds.append(time.process_time() - started)
    outcome.before.append(overlap(labels == cell, truth) if cell else 0.0)
    drawn = labels.copy()
    if change is not None:
        change.apply(drawn)
    outcome.drawn.append(change is not None)
    cell = cell or int(labels.max()) + 1
    outcome.after.append(overlap(drawn == cell, truth))


def worsen(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a cell wider, narrower or shifted by a part of its diameter; all of these alike often."""
    by = rng.uniform(*WORSE) * 2 * np.sqrt(mask.sum() / np.pi)
    way = rng.integers(3)
    if way == 0:
        return ndimage.distance_transform_edt(~mask) <= by / 2
    if way == 1:
        return ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1] > by / 2
    angle = rng.uniform(0, 2 * np.pi)
    return ndimage.shift(mask.astype(np.uint8), (by * np.sin(angle), by * np.cos(angle)), order=0) > 0


def middle(mask: np.ndarray) -> tuple[int, int]:
    """Return the deepest point of a mask."""
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    return int(row), int(column)


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Return the IoU of two masks."""
    return np.count_nonzero(first & second) / max(1, np.count_nonzero(first | second))


def render(name: str, outcomes: dict[str, Outcome]) -> list[str]:
    """Return the lines of a data set; what was there before in front of what is drawn anew."""
    lines = []
    for way, outcome in outcomes.items():
        if any(outcome.before):
            lines.append(render_row(name, "before it is drawn anew", outcome.before, "", ""))
        missing = f"{1 - np.mean(outcome.drawn):.2f}"
        lines.append(
            render_row(name, way, outcome.after, missing, f"{1000 * np.median(outcome.seconds):.0f}")
        )
    return lines


def render_row(name: str, way: str, fits: list[float], missing: str, milliseconds: str) -> str:
    """Return one line of the table."""
    shares = [f"{np.mean(np.array(fits) >= good):.2f}" for good in GOOD]
    figures = [name, way, str(len(fits)), f"{np.median(fits):.2f}", *shares, missing, milliseconds]
    return f"| {' | '.join(figures)} |"


if __name__ == "__main__":
    try:
        typer.run(main)
    except InputError as error:
        sys.exit(str(error))
