"""Training a model from folders of images and labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from napari_unet.app.files import match_by_stem, read_image, read_labels
from napari_unet.core.axes import plan_planes
from napari_unet.core.card import ModelCard
from napari_unet.core.errors import InputError
from napari_unet.core.metrics import Scores, evaluate
from napari_unet.core.normalise import check_pixels, normalise
from napari_unet.core.params import PRESETS, InstanceParams, TrainParams
from napari_unet.core.sampling import TrainingImage
from napari_unet.core.targets import number_cells

_VALIDATION_EVERY = 8

Folders = Sequence[tuple[Path, Path]]


def load_training_images(folders: Folders) -> list[TrainingImage]:
    """Read pairs of image and label folders, matched by stem, as normalised grey planes with labels.

    InputError if a pair does not match, a file cannot be read or labels do not fit their image.
    """
    images: list[TrainingImage] = []
    for image_folder, label_folder in folders:
        for pair in match_by_stem(image_folder, label_folder):
            file, labels = read_image(pair.image), read_labels(pair.labels)
            grid = plan_planes(file.data.shape, file.axes)
            if labels.shape != grid.label_shape:
                raise InputError(
                    f"The labels {pair.labels.name} have the shape {labels.shape}, but their image needs "
                    f"{grid.label_shape}."
                )
            check_pixels(file.data)
            images += [
                TrainingImage(
                    normalise(grid.plane(file.data, index, 0 if "C" in grid.axes else None)),
                    number_cells(labels[grid.select(index)]),
                )
                for index in grid.indices()
            ]
    if not any(image.labels.any() for image in images):
        raise InputError("There is no cell in any of the label images: give labels with at least one.")
    return images


def train_from_folders(
    folders: Folders,
    output: Path,
    *,
    validation: Folders = (),
    preset: str = "unet-32",
    params: TrainParams | None = None,
    title: str = "",
    data: str = "",
    checkpoints: Path | None = None,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> tuple[ModelCard, Scores]:
    """Train a model from folders of images and labels and write it to ``output``; return card and scores.

    Without ``validation`` folders every eighth image is kept aside to choose the best weights. An
    interrupted run goes on from ``checkpoints`` (default: ``<output>.training`` beside the output).
    """
    from napari_unet.nn.archive import save_network
    from napari_unet.nn.recipe import measure_object_size, segment_images, train

    if preset not in PRESETS:
        raise InputError(f"There is no preset '{preset}': choose one of {', '.join(PRESETS)}.")
    if output.suffix != ".keras":
        raise InputError(f"The model cannot be written to {output.name}: choose a name that ends in .keras.")
    params = params or TrainParams()
    images = load_training_images(folders)
    held = {_name_folder(folder): load_training_images([(folder, labels)]) for folder, labels in validation}
    if not validation:
        held = {"every eighth image": images[::_VALIDATION_EVERY]}
        images = [image for i, image in enumerate(images) if i % _VALIDATION_EVERY] or images
    every_held = [image for part in held.values() for image in part]
    network, outputs = PRESETS[preset]
    card = ModelCard(
        name=output.stem,
        title=title,
        network=network,
        outputs=outputs,
        object_size=measure_object_size([image.labels for image in images]),
        instances=InstanceParams(),
    )
    folder = checkpoints or output.with_suffix(".training")
    model = train(card, images, every_held, params, folder=folder, on_step=on_step)
    found = {name: segment_images(model, part) for name, part in held.items()}
    truth = {name: [image.labels for image in part] for name, part in held.items()}
    scores = evaluate(
        [p for part in found.values() for p in part], [t for part in truth.values() for t in part]
    )
    parts = {
        name: {"images": len(part), **evaluate(part, truth[name]).model_dump()}
        for name, part in found.items()
    }
    card = model.card.model_copy(
        update={
            "training": {
                "data": data,
                "images": len(images),
                "cells": sum(len(np.unique(image.labels[image.labels > 0])) for image in images),
                "preset": preset,
                "recipe": params.model_dump(),
            },
            "scores": {"validation": {"images": len(every_held), **scores.model_dump()}, **parts},
            "versions": software_versions(),
        }
    )
    save_network(model.network, card, output)
    return card, scores


def _name_folder(folder: Path) -> str:
    """Return a name for a data set that gives nothing away of where it lies."""
    return "/".join(folder.resolve().parts[-3:])


def software_versions() -> dict[str, str]:
    """Return the versions of this package and of what it computes with."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for package in ("napari-unet", "keras", "tensorflow", "numpy", "scikit-image"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
