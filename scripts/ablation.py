"""What each part of the recipe is worth: `python scripts/ablation.py DATA FILE.md [--set NAME]`.

Networks are trained on the train folder of a data set, each without one part of the recipe, and scored on
the val folder: on isbi2012_em small ones (`unet-16`) from scratch, on dic_hela, which has too few images for
that, from the weights of `nuclei`. DATA is laid out as `napari-unet benchmark` wants it. What was trained is
kept in a folder beside FILE.md, so that an interrupted run goes on.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from napari_unet.bench.benchmark import Result, find_data_sets, render_table, run_benchmark
from napari_unet.bench.methods import load_methods
from napari_unet.core.base.params import TrainParams
from napari_unet.jobs.train import train_from_folders
from napari_unet.models.registry import find_model


class Course(NamedTuple):
    """How the networks of a data set are trained."""

    options: dict[str, object]
    steps: int
    tile: int


COURSES = {
    "isbi2012_em": Course({"preset": "unet-16"}, 800, 256),
    "dic_hela": Course({"start": find_model("nuclei"), "object_size": 36.0}, 300, 176),
}
STILL = TrainParams().augment.model_copy(update={"elastic_std": 0.0})
VARIANTS: dict[str, dict[str, object]] = {
    "all": {},
    "no elastic deformation": {"augment": STILL},
    "no border weights": {"separation": 0.0},
    "neither": {"augment": STILL, "separation": 0.0},
    "SGD, momentum 0.99": {"optimizer": "sgd"},
    "no mean of weights": {"average": 0.0},
}


def main(data: Path, output: Path, names: Sequence[str]) -> None:
    """Train and score every variant on every data set, and write the table."""
    results: list[Result] = []
    for name in names:
        course = COURSES[name]
        pairs = {
            split: (data / name / split / "images", data / name / split / "masks")
            for split in ("train", "val")
        }
        for variant, changes in VARIANTS.items():
            model = output.with_suffix("") / name / f"{variant}.keras"
            if not model.exists():
                limits = {"steps": course.steps, "validate_every": course.steps, "tile": course.tile}
                params = TrainParams.model_validate({**limits, **changes})
                train_from_folders(
                    [pairs["train"]],
                    model,
                    validation=[pairs["val"]],
                    params=params,
                    **course.options,  # type: ignore[arg-type]
                )
            results += run_benchmark(find_data_sets(data, [name]), load_methods([str(model)], []))
            output.write_text(render_table(results) + "\n", encoding="utf-8")
            print(results[-1].data_set, variant, results[-1].scores.ap50, file=sys.stderr, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train without each part of the recipe, and score.")
    parser.add_argument("data", type=Path, help="folder of data sets, NAME/{train,val}/{images,masks}/*.tif")
    parser.add_argument("output", type=Path, help="file for the table, in Markdown")
    parser.add_argument("--set", action="append", choices=list(COURSES), help="a data set; all if not given")
    arguments = parser.parse_args()
    main(arguments.data, arguments.output, arguments.set or list(COURSES))
