"""How few corrections are enough: `python scripts/benchmark_adaptation.py DATA FILE.md`.

From a bundled model, on each data set: AP on the val images before, after a simulated user has looked at 5,
10, 25, 50 and 100 objects of train images (10 in each image, then the next), and after the whole train
folder, with the same effort; and, to see what is forgotten, on the val images of a data set that the model
knows. DATA is laid out as `napari-unet benchmark` wants it. Each result is kept as JSON in a folder beside
FILE.md, so that an interrupted run goes on; delete the folder to measure anew.
"""

import itertools
import multiprocessing
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from time import time
from typing import Annotated, TypeVar

import typer

from napari_unet.bench.adaptation import (
    Adaptation,
    Point,
    correct_images,
    measure_adaptation,
    render_adaptations,
)
from napari_unet.bench.annotator import Task
from napari_unet.bench.benchmark import DataSet, check_output, find_data_sets
from napari_unet.bench.simulation import segment_tasks
from napari_unet.core.base.errors import InputError
from napari_unet.io.atomic import write_file
from napari_unet.models.registry import DEFAULT_MODEL

Result = TypeVar("Result")


def run_apart(function: Callable[..., Result], *arguments: object, **options: object) -> Result:
    """Call a function in a new process: start-up counts, and memory goes back."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments, **options).result()


def main(
    data: Annotated[Path, typer.Argument(help="Folder of the data sets.")],
    output: Annotated[Path, typer.Argument(help="The table, FILE.md.")],
    names: Annotated[str, typer.Option(help="Data sets to adapt to.")] = "dic_hela,isbi2012_em",
    known: Annotated[str, typer.Option(help="Data set that the model knows.")] = "dsb2018_fluo",
    objects: Annotated[str, typer.Option(help="How many objects to look at.")] = "5,10,25,50,100",
    walks: Annotated[str, typer.Option(help="Orders to look at them in: queue, random, rows.")] = "queue",
    seeds: Annotated[int, typer.Option(help="Repetitions, each with other images first.")] = 1,
    seconds: Annotated[float, typer.Option(help="Effort.")] = 60.0,
    longer: Annotated[float, typer.Option(help="Another effort for the whole folder; 0 for none.")] = 0.0,
    model: Annotated[str, typer.Option(help="Name of a model, or a .keras file.")] = DEFAULT_MODEL,
    steps: Annotated[int | None, typer.Option(help="Steps in place of the effort, for a trial.")] = None,
    images: Annotated[int | None, typer.Option(help="Images to score on at most, for a trial.")] = None,
) -> None:
    """Measure what is not measured yet, and write the table after each point."""
    check_output(output)
    folder = output.with_suffix("")
    folder.mkdir(exist_ok=True)
    (old,) = (cut(data_set, images) for data_set in find_data_sets(data, [known]))
    results: list[Adaptation] = []
    for name in names.split(","):
        common = {"data_set": name, "model": model, "steps": steps}
        points = [Point(objects=0, seconds=0, **common)]
        for walk, seed in itertools.product(walks.split(","), range(seeds)):
            for count in map(int, objects.split(",")):
                points.append(Point(objects=count, walk=walk, seed=seed, seconds=seconds, **common))
        points += [Point(objects=None, seconds=effort, **common) for effort in (seconds, longer) if effort]
        (train,) = find_data_sets(data, [name], split="train")
        (val,) = (cut(data_set, images) for data_set in find_data_sets(data, [name]))
        tasks: list[Task] = []
        for point in points:
            path = folder / f"{point.name}.json"
            if not path.exists():
                tasks = tasks or run_apart(segment_tasks, train, model)
                corrections = correct_images(tasks, point)
                found = run_apart(measure_adaptation, point, corrections, train, val, old, started=time())
                write_file(path, found.model_dump_json(indent=1).encode())
            results.append(Adaptation.model_validate_json(path.read_bytes()))
            write_file(output, f"{render_adaptations(results)}\n".encode())
            print(point.name, f"AP 0.5 {results[-1].val.ap50:.3f}", file=sys.stderr, flush=True)
    print(output.read_text(encoding="utf-8"))


def cut(data_set: DataSet, images: int | None) -> DataSet:
    """Return a data set with so many images at most."""
    return replace(data_set, pairs=data_set.pairs[:images])


if __name__ == "__main__":
    try:
        typer.run(main)
    except InputError as error:
        sys.exit(str(error))
