"""Between napari's layers and the session: a layer carries the key of its image or its file; that is all."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from napari.layers import Image, Labels, Layer
from qtpy.QtCore import QTimer

from napari_unet.core.base import Box, Index, InputError
from napari_unet.core.image import PlaneGrid
from napari_unet.core.review import Place
from napari_unet.io import MICROMETRES
from napari_unet.session import OpenImage, Source

METADATA = "napari-unet"
_BRUSH_GONE = 200  # ms, in which the canvas is painted again
_SHARE = 1 / 5  # of the canvas, that a place takes
_LEAST_SHARE, _MOST_SHARE = 1 / 10, 1 / 2
_LEAST_SIDE = 16  # px; what is smaller is shown as if it were so large


def image_layers(viewer: Any) -> list[Image]:
    """Return the viewer's images, the topmost last."""
    return [layer for layer in viewer.layers if isinstance(layer, Image)]


def source_of(layer: Image) -> Source:
    """Return a napari image as the session takes it; of a pyramid the finest level."""
    return Source(
        id=str(layer.unique_id),
        name=layer.name,
        data=layer.data[0] if layer.multiscale else layer.data,
        axes=key_of(layer, "axes") or _axes(layer),
        rgb=layer.rgb,
        path=layer.source.path or key_of(layer, "path"),
        pixel_size=_pixel_size(layer),
        region=key_of(layer, "region"),
    )


def key_of(layer: Layer, role: str) -> Any:
    """Return the key of the image that a layer shows the labels of, or what else `role` says."""
    return layer.metadata.get(METADATA, {}).get(role)


def make_labels(layer: Image, image: OpenImage, labels: np.ndarray) -> Labels:
    """Return a Labels layer for an image layer, lying exactly over it."""
    made = Labels(
        _spread(labels, image.grid),
        name=f"{layer.name} cells",
        metadata={METADATA: {"image": image.key}},
        features=features_of(image),
        **place_over(layer, image.grid),
    )
    # Brush strokes make a new cell from the start, and do not add to whichever has number 1.
    made.selected_label = int(labels.max(initial=0)) + 1
    return made


def make_disk_labels(layer: Image, image: OpenImage, levels: Sequence[Any]) -> Labels:
    """Return a layer over a large image that shows its cells on the disk, lazy arrays, the finest first."""
    made = Labels(
        spread_levels(levels, image.grid),
        name=f"{layer.name} cells",
        metadata={METADATA: {"cells": image.key}},
        multiscale=len(levels) > 1,
        **place_over(layer, image.grid),
    )
    made.editable = False
    return made


def spread_levels(levels: Sequence[Any], grid: PlaneGrid) -> Any:
    """Return lazy labels of an image, the finest first, as a layer over it takes them."""
    axes = grid.axes.replace("S", "")
    across = (slice(None),) * axes.index("C") + (None,) if "C" in axes[1:] else ()
    spread = [level[across] if across else level for level in levels]
    return spread if len(spread) > 1 else spread[0]


def replace_labels(layer: Labels, image: OpenImage, labels: np.ndarray) -> None:
    """Show new labels in a layer that shows old ones (20 ms, where another layer would take napari 250).

    The layer's undo history belongs to the old labels and would corrupt the new ones: napari drops it when a
    layer stops being editable.
    """
    mode = layer.mode
    layer.editable = False
    layer.data = _spread(labels, image.grid)
    layer.editable = True
    layer.mode = mode
    layer.features = features_of(image)


def remove_soon(viewer: Any, layer: Labels) -> None:
    """Take a layer away as soon as the brush is gone from the canvas: OpenGL drivers crash if it is not."""

    def remove() -> None:
        if layer in viewer.layers:
            viewer.layers.remove(layer)

    layer.mode, layer.name = "pan_zoom", f"{layer.name} (put away)"
    QTimer.singleShot(_BRUSH_GONE, remove)


def features_of(image: OpenImage) -> dict[str, np.ndarray]:
    """Return the features table of an image's cells."""
    return dict(image.features)


def labels_in(layer: Labels, grid: PlaneGrid) -> np.ndarray:
    """Return the data of a labels layer in the shape of the review, unless it no longer fits."""
    data = np.asarray(layer.data)
    return data.reshape(grid.label_shape) if data.shape == spread_shape(grid) else data


def shown_plane(viewer: Any, layer: Layer, grid: PlaneGrid) -> Index:
    """Return the plane that the viewer shows of an image, as an index along its T and Z axes."""
    position = layer.world_to_data(viewer.dims.point[-layer.ndim :])
    axes = grid.axes.replace("S", "")
    steps = dict(zip(axes[-layer.ndim :], position, strict=False))
    sizes = dict(zip(grid.axes, grid.shape, strict=True))
    return tuple(int(np.clip(round(float(steps[a])), 0, sizes[a] - 1)) for a in grid.axes if a in "TZ")


def visible_box(viewer: Any, layer: Layer, grid: PlaneGrid) -> Box | None:
    """Return what the canvas shows of an image or its labels, as a box of the review; None for nothing.

    napari's own corners are, of pyramids, those of a coarser level and of whole chunks.
    """
    if viewer.dims.ndisplay != 2:
        return None
    camera, displayed = viewer.scene.camera, list(viewer.dims.displayed)
    reach = np.array(viewer.canvas.size) / camera.zoom / 2
    corners = np.array([viewer.dims.point] * 4, float)
    corners[:, displayed] = np.array(camera.center)[-2:] + reach * [(-1, -1), (-1, 1), (1, -1), (1, 1)]
    points = np.array([layer.world_to_data(corner[-layer.ndim :])[-2:] for corner in corners])
    rows, columns = (
        (max(0, int(np.floor(low + 0.5))), min(size, int(np.floor(high + 0.5)) + 1))
        for low, high, size in zip(points.min(0), points.max(0), grid.label_shape[-2:], strict=True)
    )
    if rows[0] >= rows[1] or columns[0] >= columns[1]:
        return None
    plane = shown_plane(viewer, layer, grid)
    return (*((at, at + 1) for at in plane), rows, columns)


def view_of(viewer: Any, layer: Layer, grid: PlaneGrid) -> Box:
    """Return what `visible_box` does; InputError where the canvas shows nothing, or in 3D."""
    box = visible_box(viewer, layer, grid)
    if box is None and viewer.dims.ndisplay != 2:
        raise InputError("In 3D nobody sees every pixel: switch to 2D, then go plane by plane.")
    if box is None:
        raise InputError("The image is out of view: move back to it first.")
    return box


def is_in_view(viewer: Any, layer: Layer, grid: PlaneGrid, place: Place) -> bool:
    """Return whether the canvas shows the middle of a place of an image."""
    box = visible_box(viewer, layer, grid)
    if box is None or tuple(start for start, _ in box[:-2]) != place.plane:
        return False
    middle = [(start + stop) / 2 for start, stop in place.box]
    return all(start <= at <= stop for at, (start, stop) in zip(middle, box[-2:], strict=True))


def plane_of(layer: Labels, grid: PlaneGrid, plane: Index) -> tuple[int, ...]:
    """Return the index, along all axes but rows and columns, of a plane in the data of a labels layer."""
    steps = iter(plane)
    axes = grid.axes.replace("S", "")[-layer.ndim : -2]
    return tuple(next(steps) if axis in "TZ" else 0 for axis in axes)


def look_at(viewer: Any, layer: Labels, grid: PlaneGrid, place: Place) -> None:
    """Show a place of an image: its plane, its surroundings, its label selected.

    The zoom stays as it is where the place is neither large nor small on the canvas. Where a cell may be
    missing, a label is selected that no cell has.
    """
    axes = grid.axes.replace("S", "")[-layer.ndim :]
    middle = [(start + stop - 1) / 2 for start, stop in place.box]
    world = np.asarray(layer.data_to_world([*plane_of(layer, grid, place.plane), *middle]))
    first = viewer.dims.ndim - layer.ndim
    for axis, letter in enumerate(axes):
        if letter in "TZ":
            viewer.dims.set_point(first + axis, world[axis])
    sides = np.array([max(stop - start, _LEAST_SIDE) for start, stop in place.box]) * np.abs(layer.scale[-2:])
    camera, fitting = viewer.scene.camera, float((np.array(viewer.canvas.size) / sides).min())
    camera.center = tuple(world[[axis - first for axis in viewer.dims.displayed]])
    if not _LEAST_SHARE * fitting <= camera.zoom <= _MOST_SHARE * fitting:
        camera.zoom = _SHARE * fitting
    layer.selected_label = place.label or int(layer.data.max()) + 1
    layer.visible, viewer.layers.selection.active = True, layer


def place_over(layer: Image, grid: PlaneGrid) -> dict[str, Any]:
    """Return the transform and the axes that put labels of an image over it."""
    axes = grid.axes.replace("S", "")
    keep = slice(1, None) if axes.startswith("C") else slice(None)
    scale, translate = np.array(layer.scale, float)[keep], np.array(layer.translate, float)[keep]
    if "C" in axes[1:]:
        # One thick label plane lies across all channels, so that it shows at each of them.
        at = axes.index("C")
        translate[at] += scale[at] * (grid.channels - 1) / 2
        scale[at] *= grid.channels
    place: dict[str, Any] = {
        "scale": scale,
        "translate": translate,
        "units": layer.units[keep],
        "axis_labels": layer.axis_labels[keep],
    }
    if "C" not in axes:
        place |= {"rotate": layer.rotate, "shear": layer.shear, "affine": layer.affine}
    return place


def _axes(layer: Image) -> str | None:
    """Return the letters of a layer's axes where they have names that mean something."""
    letters = "".join(str(label) for label in layer.axis_labels).upper()
    if len(letters) == layer.ndim and set(letters) <= set("TZCYX") and letters.endswith("YX"):
        return letters + "S" * layer.rgb if len(set(letters)) == len(letters) else None
    return None


def _pixel_size(layer: Image) -> float | None:
    """Return the pixel size along rows and columns in µm, None where the layer has no unit of length."""
    lengths = [
        float(step) * MICROMETRES[str(unit).lower()]
        for step, unit in zip(layer.scale[-2:], layer.units[-2:], strict=True)
        if str(unit).lower() in MICROMETRES
    ]
    return float(np.sqrt(abs(lengths[0] * lengths[1]))) if len(lengths) == 2 else None


def spread_shape(grid: PlaneGrid) -> tuple[int, ...]:
    """Return the shape of a labels layer over an image: one thick plane where the image has channels."""
    axes = grid.axes.replace("S", "")
    sizes = zip(axes, grid.shape, strict=False)
    return tuple(
        1 if axis == "C" else size for at, (axis, size) in enumerate(sizes) if not (axis == "C" and at == 0)
    )


def _spread(labels: np.ndarray, grid: PlaneGrid) -> np.ndarray:
    return labels.reshape(spread_shape(grid))


def free_name(viewer: Any, name: str) -> str:
    """Return a layer name that is not taken yet."""
    taken = {layer.name for layer in viewer.layers}
    names: Iterator[str] = (f"{name} [{n}]" if n else name for n in itertools.count())
    return next(candidate for candidate in names if candidate not in taken)
