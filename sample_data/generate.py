"""Render the samples, or scenes to train on.

`python sample_data/generate.py` writes the sample images and their true labels next to this file;
`python sample_data/generate.py FOLDER` writes cells to FOLDER/images and FOLDER/masks: 4 scenes that the
bundled model `cells` learnt from besides photographs.
"""

import argparse
from pathlib import Path

from napari_unet.core.synthetic.scenes import (
    Scene,
    render_cells,
    render_membranes,
    render_nuclei,
    render_stack,
    render_timelapse,
)
from napari_unet.io.files import write_image, write_labels


def render_samples() -> dict[str, Scene]:
    """The scene of every sample, by name."""
    return {
        "nuclei": render_nuclei(),
        "cells": render_cells(),
        "membranes": render_membranes(),
        "timelapse": render_timelapse(),
        "stack": render_stack(),
    }


def write_samples(folder: Path) -> None:
    """Write `<name>.tif` and `<name>_labels.tif` for every sample into `folder`."""
    for name, scene in render_samples().items():
        lengths = {"pixel_size": scene.pixel_size, "z_step": scene.z_step}
        write_image(folder / f"{name}.tif", scene.image, axes=scene.axes, **lengths)
        write_labels(folder / f"{name}_labels.tif", scene.labels, axes=scene.axes, **lengths)


def write_training_scenes(folder: Path, count: int = 4) -> None:
    """Write `count` scenes of cells of many sizes to `folder`/images and `folder`/masks."""
    for seed in range(1, count + 1):
        radius = 30.0 + 15.0 * (seed % 4) / 3
        scene = render_cells(objects=round(60 * (26 / radius) ** 2), radius=radius, seed=seed)
        for name, array in (("images", scene.image), ("masks", scene.labels)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            write = write_image if name == "images" else write_labels
            write(folder / name / f"cells-{seed:02}.tif", array)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Render the samples, or scenes to train on.")
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        help="for scenes, in images and masks; without it, the samples are made",
    )
    folder = parser.parse_args().folder
    if folder:
        write_training_scenes(folder)
    else:
        write_samples(Path(__file__).parent)
