"""Train StarDist for the benchmark: `python scripts/train_stardist.py DATA/dsb2018_fluo FOLDER [STEPS]`.

It learns from the images in `train` alone, an eighth of which chooses its weights and thresholds, with the
settings that its authors published for these images, and shows up in the benchmark as
`napari-unet benchmark DATA --peer stardist:FOLDER`. StarDist must be installed here (`pip install stardist`).
"""

import sys
from pathlib import Path

import numpy as np
import tifffile
from csbdeep.utils import normalize
from numpy.typing import NDArray
from stardist import fill_label_holes
from stardist.models import Config2D, StarDist2D

EPOCH = 100  # steps
Image = NDArray[np.float32]


def augment(image: Image, labels: Image) -> tuple[Image, Image]:
    """Turn, mirror, brighten and add noise, as StarDist's own example does."""
    turns, mirrored = np.random.randint(4), np.random.randint(2)
    image, labels = (np.rot90(array, turns)[:: 1 - 2 * mirrored] for array in (image, labels))
    image = image * np.random.uniform(0.6, 2) + np.random.uniform(-0.2, 0.2)
    return image + np.random.normal(0, 0.02 * np.random.uniform(), image.shape), labels


def main(data: Path, folder: Path, steps: int = 4000) -> None:
    """Train, fit the thresholds, and leave the model in `folder`."""
    np.random.seed(0)
    paths = sorted((data / "train" / "images").glob("*.tif"))
    images = [normalize(tifffile.imread(path), 1, 99.8) for path in paths]
    labels = [fill_label_holes(tifffile.imread(data / "train" / "masks" / path.name)) for path in paths]
    chooses = [number % 8 == 0 for number in range(len(paths))]
    learn, held = (
        [
            [array for array, held in zip(part, chooses, strict=True) if held == kept]
            for part in (images, labels)
        ]
        for kept in (False, True)
    )
    config = Config2D(
        n_rays=32,
        grid=(2, 2),
        train_patch_size=(256, 256),
        train_batch_size=4,
        train_steps_per_epoch=EPOCH,
        train_tensorboard=False,
    )
    model = StarDist2D(config, name=folder.name, basedir=str(folder.parent))
    model.train(*learn, validation_data=tuple(held), augmenter=augment, epochs=steps // EPOCH)
    model.optimize_thresholds(*held)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:]))
