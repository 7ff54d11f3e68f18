"""Which model fits an image best: each looks at a sample of it, and nobody has to know the true cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.core.base import AUTO, Float32, InputError, Progress, Report
from napari_unet.core.cells import LEAST_FIT, measure_fit
from napari_unet.core.image import Channels, PlaneGrid, list_windows, measure_detail, normalise
from napari_unet.jobs.lazy_plane import open_plane, plane_shape
from napari_unet.jobs.model_cache import check_channels, resolve_model
from napari_unet.models import find_models

if TYPE_CHECKING:
    from napari_unet.nn import Model


SIDE = 384
"""Side of the sample, px."""
_SHRUNK = 0.88  # the scale of one look, compared with the other
_MOST_MODELS = 8


@dataclass(frozen=True, slots=True)
class Choice:
    """The model that fits an image best, and how well each one does that looked at it, best first."""

    model: Path
    fits: tuple[tuple[str, float], ...]

    @property
    def finds_cells(self) -> bool:
        """Whether it seems to find any."""
        return self.fits[0][1] >= LEAST_FIT

    def explain(self) -> str:
        """Say which model was taken and why."""
        name, count = self.fits[0][0], len(self.fits)
        if count == 1:
            return f"Model: {name}, the only one for such an image."
        if self.finds_cells:
            return f"Model: {name}, which fits this image best of {count}."
        return (
            f"No model seems to know such cells; {name} comes closest. Draw some cells and fine-tune, or "
            "choose a model yourself."
        )


def pick_model(model: str | Path, image: Any, grid: PlaneGrid, **look: Any) -> tuple[str | Path, str]:
    """Return a model, or for `AUTO` the one that fits an image best, and a sentence that says why.

    ``look`` are the options of `choose_model`.
    """
    if model != AUTO:
        return model, ""
    choice = choose_model(image, grid, list_candidates(), **look)
    return choice.model, choice.explain()


def list_candidates(folders: Iterable[Path] = ()) -> list[Path]:
    """Return the files of the models among which is chosen: those that ship, and the newest of the others."""
    entries = find_models(folders)
    own = [entry.path for entry in entries if not entry.bundled]
    own.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    bundled = [entry.path for entry in entries if entry.bundled]
    return [*bundled, *own][:_MOST_MODELS]


def choose_model(
    image: Any,
    grid: PlaneGrid,
    candidates: Sequence[str | Path],
    *,
    channel: Channels = None,
    pixel_size: float | None = None,
    report: Report = lambda progress: None,
) -> Choice:
    """Return which of the models fits an image best; the image may be anything with a shape and slices.

    The sample is the part of its middle plane with most edges. InputError where no model takes its channels.
    """
    indices = list(grid.indices())
    index, samples = indices[len(indices) // 2], dict[Channels, Float32]()
    fits: list[tuple[float, Path]] = []
    for number, path in enumerate(map(Path, candidates)):
        report(Progress(number / len(candidates), f"Looking which model fits: {path.stem}"))
        model = resolve_model(path)
        try:
            used = check_channels(grid, channel, model)
        except InputError:
            continue
        if used not in samples:
            samples[used] = _take_sample(image, grid, index, used)
        fits.append((try_model(model, samples[used], pixel_size), path))
    if not fits:
        raise InputError("There is no model for an image of so many channels: choose one channel.")
    fits.sort(key=lambda fit: -fit[0])
    return Choice(fits[0][1], tuple((path.stem, fit) for fit, path in fits))


def try_model(model: Model, image: Float32, pixel_size: float | None = None) -> float:
    """Return how well what a model draws fits a normalised image (Y, X, C).

    It looks a second time at the image turned, and a third time at its mirror image, a little smaller.
    """
    found = model.predict(image, pixel_size=pixel_size)
    scale = found.scale
    turned = model.label(model.predict_maps(np.ascontiguousarray(np.rot90(image)), scale=scale), scale)
    mirror, smaller = np.ascontiguousarray(image[:, ::-1]), scale * _SHRUNK
    mirrored = model.label(model.predict_maps(mirror, scale=smaller), smaller)
    return measure_fit(image, found.labels, [np.rot90(turned, -1), mirrored[:, ::-1]])


def _take_sample(image: Any, grid: PlaneGrid, index: tuple[int, ...], channel: Channels) -> Float32:
    source = open_plane(image, grid, index, channel)
    windows = list_windows(plane_shape(grid), SIDE)
    return max((normalise(source.read(window)) for window in windows), key=measure_detail)
