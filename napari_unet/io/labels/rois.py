"""ImageJ's regions of interest: zip files of its ROI Manager, StarDist and Cellpose; .roi files."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from roifile import ROI_TYPE, ImagejRoi

from napari_unet.core.base import InputError
from napari_unet.core.cells import fill_rings, trace_polygons
from napari_unet.core.image import Place
from napari_unet.io import Shape, reading
from napari_unet.io.labels.draw import draw_shapes
from napari_unet.io.labels.target import LabelFile, Target

KIND = "an ImageJ ROI file"
_AREAS = (ROI_TYPE.POLYGON, ROI_TYPE.FREEHAND, ROI_TYPE.TRACED, ROI_TYPE.RECT, ROI_TYPE.OVAL)
_LARGEST_FILE = 1 << 24  # bytes of one region; a bigger one is no region but a bomb
_LONGEST_NUMBER = 9  # digits of a name that is taken for a cell's number


def read_rois(path: Path, target: Target) -> LabelFile:
    """Return the cells that the regions of a zip or roi file enclose.

    What `io.export` wrote comes back pixel for pixel. A region's number is its property `label`, else its
    name where all names are different numbers, as Cellpose writes them; else it gets a free one. A region
    without a position lies in every plane. Raises InputError for a file that is missing, damaged or no ImageJ
    file, and for regions of another image.
    """
    with reading(path, KIND):
        rois = _load(path)
        areas = [roi for roi in rois if roi.roitype in _AREAS]
        shapes = _name([_read_shape(roi, target) for roi in areas], [roi.name for roi in areas])
        shapes = [shape for shape in shapes if any(len(ring) for ring in shape.polygons[0])]
        if not shapes:
            raise InputError(f"{path.name} has no region that encloses a cell: export the outlines of cells.")
        if _run_through_pixels(shapes):
            shapes = [_widen(shape) for shape in shapes]
        labels, notes = draw_shapes(shapes, target, path.name)
    left = len(rois) - len(shapes)
    if left:
        notes.append(f"Points and lines ({left}) are left out.")
    return LabelFile(labels, "ImageJ ROIs", tuple(notes))


def _load(path: Path) -> list[ImagejRoi]:
    content = path.read_bytes()
    if content.startswith(b"Iout"):
        return [ImagejRoi.frombytes(content)]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = [entry for entry in archive.infolist() if entry.filename.lower().endswith(".roi")]
        if not entries or any(entry.file_size > _LARGEST_FILE for entry in entries):
            raise ValueError("no regions")
        return [ImagejRoi.frombytes(archive.read(entry)) for entry in entries]


def _read_shape(roi: ImagejRoi, target: Target) -> Shape:
    label = roi.properties.get("label")
    number = label if isinstance(label, int) and label > 0 else None
    rings = [np.asarray(ring, np.float64) for ring in roi.coordinates(multi=True)]
    return Shape(number, _place(roi, target), [rings])


def _name(shapes: list[Shape], names: Sequence[str | None]) -> list[Shape]:
    """Return the shapes with their names as numbers, where these are numbers and all different in a plane."""
    if any(shape.label for shape in shapes):
        return shapes
    numbers = [
        int(name) if name and name.isdecimal() and len(name) <= _LONGEST_NUMBER else 0 for name in names
    ]
    places = {(number, *sorted(shape.place.items())) for number, shape in zip(numbers, shapes, strict=True)}
    if 0 in numbers or len(places) != len(shapes):
        return shapes
    return [replace(shape, label=number) for number, shape in zip(numbers, shapes, strict=True)]


def _place(roi: ImagejRoi, target: Target) -> Place:
    if roi.t_position or roi.z_position:
        return target.place(max(roi.t_position - 1, 0), max(roi.z_position - 1, 0))
    if not roi.position:
        return {}
    # ImageJ counts the planes of a stack through Z first.
    return target.place(*divmod(roi.position - 1, target.sizes.get("Z", 1)))


def _run_through_pixels(shapes: Sequence[Shape]) -> bool:
    """Whether outlines go from one border pixel to the next, as Cellpose writes them, not along edges."""
    steps = [_steps(ring) for shape in shapes for polygon in shape.polygons for ring in polygon]
    joined = np.concatenate(steps) if steps else np.zeros((0, 2))
    return bool((joined.max(1, initial=0) == 1).all() and (joined.min(1, initial=1) == 1).any())


def _steps(ring: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.abs(np.roll(ring, -1, 0) - ring)


def _widen(shape: Shape) -> Shape:
    """Return the cell whose border pixels are the corners of its outlines, along pixel edges."""
    ((outline,),) = shape.polygons
    first = outline.min(0)
    corners = (outline - first).astype(np.int64)
    mask = np.zeros(corners.max(0)[::-1] + 1, np.int32)
    window, inside = fill_rings([corners + 0.5], mask.shape)
    mask[window][inside] = 1
    mask[corners[:, 1], corners[:, 0]] = 1
    polygons = [[ring + first for ring in polygon] for polygon in trace_polygons(mask)[1]]
    return replace(shape, polygons=polygons)
