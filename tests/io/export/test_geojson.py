"""What QuPath sees; that cells come back pixel for pixel is tested where labels are read."""

import json

import numpy as np

from napari_unet.io.export.geojson import encode_geojson


def test_features_are_detections_with_closed_rings_and_a_plane() -> None:
    labels = np.zeros((3, 5, 5), np.int32)
    labels[2, :3, :3] = 8
    labels[2, 1, 1] = 0
    labels[2, 4, 4] = 8
    (feature,) = json.loads(encode_geojson(labels, "TYX"))["features"]
    assert feature["properties"] == {"objectType": "detection", "name": "8", "measurements": {"label": 8}}
    geometry = feature["geometry"]
    assert geometry["type"] == "MultiPolygon"
    assert geometry["plane"] == {"c": -1, "z": 0, "t": 2}
    assert [len(polygon) for polygon in geometry["coordinates"]] == [2, 1]
    assert all(ring[0] == ring[-1] for polygon in geometry["coordinates"] for ring in polygon)
    assert geometry["coordinates"][1] == [[[4, 4], [5, 4], [5, 5], [4, 5], [4, 4]]]
