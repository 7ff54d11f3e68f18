"""Masks made elsewhere as the labels of an open image: corrected, learnt from and exported like any other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unet.core.base import InputError
from napari_unet.core.review import Patch, Review, merge_labels
from napari_unet.io.labels import LabelFile, Target, fit_labels, read_labels
from napari_unet.session.image import OpenImage
from napari_unet.session.images import OpenImages
from napari_unet.session.runner import Activity, Run, Runner
from napari_unet.session.scope import WHOLE
from napari_unet.session.source import Source

ORIGIN = "masks: "
"""What the origin of labels begins with where no model predicted them; no model's name holds a colon."""


class Masks:
    """Gives images the masks of a file or a layer; used from the runner's thread."""

    def __init__(self, runner: Runner, images: OpenImages) -> None:
        self._runner = runner
        self._images = images

    def use_file(self, source: Source, path: Path) -> None:
        """Make the masks in a file the labels of an image; what was reviewed keeps its labels.

        Any format of `io.labels`. What does not fit is refused, in one sentence, and changes nothing.
        """
        self._use(
            source,
            path.name,
            lambda image: read_labels(path, image.grid.label_shape, image.grid.label_axes, image.pixel_size),
        )

    def use_array(self, source: Source, labels: npt.NDArray[Any], name: str) -> None:
        """Make an array of whole numbers, of a layer called `name`, the labels of an image, as `use_file`."""
        self._use(source, name, lambda image: fit_labels(np.asarray(labels), _target(image), f"'{name}'"))

    def mark_all(self, key: str) -> Patch | None:
        """Note that all labels of an image are right; return the pixels not noted before."""
        image = self._images.get(key)
        if image is None or image.review is None:
            return None
        return self._images.mark_reviewed(key, tuple((0, length) for length in image.review.shape))

    def _use(self, source: Source, name: str, read: Callable[[OpenImage], LabelFile]) -> None:
        if self._runner.run is not None:
            return
        run = self._runner.begin(Activity.SEGMENTING, f"Reading {name}")
        self._images.open(source, lambda image: self._replace(run, image, name, read), run)

    def _replace(self, run: Run, image: OpenImage, name: str, read: Callable[[OpenImage], LabelFile]) -> None:
        if image.is_large:
            self._runner.end(run)
            self._runner.refuse(f"'{image.name}' is large: cut out a region of it, then use masks of that.")
            return
        origin: list[str] = []
        notes: list[str] = []

        def merge(review: Review | None) -> Review:
            found = read(image)
            if not found.labels.any():
                raise InputError(f"There is no cell in {name}: choose the masks of this image.")
            origin.append(found.origin)
            notes.extend(found.notes)
            return merge_labels(image.grid, review, found.labels, None)

        def adopted(old: Review | None) -> None:
            image.scope = image.segmented = WHOLE
            self._runner.later(image.remember, lambda _: None)
            if old is not None and old.reviewed().any():
                notes.append("What you had reviewed is kept.")

        def describe() -> str:
            cells = image.counts.cells if image.counts else 0
            return " ".join([f"{cells} cell{'s' * (cells != 1)} from {name} ({origin[-1]}).", *notes])

        self._images.replace_review(
            run, image, merge, model=f"{ORIGIN}{name}", adopted=adopted, describe=describe
        )


def name_masks(image: OpenImage) -> str:
    """Return the file or layer that an image's labels come from, nothing where a model predicted them."""
    return image.origin.removeprefix(ORIGIN) if image.origin.startswith(ORIGIN) else ""


def _target(image: OpenImage) -> Target:
    return Target(image.grid.label_shape, image.grid.label_axes, image.pixel_size)
