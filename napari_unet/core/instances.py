"""Output maps to cells: an int32 label image in which touching cells are separate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed

from napari_unet.core.params import InstanceParams
from napari_unet.core.targets import distance as cell_depth

Float32 = NDArray[np.float32]

_FILLED_HOLE = 0.25
_SMOOTHING = 1.5  # px; a ripple of the transposed convolutions is no core


def label_instances(
    maps: Float32, outputs: tuple[str, ...], params: InstanceParams, *, object_size: float | None = None
) -> NDArray[np.int32]:
    """Return the cells (Y, X) drawn by output maps (Y, X, len(outputs)).

    Markers are the connected cores of cells; a watershed grows them to the foreground's edge. The cores
    are where the predicted distance map exceeds ``params.marker``; without that map, where the
    foreground's own distance transform, lowered along predicted borders if there are any, does.
    ``object_size`` is a typical cell's diameter in px; objects much smaller are dropped, and those whose mean
    foreground probability is below ``params.certainty``.
    """
    named = {name: maps[..., index] for index, name in enumerate(outputs)}
    inside = named["foreground"] > params.foreground
    smallest = params.min_area * np.pi / 4 * object_size**2 if object_size else 4.0
    if not inside.any():
        return np.zeros(inside.shape, np.int32)
    elevation = _cell_cores(named, inside)
    cores, _ = ndimage.label((elevation > params.marker) & inside)
    markers = _add_coreless(cores.astype(np.int32), inside)
    labels = watershed(-elevation, markers, mask=inside).astype(np.int32)
    labels = _drop_uncertain(labels, named["foreground"], params.certainty)
    return _drop_small(_fill_holes(labels), smallest)


def _cell_cores(named: dict[str, Float32], inside: NDArray[np.bool_]) -> Float32:
    """Return a landscape (Y, X) in [0, 1], high in the middle of cells and low between them."""
    if "distance" in named:
        return ndimage.gaussian_filter(named["distance"], _SMOOTHING)
    pieces, _ = ndimage.label(inside)
    landscape = ndimage.gaussian_filter(cell_depth(pieces.astype(np.int32)), _SMOOTHING)
    return landscape * (1 - named["border"]) if "border" in named else landscape


def _add_coreless(cores: NDArray[np.int32], inside: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Make a marker of every connected piece of foreground in which no core rises."""
    pieces, count = ndimage.label(inside)
    cored = np.zeros(count + 1, bool)
    cored[np.unique(pieces[cores > 0])] = True
    extra, _ = ndimage.label(inside & ~cored[pieces])
    return np.where(extra > 0, extra + cores.max(), cores).astype(np.int32)


def _fill_holes(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Give each pocket of background that one cell encloses to that cell, unless it is large."""
    pockets, count = ndimage.label(labels == 0)
    if count < 2:
        return labels
    grown = ndimage.grey_dilation(labels, footprint=ndimage.generate_binary_structure(2, 1))
    absent = np.iinfo(np.int32).max
    shrunk = -ndimage.grey_dilation(
        -np.where(labels > 0, labels, absent), footprint=ndimage.generate_binary_structure(2, 1)
    )
    index = np.arange(1, count + 1)
    highest = ndimage.maximum(grown, pockets, index)
    lowest = ndimage.minimum(shrunk, pockets, index)
    areas = np.bincount(pockets.ravel(), minlength=count + 1)[1:]
    edge = np.zeros(count + 1, bool)
    for side in (pockets[0], pockets[-1], pockets[:, 0], pockets[:, -1]):
        edge[side] = True
    cell_areas = np.bincount(labels.ravel())
    owner = np.zeros(count + 1, np.int32)
    enclosed = (highest == lowest) & ~edge[1:]
    enclosed[enclosed] = areas[enclosed] < _FILLED_HOLE * cell_areas[highest[enclosed].astype(int)]
    owner[1:][enclosed] = highest[enclosed]
    return np.where(labels == 0, owner[pockets], labels).astype(np.int32)


def _drop_uncertain(labels: NDArray[np.int32], foreground: Float32, least: float) -> NDArray[np.int32]:
    areas = np.bincount(labels.ravel())
    sums = np.bincount(labels.ravel(), foreground.ravel())
    keep = sums >= least * areas
    keep[0] = False
    return np.where(keep[labels], labels, 0).astype(np.int32)


def _drop_small(labels: NDArray[np.int32], smallest: float) -> NDArray[np.int32]:
    areas = np.bincount(labels.ravel())
    keep = areas >= smallest
    keep[0] = False
    renumbered = np.cumsum(keep) * keep
    return renumbered[labels].astype(np.int32)
