"""How few corrections are enough: `python scripts/benchmark_adaptation.py DATA FILE.md`.

From a bundled model, on each of eleven kinds of images that it does not know: AP on the val images before,
after a simulated user has looked at 5, 10, 25, 50 and 100 objects of train images (10 in each image, then the
next), and after the whole train folder, with the same effort; and, to see what is forgotten, on val images of
a data set that the model knows. DATA is laid out as `napari-unet benchmark` wants it, and has another such
folder, benchmark_only. With `--precision float32 --threads 2` it is measured as on a laptop. For a pilot
another value of a parameter is tried by `--set learning_rate=3e-4`. FILE.md has one table with a row for each
kind, and below it all figures. Each result is kept as JSON in a folder beside FILE.md, so that an interrupted
run goes on; delete the folder to measure anew.
"""

import itertools
import multiprocessing
import os
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
    render_summary,
)
from napari_unet.bench.annotator import Task
from napari_unet.bench.benchmark import DataSet, check_output, find_data_sets
from napari_unet.bench.simulation import segment_tasks
from napari_unet.core.base.errors import InputError
from napari_unet.io.atomic import write_file
from napari_unet.models.registry import DEFAULT_MODEL

Result = TypeVar("Result")

KINDS = (
    *("phc_deepcell", "phc_ecoli_deepcell", "fluo_tcells_membrane", "fluo_cells_uq", "em_axons", "he_tnbc"),
    *("benchmark_only/he_monuseg", "benchmark_only/em_vnc", "benchmark_only/brightfield_worms"),
    *("dic_hela", "isbi2012_em"),
)
THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


def run_apart(function: Callable[..., Result], *arguments: object, **options: object) -> Result:
    """Call a function in a new process: start-up counts, and memory goes back."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments, **options).result()


def main(
    data: Annotated[Path, typer.Argument(help="Folder of the data sets.")],
    output: Annotated[Path, typer.Argument(help="The table, FILE.md.")],
    names: Annotated[str, typer.Option(help="Data sets to adapt to.")] = ",".join(KINDS),
    known: Annotated[str, typer.Option(help="Data set that the model knows.")] = "dsb2018_fluo",
    objects: Annotated[str, typer.Option(help="How many objects to look at.")] = "5,10,25,50,100",
    walks: Annotated[str, typer.Option(help="Orders to look at them in: queue, random, rows.")] = "queue",
    seeds: Annotated[int, typer.Option(help="Repetitions, each with other images first.")] = 1,
    seconds: Annotated[float, typer.Option(help="Effort.")] = 60.0,
    longer: Annotated[float, typer.Option(help="Another effort for the whole folder; 0 for none.")] = 0.0,
    model: Annotated[str, typer.Option(help="Name of a model, or a .keras file.")] = DEFAULT_MODEL,
    steps: Annotated[int | None, typer.Option(help="Steps in place of the effort, for a trial.")] = None,
    images: Annotated[int | None, typer.Option(help="Images to score on at most, for a trial.")] = None,
    known_images: Annotated[int, typer.Option(help="Images of the data set that the model knows.")] = 12,
    precision: Annotated[str, typer.Option(help="fastest, float32 or mixed_bfloat16.")] = "fastest",
    threads: Annotated[int | None, typer.Option(help="Threads at most.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE: a parameter of fine-tuning, for a pilot.")
    ] = None,
) -> None:
    """Measure what is not measured yet, and write the table after each point."""
    check_output(output)
    if threads is not None:  # new processes take it from here
        os.environ.update(dict.fromkeys(THREADS, str(threads)))
    tried = {name: float(value) for name, value in (word.split("=") for word in settings or ())}
    folder = output.with_suffix("")
    folder.mkdir(exist_ok=True)
    old = cut(find(data, known, "val"), known_images)
    results: list[Adaptation] = []
    for name in names.split(","):
        common = {"data_set": name, "model": model, "steps": steps, "precision": precision}
        common |= {"settings": tried}
        points = [Point(objects=0, seconds=0, **common)]
        for walk, seed in itertools.product(walks.split(","), range(seeds)):
            for count in map(int, objects.split(",")):
                points.append(Point(objects=count, walk=walk, seed=seed, seconds=seconds, **common))
        points += [Point(objects=None, seconds=effort, **common) for effort in (seconds, longer) if effort]
        train, val = find(data, name, "train"), cut(find(data, name, "val"), images)
        tasks: list[Task] = []
        for point in points:
            path = folder / f"{point.name}.json"
            if not path.exists():
                tasks = tasks or run_apart(segment_tasks, train, model, precision)
                corrections = correct_images(tasks, point)
                found = run_apart(measure_adaptation, point, corrections, train, val, old, started=time())
                write_file(path, found.model_dump_json(indent=1).encode())
            results.append(Adaptation.model_validate_json(path.read_bytes()))
            tables = f"{render_summary(results)}\n\n{render_adaptations(results)}\n"
            write_file(output, tables.encode())
            print(point.name, f"AP 0.5 {results[-1].val.ap50:.3f}", file=sys.stderr, flush=True)
    print(output.read_text(encoding="utf-8"))


def find(data: Path, name: str, split: str) -> DataSet:
    """Return a data set by its name, which may begin with the folder that it is in."""
    (found,) = find_data_sets(data / Path(name).parent, [Path(name).name], split=split)
    return found


def cut(data_set: DataSet, images: int | None) -> DataSet:
    """Return a data set with so many images at most."""
    return replace(data_set, pairs=data_set.pairs[:images])


if __name__ == "__main__":
    try:
        typer.run(main)
    except InputError as error:
        sys.exit(str(error))
