"""Cells leave as ImageJ ROIs and GeoJSON, and come back pixel for pixel."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from roifile import ROI_TYPE, ImagejRoi

from napari_unet.core.base.errors import InputError
from napari_unet.io.export.geojson import encode_geojson, read_geojson
from napari_unet.io.export.rois import encode_rois, read_rois
from napari_unet.io.export.shapes import Shape, draw_shapes

Encode = Callable[[np.ndarray, str], bytes]
Read = Callable[..., np.ndarray]
formats = pytest.mark.parametrize(
    ("encode", "read", "ending"),
    [(encode_rois, read_rois, ".zip"), (encode_geojson, read_geojson, ".geojson")],
    ids=["rois", "geojson"],
)


@st.composite
def label_images(draw: st.DrawFn) -> tuple[np.ndarray, str]:
    axes = draw(st.sampled_from(["YX", "XY", "ZYX", "TYX", "TZYX", "ZTYX", "YXT"]))
    shape = tuple(draw(st.integers(1, 8 if axis in "YX" else 3)) for axis in axes)
    # Few ids on few pixels: holes, several pieces, corners that touch, single pixels and the border.
    ids = st.sampled_from([0, 0, 1, 1, 2, 40_000, 2**31 - 1])
    return draw(hnp.arrays(np.int32, shape, elements=ids)), axes


@formats
@given(case=label_images())
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_written_comes_back_pixel_for_pixel(
    tmp_path: Path, encode: Encode, read: Read, ending: str, case: tuple[np.ndarray, str]
) -> None:
    labels, axes = case
    path = tmp_path / f"cells{ending}"
    path.write_bytes(encode(labels, axes))
    again = read(path, labels.shape, axes)
    assert again.dtype == np.int32
    np.testing.assert_array_equal(again, labels)


@formats
def test_a_cell_far_to_the_right_comes_back(tmp_path: Path, encode: Encode, read: Read, ending: str) -> None:
    labels = np.zeros((3, 70_000), np.int32)
    labels[:, 33_000:33_010] = 1
    labels[1, 65_000:] = 2
    path = tmp_path / f"cells{ending}"
    path.write_bytes(encode(labels, "YX"))
    np.testing.assert_array_equal(read(path, labels.shape), labels)


@formats
def test_bad_files_are_one_sentence(tmp_path: Path, encode: Encode, read: Read, ending: str) -> None:
    path = tmp_path / f"cells{ending}"
    with pytest.raises(InputError, match="does not exist"):
        read(path, (4, 5))
    path.write_bytes(b"")
    with pytest.raises(InputError, match="damaged"):
        read(path, (4, 5))
    whole = encode(np.ones((2, 4, 5), np.int32), "ZYX")
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="damaged"):
        read(path, (2, 4, 5))
    path.write_bytes(whole)
    with pytest.raises(InputError, match="outside a stack of shape"):
        read(path, (1, 4, 5))
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path / "folder", (4, 5))


# As Fiji sees it


def rois_of(labels: np.ndarray, axes: str) -> dict[str, ImagejRoi]:
    with zipfile.ZipFile(io.BytesIO(encode_rois(labels, axes))) as archive:
        return {name: ImagejRoi.frombytes(archive.read(name)) for name in archive.namelist()}


def test_a_plain_cell_is_a_traced_selection_and_one_with_a_hole_a_composite() -> None:
    labels = np.zeros((8, 9), np.int32)
    labels[1:4, 2:6] = 5
    labels[5:8, 0:3] = 12
    labels[6, 1] = 0
    rois = rois_of(labels, "YX")
    assert list(rois) == ["0005.roi", "0012.roi"]
    plain, ring = rois.values()
    assert plain.roitype == ROI_TYPE.TRACED
    assert (plain.left, plain.top, plain.right, plain.bottom) == (2, 1, 6, 4)
    np.testing.assert_array_equal(plain.coordinates(), [(2, 1), (6, 1), (6, 4), (2, 4)])
    assert ring.roitype == ROI_TYPE.RECT
    assert len(ring.coordinates(multi=True)) == 2
    assert ring.properties == {"label": 12}


@pytest.mark.parametrize(
    ("axes", "expected"),
    [("ZYX", (4, 0, 0, 0)), ("TYX", (4, 0, 0, 0)), ("TZYX", (0, 1, 4, 1)), ("ZTYX", (0, 1, 1, 4))],
)
def test_positions_are_those_that_fiji_shows(axes: str, expected: tuple[int, ...]) -> None:
    labels = np.zeros((1, 5, 4, 4)[4 - len(axes) :] if len(axes) == 4 else (5, 4, 4), np.int32)
    labels[..., 3, :, :] = 1
    (roi,) = rois_of(labels, axes).values()
    assert (roi.position, roi.c_position, roi.z_position, roi.t_position) == expected


def test_regions_drawn_in_fiji_become_cells(tmp_path: Path) -> None:
    square = ImagejRoi(roitype=ROI_TYPE.RECT, left=1, top=1, right=4, bottom=3, name="mine")
    triangle = ImagejRoi.frompoints([[0.0, 4.0], [4.0, 4.0], [0.0, 8.0]], name="0002-0004")
    point = ImagejRoi.frompoints([[6, 6]], name="a point")
    point.roitype = ROI_TYPE.POINT
    path = tmp_path / "drawn.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for roi in (point, square, triangle):
            archive.writestr(f"{roi.name}.roi", roi.tobytes())
    labels = read_rois(path, (2, 8, 8))
    np.testing.assert_array_equal(labels[0], labels[1])
    assert (labels[0][1:3, 1:4] == 1).all()
    np.testing.assert_array_equal((labels[0] == 2).sum(1), [0, 0, 0, 0, 3, 2, 1, 0])
    (tmp_path / "one.roi").write_bytes(square.tobytes())
    assert read_rois(tmp_path / "one.roi", (8, 8)).sum() == 6


def test_a_position_in_a_plain_stack_counts_through_z_first(tmp_path: Path) -> None:
    roi = ImagejRoi(roitype=ROI_TYPE.RECT, left=0, top=0, right=1, bottom=1, position=5, name="a")
    (tmp_path / "a.roi").write_bytes(roi.tobytes())
    labels = read_rois(tmp_path / "a.roi", (2, 3, 4, 4), "TZYX")
    assert np.argwhere(labels).tolist() == [[1, 1, 0, 0]]


# As QuPath sees it


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


def feature(properties: dict[str, Any], left: float) -> dict[str, Any]:
    ring = [[left, 0.0], [left + 1.6, 0.0], [left + 1.6, 1.0], [left, 1.0], [left, 0.0]]
    geometry = {"type": "Polygon", "coordinates": [ring]}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def test_labels_of_foreign_features_come_from_measurement_or_name_or_are_free(tmp_path: Path) -> None:
    features = [
        feature({"objectType": "annotation"}, 0),
        feature({"name": "tumour", "measurements": [{"name": "label", "value": 7.0}]}, 2),
        feature({"name": "1", "measurements": {}}, 4),
        feature({"name": "-3"}, 6),
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 1]}, "properties": {}},
    ]
    path = tmp_path / "drawn.geojson"
    for content in ({"type": "FeatureCollection", "features": features}, features):
        path.write_text(json.dumps(content))
        assert read_geojson(path, (1, 8)).tolist() == [[2, 2, 7, 7, 1, 1, 3, 3]]
    path.write_text(json.dumps(features[1]))
    assert read_geojson(path, (1, 4)).tolist() == [[0, 0, 7, 7]]


def test_the_later_of_two_shapes_covers_the_earlier() -> None:
    square = np.array([(0, 0), (2, 0), (2, 2), (0, 2)])
    shapes = [Shape(1, {}, [[square]]), Shape(2, {}, [[square + np.array([1, 0])]])]
    assert draw_shapes(shapes, (2, 4)).tolist() == [[1, 2, 2, 0]] * 2
