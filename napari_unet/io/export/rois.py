"""Cells as ImageJ's regions of interest, in the zip files that its ROI Manager opens.

A cell of one piece without holes is a traced selection, as ImageJ's wand makes it; others are composite
selections. Every region carries its cell's id as the property `label`.
"""

from __future__ import annotations

import io
import zipfile

import numpy as np
import numpy.typing as npt
from roifile import ROI_TYPE, ImagejRoi

from napari_unet.core.base import Labels
from napari_unet.core.image import Place
from napari_unet.io import Polygons, Shape, trace_shapes

_LARGEST_SHORT = 60535  # ImageJ reads larger coordinates of a plain selection as negative ones
_MOVE, _LINE, _CLOSE = 0, 1, 4


def encode_rois(labels: Labels, axes: str) -> bytes:
    """Return the content of a zip file with one region for each cell and plane."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for shape in trace_shapes(labels, axes):
            roi = _make_roi(shape)
            archive.writestr(f"{roi.name}.roi", roi.tobytes())
    return buffer.getvalue()


def _make_roi(shape: Shape) -> ImagejRoi:
    roi = ImagejRoi(name=_name(shape), props=f"label: {shape.label}\n")
    _set_position(roi, shape.place)
    corners = np.concatenate([polygon[0] for polygon in shape.polygons])
    roi.left, roi.top = map(int, corners.min(0))
    roi.right, roi.bottom = map(int, corners.max(0))
    if len(shape.polygons) == len(shape.polygons[0]) == 1 and corners.max() <= _LARGEST_SHORT:
        roi.roitype = ROI_TYPE.TRACED
        roi.integer_coordinates = (corners - (roi.left, roi.top)).astype(np.int32)
        roi.n_coordinates = len(corners)
    else:
        roi.roitype = ROI_TYPE.RECT
        roi.multi_coordinates = _make_path(shape.polygons)
        roi.shape_roi_size = len(roi.multi_coordinates)
    return roi


def _name(shape: Shape) -> str:
    place = [f"{axis.lower()}{index + 1:04d}" for axis, index in shape.place.items()]
    return "-".join([f"{shape.label:04d}", *place])


def _set_position(roi: ImagejRoi, place: Place) -> None:
    """Say where ImageJ shows the region; it counts from 1, and an image with one slider has no Z or T."""
    if len(place) == 2:
        roi.c_position, roi.z_position, roi.t_position = 1, place["Z"] + 1, place["T"] + 1
    else:
        roi.position = sum(place.values()) + 1 if place else 0


def _make_path(polygons: Polygons) -> npt.NDArray[np.float32]:
    path: list[float] = []
    for ring in (ring for polygon in polygons for ring in polygon):
        for number, corner in enumerate(ring.tolist()):
            path += [_LINE if number else _MOVE, *corner]
        path.append(_CLOSE)
    return np.array(path, np.float32)
