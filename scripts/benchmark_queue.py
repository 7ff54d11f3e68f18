"""Whether "Next to fix" saves work: `python scripts/benchmark_queue.py DATA FILE.md [--sets NAME:MODEL,...]`.

A simulated user corrects the val images of each data set, segmented by the model named, cell by cell: in the
order of the queue and, at its end, as one reads; as one reads; and at random, several times. The table says
how many cells must be looked at until a quarter, a half, three quarters and nine tenths of the AP that is
lacking are reached. Who reads or looks at random sees missed cells, too; the queue has to guess them. The
curves are kept as JSON in a folder beside FILE.md; what is there is not measured again. A second table says
how many places of the queue are wrong, and what would become of them by the fixes that are suggested there.
`scripts/benchmark_adaptation.py --walks queue,random` measures what the order is worth to the next model.
"""

import sys
from pathlib import Path
from statistics import mean
from typing import Annotated

import typer

from napari_unet.bench.annotator import WALKS
from napari_unet.bench.benchmark import check_output, find_data_sets
from napari_unet.bench.simulation import Curve, measure_curve, segment_tasks
from napari_unet.bench.suggestions import Verdict, judge_suggestions
from napari_unet.core.base.errors import InputError
from napari_unet.io.atomic import write_file

SETS = "dsb2018_fluo:nuclei,dic_hela:cells,isbi2012_em:membranes,dsb2018_histology:nuclei"
SHARES = (0.25, 0.5, 0.75, 0.9)


def main(
    data: Annotated[Path, typer.Argument(help="Folder of the data sets.")],
    output: Annotated[Path, typer.Argument(help="The table, FILE.md.")],
    sets: Annotated[str, typer.Option(help="Data sets, each with a model.")] = SETS,
    seeds: Annotated[int, typer.Option(help="How many random orders.")] = 5,
    split: Annotated[str, typer.Option(help="Which images: train or val.")] = "val",
) -> None:
    """Measure what is not measured yet, and write the table after each data set."""
    check_output(output)
    folder = output.with_suffix("")
    folder.mkdir(exist_ok=True)
    lines, verdicts = render_head(), render_verdict_head()
    for name, model in (pair.split(":") for pair in sets.split(",")):
        (data_set,) = find_data_sets(data, [name], split=split)
        orders = [("queue", 0), ("rows", 0), *(("random", seed) for seed in range(seeds))]
        paths = [folder / f"{name}-{split}-{model}-{walk}-{seed}.json" for walk, seed in orders]
        tasks = None
        for (walk, seed), path in zip(orders, paths, strict=True):
            if not path.exists():
                tasks = tasks or segment_tasks(data_set, model)
                curve = measure_curve(tasks, WALKS[walk], seed=seed)
                write_file(path, curve.model_dump_json().encode())
                print(path.stem, file=sys.stderr, flush=True)
        curves = [Curve.model_validate_json(path.read_bytes()) for path in paths]
        path = folder / f"{name}-{split}-{model}-suggestions.json"
        if not path.exists():
            verdict = judge_suggestions(tasks or segment_tasks(data_set, model))
            write_file(path, verdict.model_dump_json().encode())
        lines.append(render_row(f"{name}, {model}", curves))
        verdicts.append(render_verdict(f"{name}, {model}", Verdict.model_validate_json(path.read_bytes())))
        write_file(output, ("\n".join([*lines, "", *verdicts]) + "\n").encode())
    print(output.read_text(encoding="utf-8"))


def render_head() -> list[str]:
    """Return the first lines of the table."""
    columns = ["data set, model", "cells", "wrong", "AP 0.5"]
    for share in SHARES:
        columns += [f"AP +{share:.0%}", "queue", "rows", "random", "queue / random"]
    return [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]


def render_row(name: str, curves: list[Curve]) -> str:
    """Return the line of a data set: the cells to look at in each order."""
    queue, rows, *random = curves
    cells = [name, str(queue.looked[-1]), str(queue.corrected[-1]), f"{queue.ap50[0]:.2f}"]
    for share in SHARES:
        target = queue.ap50[0] + share * (1 - queue.ap50[0])
        looks = [curve.count_looks(target) for curve in random]
        spread = f"{mean(looks):.0f} ({min(looks):.0f}-{max(looks):.0f})"
        first, second = queue.count_looks(target), rows.count_looks(target)
        ratio = f"{first / mean(looks):.2f}"
        cells += [f"{target:.2f}", f"{first:.0f}", f"{second:.0f}", spread, ratio]
    return f"| {' | '.join(cells)} |"


def render_verdict_head() -> list[str]:
    """Return the first lines of the table about suggestions."""
    columns = ["data set, model", *Verdict.model_fields]
    return [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]


def render_verdict(name: str, verdict: Verdict) -> str:
    """Return the line of a data set: what becomes of its places."""
    return f"| {' | '.join([name, *map(str, verdict.model_dump().values())])} |"


if __name__ == "__main__":
    try:
        typer.run(main)
    except InputError as error:
        sys.exit(str(error))
