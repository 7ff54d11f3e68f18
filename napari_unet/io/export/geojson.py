"""Cells as GeoJSON, in the form that QuPath opens: detections with polygons in pixels.

A cell with holes or several pieces keeps them; its id is its name and the measurement `label`.
"""

from __future__ import annotations

import json
from typing import Any

from napari_unet.core.base import Labels
from napari_unet.io import Shape, trace_shapes

_NAMES = {"T": "t", "Z": "z"}


def encode_geojson(labels: Labels, axes: str) -> bytes:
    """Return the content of a GeoJSON file with one feature for each cell and plane."""
    features = [_make_feature(shape) for shape in trace_shapes(labels, axes)]
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


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
