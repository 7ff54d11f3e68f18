"""Write the sample images and their true labels next to this file: `python sample_data/generate.py`."""

from pathlib import Path

from napari_unet.app.files import write_image, write_labels
from napari_unet.core.render import (
    Scene,
    render_cells,
    render_membranes,
    render_nuclei,
    render_stack,
    render_timelapse,
)


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


if __name__ == "__main__":
    write_samples(Path(__file__).parent)
