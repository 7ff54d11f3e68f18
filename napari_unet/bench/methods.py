"""What a benchmark compares: our models, the classical baseline, and peers where they are installed.

A peer is given by a word: "otsu", "stardist:MODEL" or "cellpose:MODEL", where MODEL is a name that the peer
knows, or its model folder or file.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.filters import threshold_otsu
from skimage.segmentation import watershed

from napari_unet.core.base import Float32, Index, InputError, Labels
from napari_unet.core.image import PlaneGrid, normalise, plan_planes, to_grey
from napari_unet.io import ImageFile
from napari_unet.jobs import segment
from napari_unet.models import find_model, load_model

Plane = NDArray[np.generic]
"""A raw plane, grey (Y, X) or colour (Y, X, 3)."""

_OTSU_SMOOTHING = 1.0  # px, of the image and of its distance transform
_OTSU_SPACING = 5  # px between the middles of two cells
_OTSU_SMALLEST = 20  # px

logger = logging.getLogger("napari_unet")


@dataclass(frozen=True, slots=True)
class Method:
    """Something that segments images, ready to run.

    ``segment`` returns the cells of an image with the shape of its labels; ``predict_interior``, where there
    is one, the probability of being inside a cell, of the same shape.
    """

    name: str
    segment: Callable[[ImageFile], Labels]
    predict_interior: Callable[[ImageFile], Float32] | None = None


def load_methods(models: Sequence[str], peers: Sequence[str], views: int = 1) -> list[Method]:
    """Load models (names or files), with their ``views``, and peers (words).

    InputError for the first that cannot be.
    """
    methods = [*(_load_model(model, views) for model in models), *map(_load_peer, peers)]
    names = [method.name for method in methods]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(f"There are two methods called {twice[0]}: leave one out or rename its file.")
    return methods


def _load_model(name_or_path: str, views: int) -> Method:
    path = find_model(name_or_path)
    model = load_model(path).with_views(views)

    def segment_image(file: ImageFile) -> Labels:
        return segment(file.data, model, axes=file.axes, pixel_size=file.pixel_size)

    def predict_interior(file: ImageFile) -> Float32:
        grid = plan_planes(file.data.shape, file.axes)
        channel = 0 if "C" in grid.axes and grid.channels != model.card.network.channels else None
        column = model.card.outputs.index("foreground")
        interior = np.zeros(grid.label_shape, np.float32)
        for index in grid.indices():
            plane = normalise(grid.plane(file.data, index, channel))
            maps = model.predict(plane, pixel_size=file.pixel_size).maps
            interior[grid.select(index)] = maps[..., column]
        return interior

    name = path.stem if views == 1 else f"{path.stem}, {views} views"
    return Method(name, segment_image, predict_interior)


def _load_peer(word: str) -> Method:
    kind, _, model = word.partition(":")
    if word == "otsu":
        return _method("otsu", segment_otsu)
    loaders = {"stardist": _load_stardist, "cellpose": _load_cellpose}
    if kind not in loaders or not model:
        raise InputError(f"There is no peer '{word}': give otsu, stardist:MODEL or cellpose:MODEL.")
    try:
        with redirect_stdout(sys.stderr):
            segment_plane = loaders[kind](model)
    except InputError:
        raise
    except Exception as error:
        logger.info("loading %s failed", word, exc_info=True)
        raise InputError(f"{word} cannot be loaded ({error}): check its name, or give its folder.") from error
    return _method(f"{kind}:{Path(model).name}", segment_plane)


def segment_otsu(plane: Plane) -> Labels:
    """Return the cells (Y, X) of a plane: brighter than Otsu's threshold, parted by a distance watershed.

    Cells are taken for brighter than what is around them; colours are turned to grey.
    """
    smooth = ndimage.gaussian_filter(_grey(plane).astype(np.float64), _OTSU_SMOOTHING)
    inside = ndimage.binary_fill_holes(smooth > threshold_otsu(smooth))
    depth = ndimage.gaussian_filter(ndimage.distance_transform_edt(inside), _OTSU_SMOOTHING)
    pieces = ndimage.label(inside)[0]
    middles = peak_local_max(depth, min_distance=_OTSU_SPACING, labels=pieces)
    markers = np.zeros(inside.shape, np.int32)
    markers[tuple(middles.T)] = np.arange(1, len(middles) + 1)
    labels = watershed(-depth, markers, mask=inside).astype(np.int32)
    labels[np.bincount(labels.ravel())[labels] < _OTSU_SMALLEST] = 0
    return labels


def _load_stardist(name: str) -> Callable[[Plane], Labels]:
    stardist, csbdeep = _import("stardist.models", "StarDist"), _import("csbdeep.utils", "StarDist")
    folder = Path(name)
    if folder.is_dir():
        model = stardist.StarDist2D(None, name=folder.name, basedir=str(folder.parent))
    else:
        model = stardist.StarDist2D.from_pretrained(name)
    if model is None:
        raise InputError(f"StarDist knows no model '{name}': give one of its names or a model folder.")

    def segment_plane(plane: Plane) -> Labels:
        pixels = _grey(plane) if model.config.n_channel_in == 1 else _colour(plane)
        labels, _ = model.predict_instances(csbdeep.normalize(pixels, 1, 99.8, axis=(0, 1)))
        return np.asarray(labels, np.int32)

    return segment_plane


def _load_cellpose(name: str) -> Callable[[Plane], Labels]:
    cellpose = _import("cellpose.models", "Cellpose")
    # It takes its default model in place of one it does not know, and says so in a log only.
    known = [*cellpose.MODEL_NAMES, *cellpose.get_user_models()]
    if name not in known and not Path(name).is_file():
        raise InputError(f"Cellpose knows no model '{name}': give a model file or one of {', '.join(known)}.")
    model = cellpose.CellposeModel(pretrained_model=name)

    def segment_plane(plane: Plane) -> Labels:
        return np.asarray(model.eval(plane)[0], np.int32)

    return segment_plane


def _import(module: str, package: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise InputError(
            f"{package} is not installed here: add it with pip install {package.lower()}, or leave it out."
        ) from error


def _method(name: str, segment_plane: Callable[[Plane], Labels]) -> Method:
    def segment_image(file: ImageFile) -> Labels:
        grid = plan_planes(file.data.shape, file.axes)
        labels, taken = np.zeros(grid.label_shape, np.int32), 0
        for index in grid.indices():
            cells = segment_plane(_read_plane(grid, file.data, index))
            labels[grid.select(index)] = np.where(cells > 0, cells + taken, 0)
            taken += int(cells.max())
        return labels

    return Method(name, segment_image)


def _read_plane(grid: PlaneGrid, image: NDArray[Any], index: Index) -> Plane:
    """Return a raw plane with its colours, or with the first of several channels."""
    if "S" in grid.axes and grid.channels >= 3:
        return np.concatenate([grid.plane(image, index, channel) for channel in range(3)], axis=-1)
    channel = 0 if grid.channels > 1 else None
    return grid.plane(image, index, channel)[..., 0]


def _grey(plane: Plane) -> Plane:
    return plane if plane.ndim == 2 else to_grey(plane)


def _colour(plane: Plane) -> Plane:
    return np.stack([plane] * 3, axis=-1) if plane.ndim == 2 else plane
