"""Measure an image bigger than memory: a mosaic of rendered nuclei, segmented from the disk to the disk.

The mosaic is SIDE x SIDE px of uint16 in a zarr array; its tiles are a few rendered scenes, each placed many
times, turned and mirrored at random. It is segmented once for each block size, in a process of its own, whose
peak memory and that of its children is sampled every tenth of a second.
"""

import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from time import perf_counter, sleep
from typing import Annotated, Any

import numpy as np
import psutil
import typer
import zarr

from napari_unet.core.base.arrays import slices
from napari_unet.core.image.blocks import plan_blocks
from napari_unet.core.synthetic.scenes import render_nuclei
from napari_unet.models.registry import DEFAULT_MODEL

SCENE, SCENES = 512, 8
CHUNK = 1024

Blocks = list[int]


def render_mosaic(path: Path, side: int) -> None:
    """Write the mosaic."""
    rng = np.random.default_rng(0)
    scenes = [render_nuclei((SCENE, SCENE), seed=seed).image for seed in range(SCENES)]
    mosaic = zarr.create_array(path, shape=(side, side), dtype=np.uint16, chunks=(CHUNK, CHUNK))
    for box in plan_blocks((side, side), CHUNK):
        chunk = np.block([[_turn(scenes[rng.integers(SCENES)], rng) for _ in range(2)] for _ in range(2)])
        (top, bottom), (left, right) = box
        mosaic[slices(box)] = chunk[: bottom - top, : right - left]


def _turn(scene: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    turned = np.rot90(scene, rng.integers(4))
    return turned[::-1] if rng.random() < 0.5 else turned


def segment_mosaic(image: Path, output: Path, block: int, model: str) -> dict[str, Any]:
    """Segment the mosaic in this process and return the figures."""
    from napari_unet import segment
    from napari_unet.io.zarr_write import count_cells

    peak, over = [0], threading.Event()
    watcher = threading.Thread(target=_watch, args=(peak, over))
    watcher.start()
    marks: dict[str, list[float]] = {}
    start = perf_counter()

    def note(progress: Any) -> None:
        step = progress.message.removeprefix("Segmenting: ").split()[0]
        marks.setdefault(step, []).append(perf_counter() - start)

    said: list[str] = []
    labels = segment(
        zarr.open_array(image, mode="r"), model, output=output, block=block, progress=note, warn=said.append
    )
    seconds = perf_counter() - start
    over.set()
    watcher.join()
    tiles = marks["tile"]
    return {
        "block": block,
        "said": said[0],
        "seconds": seconds,
        "predicting": (tiles[-1] - tiles[0]) * len(tiles) / max(len(tiles) - 1, 1),
        "labelling": marks["block"][-1] - tiles[-1],
        "peak": peak[0],
        "cells": count_cells(labels),
    }


def _watch(peak: list[int], over: threading.Event) -> None:
    process = psutil.Process()
    while not over.is_set():
        for one in (process, *process.children(recursive=True)):
            try:
                peak[0] = max(peak[0], one.memory_info().rss)
            except psutil.NoSuchProcess:
                continue
        sleep(0.1)


def same_cells(first: Path, second: Path) -> bool:
    """Whether two label images on the disk show the same cells, whatever their numbers."""
    one, other = (zarr.open_array(path / "0", mode="r") for path in (first, second))
    forth: dict[int, int] = {0: 0}
    back: dict[int, int] = {0: 0}
    for box in plan_blocks(one.shape, 2048):
        pairs = np.unique(one[slices(box)].astype(np.int64) << 32 | other[slices(box)])
        for a, b in zip((pairs >> 32).tolist(), (pairs & 0xFFFFFFFF).tolist(), strict=True):
            if forth.setdefault(a, b) != b or back.setdefault(b, a) != a:
                return False
    return True


def main(
    side: Annotated[int, typer.Option(help="Rows and columns of the mosaic.")] = 20_000,
    block: Annotated[Blocks | None, typer.Option(help="A block size; may be given several times.")] = None,
    model: Annotated[str, typer.Option(help="Name of a model, or a .keras file.")] = DEFAULT_MODEL,
    folder: Annotated[Path | None, typer.Option(help="Where to work; by default a temporary folder.")] = None,
) -> None:
    """Print a table, and whether the cells are the same for all block sizes."""
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as place:
        image = Path(place, "mosaic.zarr")
        render_mosaic(image, side)
        outputs = []
        for size in block or [1024, 4096]:
            outputs.append(Path(place, f"labels-{size}.zarr"))
            words = [str(image), str(outputs[-1]), str(size), model]
            result = subprocess.run(
                [sys.executable, __file__, "--one", *words], capture_output=True, text=True, check=False
            )
            if result.returncode:
                sys.exit(result.stderr)
            _print(json.loads(result.stdout.splitlines()[-1]), side)
        same = all(same_cells(outputs[0], output) for output in outputs[1:])
        print(f"The cells are {'the same' if same else 'NOT THE SAME'} for all block sizes.")
        sys.exit(not same)


def _print(figures: dict[str, Any], side: int) -> None:
    seconds = figures["seconds"]
    print(figures["said"])
    print(
        f"block {figures['block']}: {seconds:.0f} s ({side**2 / seconds / 1e6:.2f} megapixels/s; predicting "
        f"{figures['predicting']:.0f} s, labelling {figures['labelling']:.0f} s), "
        f"peak {figures['peak'] / 1e9:.2f} GB, {figures['cells']} cells",
        flush=True,
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        source, target, size, name = sys.argv[2:]
        print(json.dumps(segment_mosaic(Path(source), Path(target), int(size), name)))
    else:
        typer.run(main)
