"""What each part of the recipe is worth: `python scripts/ablation.py DATA FILE.md [--steps N]`.

Small networks (`unet-16`) are trained from scratch on the train folders of two data sets, each without one
part of the recipe, and scored on the val folders. DATA is laid out as `napari-unet benchmark` wants it. What
was trained is kept in a folder beside FILE.md, so that an interrupted run goes on.
"""

import argparse
import sys
from pathlib import Path

from napari_unet.app.benchmark import find_data_sets, render_table, run_benchmark
from napari_unet.app.methods import load_methods
from napari_unet.app.training import train_from_folders
from napari_unet.core.params import TrainParams

OBJECT_SIZES = {"isbi2012_em": None, "dic_hela": 36.0}
STILL = TrainParams().augment.model_copy(update={"elastic_std": 0.0})
VARIANTS: dict[str, dict[str, object]] = {
    "all": {},
    "no elastic deformation": {"augment": STILL},
    "no border weights": {"separation": 0.0},
    "neither": {"augment": STILL, "separation": 0.0},
    "SGD, momentum 0.99": {"optimizer": "sgd"},
    "no mean of weights": {"average": 0.0},
}


def main(data: Path, output: Path, steps: int) -> None:
    """Train and score every variant on every data set, and write the table."""
    results = []
    for name, size in OBJECT_SIZES.items():
        pairs = {
            split: (data / name / split / "images", data / name / split / "masks")
            for split in ("train", "val")
        }
        for variant, changes in VARIANTS.items():
            model = output.with_suffix("") / name / f"{variant}.keras"
            if not model.exists():
                params = TrainParams.model_validate({"steps": steps, "validate_every": steps, **changes})
                train_from_folders(
                    [pairs["train"]],
                    model,
                    validation=[pairs["val"]],
                    preset="unet-16",
                    object_size=size,
                    params=params,
                )
            results += run_benchmark(find_data_sets(data, [name]), load_methods([str(model)], []))
            output.write_text(render_table(results) + "\n", encoding="utf-8")
            print(results[-1].data_set, variant, results[-1].scores.ap50, file=sys.stderr, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train without each part of the recipe, and score.")
    parser.add_argument("data", type=Path, help="folder of data sets, NAME/{train,val}/{images,masks}/*.tif")
    parser.add_argument("output", type=Path, help="file for the table, in Markdown")
    parser.add_argument("--steps", type=int, default=500, help="training steps of each network")
    arguments = parser.parse_args()
    main(arguments.data, arguments.output, arguments.steps)
