"""Measure a batch: 1 against 2 worker processes of one thread each, and its cost over a bare loop.

The bare loop reads each image and segments it in this process, with as many threads as the machine has cores;
its like is a batch with one worker of as many threads, which also hashes the images, writes labels and
records, and talks to a scheduler. Every process has loaded the model and segmented an image before the clock
starts. Rounds alternate, since machines drift; the median counts.
"""

import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Annotated

import typer

from napari_unet.core.base.params import SegmentParams
from napari_unet.core.synthetic.scenes import render_nuclei
from napari_unet.io.files import read_image, write_image
from napari_unet.jobs.batch import plan_batch, run_batch
from napari_unet.jobs.cluster import plan_threads, start_cluster
from napari_unet.jobs.segmentation import segment
from napari_unet.models.registry import DEFAULT_MODEL


def measure_loop(images: list[Path], model: str) -> float:
    """Return the seconds that the bare loop takes."""
    segment(read_image(images[0]).data, model)
    start = perf_counter()
    for path in images:
        segment(read_image(path).data, model)
    return perf_counter() - start


def measure_batch(images: list[Path], model: str, workers: int, threads: int) -> float:
    """Return the seconds that a batch takes on processes that are up."""
    with tempfile.TemporaryDirectory() as folder, start_cluster(workers, threads) as client:
        client.run(lambda: segment(read_image(images[0]).data, model))
        start = perf_counter()
        outcomes = run_batch(client, plan_batch(images, Path(folder), SegmentParams(model=model)))
        seconds = perf_counter() - start
    assert {outcome.status for outcome in outcomes} == {"done"}
    return seconds


def main(
    images: Annotated[int, typer.Option(help="How many images.")] = 200,
    rounds: Annotated[int, typer.Option(help="How many rounds.")] = 3,
    size: Annotated[int, typer.Option(help="Rows and columns of an image.")] = 512,
    model: Annotated[str, typer.Option(help="Name of a model, or a .keras file.")] = DEFAULT_MODEL,
) -> None:
    """Print a table of the medians, and the two ratios that they are measured for."""
    cores = plan_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for seed in range(images):
            scene = render_nuclei((size, size), objects=110 * size * size // 512**2, seed=seed)
            paths.append(write_image(Path(folder, f"{seed:04}.tif"), scene.image))
        ways: dict[str, Callable[[], float]] = {
            f"bare loop, threads: {cores}": lambda: measure_loop(paths, model),
            f"1 worker, threads: {cores}": lambda: measure_batch(paths, model, 1, cores),
            "1 worker, threads: 1": lambda: measure_batch(paths, model, 1, 1),
            "2 workers, threads: 1 each": lambda: measure_batch(paths, model, 2, 1),
        }
        seconds = defaultdict(list)
        for _ in range(rounds):
            for name, way in ways.items():
                seconds[name].append(way())
    print(f"{images} images of {size} x {size}, {model}, {cores} cores, median of {rounds} rounds")
    for name, values in seconds.items():
        print(f"{name:<28}{median(values):8.1f} s{images / median(values):8.2f} images/s")
    loop, like_it, one, two = (median(values) for values in seconds.values())
    print(
        f"overhead over the bare loop {like_it / loop - 1:.0%}; 2 workers are {one / two:.2f} times 1 worker"
    )


if __name__ == "__main__":
    typer.run(main)
