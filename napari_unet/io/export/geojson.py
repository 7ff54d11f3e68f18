"""Cells as GeoJSON, in the form that QuPath opens and saves: detections with polygons in pixels.

A cell with holes or several pieces keeps them; its id is its name and the measurement `label`.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.base.arrays import Labels
from napari_unet.io.export.shapes import Shape, draw_shapes, trace_shapes
from napari_unet.io.failures import reading

_NAMES = {"T": "t", "Z": "z"}


def encode_geojson(labels: Labels, axes: str) -> bytes:
    """Return the content of a GeoJSON file with one feature for each cell and plane."""
    features = [_make_feature(shape) for shape in trace_shapes(labels, axes)]
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


def read_geojson(path: str | os.PathLike[str], shape: tuple[int, ...], axes: str | None = None) -> Labels:
    """Return the label image (int32) of `shape` that the polygons of a GeoJSON file enclose.

    What `encode_geojson` wrote comes back pixel for pixel, also by way of QuPath. Of other files, features
    without a label (measurement `label`, or a number as name) get free numbers in their order, a later one
    covers an earlier one, one without a plane lies in the first, and points and lines are passed over. Raises
    InputError for a file that is missing, damaged or no GeoJSON, and for features outside the stack.
    """
    path = Path(path)
    with reading(path, "GeoJSON"):
        content = json.loads(path.read_bytes())
        features = content if isinstance(content, list) else content.get("features", [content])
        return draw_shapes([_read_feature(feature) for feature in features], shape, axes)


def _make_feature(shape: Shape) -> dict[str, Any]:
    polygons = [[_close(ring.tolist()) for ring in polygon] for polygon in shape.polygons]
    single = len(polygons) == 1
    geometry: dict[str, Any] = {
        "type": "Polygon" if single else "MultiPolygon",
        "coordinates": polygons[0] if single else polygons,
    }
    if shape.place:
        plane = {name: shape.place.get(axis, 0) for axis, name in _NAMES.items()}
        geometry["plane"] = {"c": -1, **plane}
    properties = {
        "objectType": "detection",
        "name": str(shape.label),
        "measurements": {"label": shape.label},
    }
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def _close(ring: list[Any]) -> list[Any]:
    return [*ring, ring[0]]


def _read_feature(feature: dict[str, Any]) -> Shape:
    geometry = feature["geometry"]
    polygons: list[list[NDArray[np.float64]]] = []
    if geometry["type"] in ("Polygon", "MultiPolygon"):
        single = geometry["type"] == "Polygon"
        for polygon in [geometry["coordinates"]] if single else geometry["coordinates"]:
            polygons.append([np.array(ring, np.float64)[:, :2] for ring in polygon])
    plane = geometry.get("plane", {})
    place = {axis: int(plane.get(name, 0)) for axis, name in _NAMES.items()}
    return Shape(_label(feature.get("properties") or {}), place, polygons)


def _label(properties: dict[str, Any]) -> int | None:
    measurements = properties.get("measurements") or {}
    if isinstance(measurements, list):  # before QuPath 0.4
        measurements = {entry["name"]: entry["value"] for entry in measurements}
    for value in (measurements.get("label"), properties.get("name")):
        with contextlib.suppress(ValueError):
            number = float(value or 0)
            if number > 0 and number.is_integer():
                return int(number)
    return None
