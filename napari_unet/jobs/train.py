"""Training a model from folders of images and labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.base import PRESETS, InputError, InstanceParams, ModelCard, TrainParams
from napari_unet.core.cells import Scores, evaluate, number_cells
from napari_unet.core.image import (
    PlaneGrid,
    check_pixels,
    measure_object_size,
    measure_size_range,
    normalise,
    plan_planes,
)
from napari_unet.core.learning import TrainingImage, mix
from napari_unet.io import check_place, read_image
from napari_unet.io.labels import match_by_stem, read_labels_of

if TYPE_CHECKING:
    from napari_unet.nn import Model

_VALIDATION_EVERY = 8

Folders = Sequence[tuple[Path, Path]]


def load_images(folder: Path, labels: Path) -> list[TrainingImage]:
    """Read a folder of images and one of their labels, matched by stem, as normalised grey planes.

    InputError if a pair does not match, a file cannot be read or labels do not fit their image.
    """
    return [
        TrainingImage(normalise(plane), cells)
        for image, grid, labelled in _read_pairs(folder, labels)
        for plane, cells in _planes(image, grid, labelled)
    ]


def load_colour_views(folder: Path, labels: Path) -> list[TrainingImage]:
    """Return each channel of each colour image of a folder as a grey plane with labels.

    Which colour a stain or a fluorophore has is chance: whoever learns from single channels, too, finds cells
    in all of them.
    """
    return [
        TrainingImage(
            normalise(grid.plane(image, index, channel)), number_cells(labelled[grid.select(index)])
        )
        for image, grid, labelled in _read_pairs(folder, labels)
        if "S" in grid.axes
        for index in grid.indices()
        for channel in range(3)
    ]


def balance(folders: Sequence[Sequence[TrainingImage]]) -> list[TrainingImage]:
    """Return the images of all folders, each folder drawn as the square root of its number of cells says.

    So a large data set does not drown a small one.
    """
    cells = [sum(int(image.labels.max()) for image in images) for images in folders]
    return mix(folders, [float(np.sqrt(count)) for count in cells])


def _read_pairs(
    folder: Path, labels: Path
) -> Iterator[tuple[NDArray[np.generic], PlaneGrid, NDArray[np.int32]]]:
    for pair in match_by_stem(folder, labels):
        file = read_image(pair.image)
        labelled = read_labels_of(pair.labels, file).labels
        check_pixels(file.data)
        yield file.data, plan_planes(file.data.shape, file.axes), labelled


def _planes(
    image: NDArray[np.generic], grid: PlaneGrid, labels: NDArray[np.int32]
) -> Iterator[tuple[NDArray[np.generic], NDArray[np.int32]]]:
    channel = 0 if "C" in grid.axes else None
    for index in grid.indices():
        yield grid.plane(image, index, channel), number_cells(labels[grid.select(index)])


def train_from_folders(
    folders: Folders,
    output: Path,
    *,
    validation: Folders = (),
    preset: str = "unet-32",
    start: Path | None = None,
    object_size: float | None = None,
    params: TrainParams | None = None,
    title: str = "",
    data: str = "",
    checkpoints: Path | None = None,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> tuple[ModelCard, Scores]:
    """Train a model from folders of images and labels and write it to ``output``; return card and scores.

    Without ``validation`` folders every eighth image is kept aside to choose the best weights. ``start`` is a
    model file to go on from, instead of a network of ``preset`` with random weights. With ``object_size``
    the network sees all images resized so that a typical cell has this diameter in px. An interrupted run
    goes on from ``checkpoints`` (default: ``<output>.training`` beside the output).
    """
    from napari_unet.nn import hash_file, load_network, save_network
    from napari_unet.nn.learn import train

    if preset not in PRESETS:
        raise InputError(f"There is no preset '{preset}': choose one of {', '.join(PRESETS)}.")
    if output.suffix != ".keras":
        raise InputError(f"The model cannot be written to {output.name}: choose a name that ends in .keras.")
    check_place(output)
    params = params or TrainParams()
    learned = [load_images(*folder) for folder in folders]
    held = {_name_folder(folder): load_images(folder, labels) for folder, labels in validation}
    if not validation:
        held = {"every eighth image": [image for images in learned for image in images][::_VALIDATION_EVERY]}
        learned = _without(learned, held["every eighth image"])
    else:
        learned = [[*i, *load_colour_views(*folder)] for i, folder in zip(learned, folders, strict=True)]
    if not any(image.labels.any() for images in learned for image in images):
        raise InputError("There is no cell in any of the label images: give labels with at least one.")
    images = balance(learned)
    cells = [image.labels for image in images]
    size, sizes = measure_object_size(cells), measure_size_range(cells)
    scale = object_size / size if object_size and size else 1.0
    network, outputs = PRESETS[preset]
    card = ModelCard(
        name=output.stem,
        title=title,
        network=network,
        outputs=outputs,
        scale=scale,
        object_size=size * scale if size else None,
        size_range=(sizes[0] * scale, sizes[1] * scale) if sizes else None,
        instances=InstanceParams(),
    )
    weights, before = None, {}
    if start is not None:
        parent, known = load_network(start)
        before = {"went_on_from": {"name": known.name, **known.training}}
        weights = parent.get_weights()
        card = card.model_copy(
            update={"network": known.network, "outputs": known.outputs, "parent": hash_file(start)}
        )
    every_held = [image for part in held.values() for image in part]
    model = train(
        card,
        [image.resized(scale) for image in images],
        {name: [image.resized(scale) for image in part] for name, part in held.items()},
        params,
        folder=checkpoints or output.with_suffix(".training"),
        start=weights,
        on_step=on_step,
    )
    scores, parts = _score(model, held)
    card = model.card.model_copy(
        update={
            "training": {
                "data": data,
                "images": len(images),
                "cells": sum(int(image.labels.max()) for image in images),
                "preset": preset if start is None else f"weights of {start.stem}",
                "recipe": params.model_dump(),
                **before,
            },
            "scores": {"validation": {"images": len(every_held), **scores.model_dump()}, **parts},
            "versions": software_versions(),
        }
    )
    save_network(model.network, card, output)
    return card, scores


def _without(
    folders: Sequence[Sequence[TrainingImage]], held: Sequence[TrainingImage]
) -> list[list[TrainingImage]]:
    """Return the images that are not held out; all of them where none would be left."""
    left = [[image for image in images if not any(image is h for h in held)] for images in folders]
    return left if any(left) else [list(images) for images in folders]


def _score(model: Model, held: dict[str, list[TrainingImage]]) -> tuple[Scores, dict[str, dict[str, object]]]:
    """Return the scores on all held-out images at their own resolution, and on each set of them."""
    found = {name: [model.predict(image.image).labels for image in part] for name, part in held.items()}
    truth = {name: [image.labels for image in part] for name, part in held.items()}
    scores = evaluate(
        [p for part in found.values() for p in part], [t for part in truth.values() for t in part]
    )
    return scores, {
        name: {"images": len(part), **evaluate(part, truth[name]).model_dump()}
        for name, part in found.items()
    }


def _name_folder(folder: Path) -> str:
    """Return a name for a data set that gives nothing away of where it lies."""
    return "/".join(folder.resolve().parts[-3:])


def software_versions() -> dict[str, str]:
    """Return the versions of this package and of what it computes with."""
    from importlib.metadata import PackageNotFoundError, version

    from napari_unet.nn import backend_name

    found = {}
    for package in ("napari-unet", "keras", backend_name(), "numpy", "scikit-image"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
