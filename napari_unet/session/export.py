"""The labels of an open image in a file for another program."""

from __future__ import annotations

from pathlib import Path

from napari_unet.core.cells import measure_cells
from napari_unet.io import ImageFile
from napari_unet.io.export import export_labels
from napari_unet.session.image import OpenImage
from napari_unet.session.runner import Runner


def export_image(runner: Runner, image: OpenImage, path: Path, z_step: float | None = None) -> None:
    """Write the labels as they are now, in the background, and say so.

    The ending of `path` decides the format (`io.export`); a table measures the brightness in the image, too.
    `z_step` is in µm. What cannot be written is refused, in one sentence, and leaves no file.
    """
    if image.review is None:
        runner.refuse("There are no cells to export yet: segment the image, or use masks, first.")
        return
    labels, grid = image.review.labels.copy(), image.grid
    pixels = ImageFile(
        path=Path(image.source.path or image.name),
        data=image.source.data,
        axes=grid.axes,
        channel_names=image.channel_names,
    )

    def work() -> str:
        written = export_labels(
            path, labels, axes=grid.label_axes, pixel_size=image.pixel_size, z_step=z_step, image=pixels
        )
        cells = measure_cells(labels)[0].size
        return f"{cells} cell{'s' * (cells != 1)} written to {written}."

    runner.say(f"Writing {path.name}")
    runner.later(work, runner.say)
