"""GeoJSON as QuPath exports it: polygons in pixels, one feature for each cell."""

from __future__ import annotations

import contextlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.io import Shape, reading
from napari_unet.io.labels.draw import draw_shapes
from napari_unet.io.labels.target import LabelFile, Target

_CELLS = ("cell", "detection")
_LONGEST_NUMBER = 9  # digits of a name that is taken for a cell's number


def read_geojson(path: Path, target: Target) -> LabelFile:
    """Return the cells that the polygons of a GeoJSON file enclose.

    What `io.export` wrote comes back pixel for pixel, also by way of QuPath. A cell's number is its
    measurement `label`, or its name where that is a number; else it gets a free one. Where there are cells or
    detections, annotations are what they were found in, and left out. One without a plane lies in the first.
    Raises InputError for a file that is missing, damaged or no GeoJSON, and for features of another image.
    """
    with reading(path, "GeoJSON"):
        content = json.loads(path.read_bytes())
        features = content if isinstance(content, list) else content.get("features", [content])
        cells = [f for f in features if _kind(f) in _CELLS] or features
        shapes = [_read_feature(feature, target) for feature in cells]
        closed = [shape for shape in shapes if shape.polygons]
        labels, notes = draw_shapes(closed, target, path.name)
    if around := len(features) - len(cells):
        notes.append(f"Annotations around the cells ({around}) are left out.")
    if left := len(shapes) - len(closed):
        notes.append(f"Points and lines ({left}) are left out.")
    return LabelFile(labels, "GeoJSON", tuple(notes))


def _kind(feature: dict[str, Any]) -> str:
    properties = feature.get("properties") or {}
    return str(properties.get("objectType") or properties.get("object_type") or "").lower()


def _read_feature(feature: dict[str, Any], target: Target) -> Shape:
    geometry = feature["geometry"]
    parts = geometry.get("geometries", [geometry])
    polygons = [polygon for part in parts for polygon in _read_polygons(part)]
    plane = geometry.get("plane", {})
    place = target.place(int(plane.get("t", 0)), int(plane.get("z", 0)))
    return Shape(_label(feature.get("properties") or {}), place, polygons)


def _read_polygons(geometry: dict[str, Any]) -> list[list[NDArray[np.float64]]]:
    if geometry["type"] not in ("Polygon", "MultiPolygon"):
        return []
    single = geometry["type"] == "Polygon"
    polygons = [geometry["coordinates"]] if single else geometry["coordinates"]
    return [[np.array(ring, np.float64)[:, :2] for ring in polygon] for polygon in polygons]


def _label(properties: dict[str, Any]) -> int | None:
    measurements = properties.get("measurements") or {}
    if isinstance(measurements, list):  # before QuPath 0.4
        measurements = {entry["name"]: entry["value"] for entry in measurements}
    name = str(properties.get("name") or "")
    for value in (measurements.get("label"), name if len(name) <= _LONGEST_NUMBER + 1 else None):
        with contextlib.suppress(ValueError):
            number = float(value or 0)
            if math.isfinite(number) and number > 0 and number.is_integer():
                return int(number)
    return None
