"""How often Auto takes the right model: `python scripts/benchmark_auto.py DATA FILE.md`.

DATA is laid out as `napari-unet benchmark` wants it, and may have another such folder, benchmark_only. On
each val image every bundled model, and every `--model`, is scored, AP at IoU 0.5 on the middle of the image,
and Auto chooses one for it. It was right if its model is within 0.05 of the best one. Results are kept as
JSON beside FILE.md, so that an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_unet.core.cells.fit import LEAST_FIT
from napari_unet.core.cells.metrics import evaluate
from napari_unet.core.image.axes import plan_planes
from napari_unet.core.image.normalisation import normalise
from napari_unet.io.files import read_image, read_labels
from napari_unet.io.labels import match_by_stem
from napari_unet.jobs.choose_model import SIDE, try_model
from napari_unet.models.registry import BUNDLED, load_model
from napari_unet.nn.model import Model

WITHIN = 0.05
Row = dict[str, dict[str, float]]
"""For each model its AP and how well Auto thinks that it fits."""


def measure(image: Path, labels: Path, models: dict[str, Model]) -> Row:
    """Return what each model scores on the middle of an image; nothing where there is no cell."""
    file, truth = read_image(image), read_labels(labels)
    grid = plan_planes(file.data.shape, file.axes)
    indices = list(grid.indices())
    index = indices[len(indices) // 2]
    plane = grid.plane(file.data, index, 0 if "C" in grid.axes else None)
    truth = truth[grid.select(index)]
    starts = [max((size - SIDE) // 2, 0) for size in truth.shape]
    where = tuple(slice(start, start + SIDE) for start in starts)
    if not truth[where].any():
        return {}
    sample, size = normalise(plane[where]), file.pixel_size
    row = {}
    for name, model in models.items():
        ap50 = evaluate(model.predict(sample, pixel_size=size).labels, truth[where]).ap50
        row[name] = {"ap50": ap50, "fit": try_model(model, sample, size)}
    return row


def render(results: dict[str, list[Row]]) -> str:
    """Return the table: for each data set the mean AP of each model and of Auto, and its hit rate."""
    names = list(next(row for rows in results.values() for row in rows))
    header = ["data set", "images", *names, "best", "Auto", "right", "finds no cells"]
    lines, every = [header, ["---"] * len(header)], [row for rows in results.values() for row in rows]
    for title, rows in (*results.items(), ("all", every)):
        taken = [max(row.values(), key=lambda it: it["fit"]) for row in rows]
        best = [max(it["ap50"] for it in row.values()) for row in rows]
        right = [it["ap50"] >= most - WITHIN for it, most in zip(taken, best, strict=True)]
        means = [np.mean([row[name]["ap50"] for row in rows]) for name in names]
        auto, none = np.mean([it["ap50"] for it in taken]), sum(it["fit"] < LEAST_FIT for it in taken)
        figures = [f"{value:.2f}" for value in (*means, np.mean(best), auto)]
        lines.append([title, str(len(rows)), *figures, f"{np.mean(right):.0%}", str(none)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(data: Path, output: Path, files: Sequence[str], most: int) -> None:
    """Measure what is not measured yet, and write the table after each data set."""
    models = {path.stem: load_model(path) for path in (*sorted(BUNDLED.glob("*.keras")), *map(Path, files))}
    store = output.with_suffix(".json")
    known: dict[str, Row] = json.loads(store.read_text()) if store.exists() else {}
    results: dict[str, list[Row]] = {}
    folders = (*data.glob("*/val/masks"), *data.glob("benchmark_only/*/val/masks"))
    for folder in sorted(path.parent for path in folders):
        pairs = match_by_stem(folder / "images", folder / "masks")
        rows = []
        for pair in pairs[:: -(-len(pairs) // most)]:
            key = f"{folder.parent.name}/{pair.image.name}"
            if key not in known or (known[key] and set(known[key]) != set(models)):
                known[key] = measure(pair.image, pair.labels, models)
                store.write_text(json.dumps(known))
            rows += [known[key]] if known[key] else []
        if rows:
            results[folder.parent.name] = rows
            output.write_text(f"{render(results)}\n", encoding="utf-8")
            print(folder.parent.name, len(rows), "images", file=sys.stderr, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path, help="file for the table, in Markdown")
    parser.add_argument("--model", action="append", default=[], help="another model file")
    parser.add_argument("--images", type=int, default=8, help="of each data set at most")
    options = parser.parse_args()
    main(options.data, options.output, options.model, options.images)
