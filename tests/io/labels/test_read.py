"""Masks from anywhere become the labels of an image, as other programs' own libraries write them."""

from __future__ import annotations

import contextlib
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image
from roifile import ROI_TYPE, ImagejRoi, roiwrite
from skimage.draw import disk, ellipse
from skimage.measure import find_contours

from napari_unet.core.base.errors import InputError
from napari_unet.io.export.geojson import encode_geojson
from napari_unet.io.export.rois import encode_rois
from napari_unet.io.labels import read_labels

DATA = Path(__file__).parent / "data"  # written by Cellpose 4.2 and StarDist 0.9
quickly = settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@st.composite
def label_images(draw: st.DrawFn) -> tuple[NDArray[np.int32], str]:
    axes = draw(st.sampled_from(["YX", "XY", "ZYX", "TYX", "TZYX", "ZTYX", "YXT"]))
    shape = tuple(draw(st.integers(1, 8 if axis in "YX" else 3)) for axis in axes)
    # Few ids on few pixels: holes, several pieces, corners that touch, single pixels and the border.
    ids = st.sampled_from([0, 0, 1, 1, 2, 40_000, 2**31 - 1])
    return draw(hnp.arrays(np.int32, shape, elements=ids)), axes


def make_cells() -> NDArray[np.uint16]:
    """Return cells with numbers that are not consecutive."""
    labels = np.zeros((60, 80), np.uint16)
    for number, (row, column) in zip(
        (7, 3, 200, 31, 64), ((12, 12), (12, 40), (40, 20), (42, 50), (30, 68)), strict=True
    ):
        labels[disk((row, column), 8)] = number
    return labels


def outline(row: float, column: float, radius: float, scale: float = 1.0) -> list[list[float]]:
    angles = np.linspace(0, 2 * np.pi, 24)
    ring = np.stack([column + radius * np.cos(angles), row + radius * np.sin(angles)], 1) * scale
    return ring.tolist()


def write_features(path: Path, rings: list[Any], **properties: Any) -> Path:
    features = [
        {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": properties}
        for ring in rings
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


# What other programs wrote


def test_masks_saved_by_cellpose_come_in_with_their_numbers() -> None:
    truth = np.load(DATA / "cells.npy")
    read = read_labels(DATA / "cells_seg.npy", truth.shape)
    np.testing.assert_array_equal(read.labels, truth)
    assert (read.origin, read.notes, read.labels.dtype) == ("Cellpose", (), np.int32)


def test_rois_saved_by_cellpose_come_back_pixel_for_pixel() -> None:
    # Cellpose's outlines run through the centres of the border pixels: as polygons they would lose a row.
    truth = np.load(DATA / "cells.npy")
    np.testing.assert_array_equal(read_labels(DATA / "cells_rois.zip", truth.shape).labels, truth)


def test_rois_saved_by_stardist_overlap_and_it_is_said() -> None:
    read = read_labels(DATA / "stardist.zip", (28, 36))
    areas = np.bincount(read.labels.ravel())[1:]
    assert areas.size == 3
    assert areas[2] == pytest.approx(np.pi * 5.5**2, rel=0.06)
    shared = round(2 * np.pi * 6**2) - areas[:2].sum()
    (note,) = read.notes
    said = int(note.split("keeps the ")[1].split()[0])
    assert "2 cells overlap" in note
    assert abs(said - shared) <= 6


@quickly
@given(case=label_images())
@pytest.mark.parametrize(("encode", "ending"), [(encode_rois, ".zip"), (encode_geojson, ".geojson")])
def test_what_was_exported_comes_back_pixel_for_pixel(
    tmp_path: Path, encode: Any, ending: str, case: tuple[NDArray[np.int32], str]
) -> None:
    labels, axes = case
    path = tmp_path / f"cells{ending}"
    path.write_bytes(encode(labels, axes))
    if ending == ".zip" and not labels.any():
        return  # ImageJ has no zip file without regions
    read = read_labels(path, labels.shape, axes)
    np.testing.assert_array_equal(read.labels, labels)
    assert read.notes == ()


@quickly
@given(labels=hnp.arrays(np.uint16, (6, 7), elements=st.sampled_from([0, 1, 2, 300])))
@pytest.mark.parametrize("ending", [".tif", ".png", ".npy", "_seg.npy"])
def test_label_images_keep_every_number(tmp_path: Path, labels: NDArray[np.uint16], ending: str) -> None:
    labels[0, :4] = [0, 1, 2, 300]
    path = tmp_path / f"cells{ending}"
    match ending:
        case ".tif":
            tifffile.imwrite(path, labels)
        case ".png":
            Image.fromarray(labels).save(path)
        case ".npy":
            np.save(path, labels)
        case _:
            saved = {"masks": np.asfortranarray(labels), "filename": "cells.tif", "chan_choose": [0, 0]}
            np.save(path, {**saved, "est_diam": np.float32(3), "flows": [labels, [], None], "ok": True})
    np.testing.assert_array_equal(read_labels(path, labels.shape).labels, labels)


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "u4", ">i4", "i8", "f4", ">f8"])
def test_masks_of_every_type_of_whole_numbers(tmp_path: Path, dtype: str) -> None:
    labels = make_cells().astype(dtype)
    np.save(tmp_path / "a_seg.npy", {"masks": labels})
    np.testing.assert_array_equal(read_labels(tmp_path / "a_seg.npy", labels.shape).labels, make_cells())


def test_cellpose_masks_of_a_stack(tmp_path: Path) -> None:
    labels = np.stack([make_cells(), make_cells()[::-1]])
    np.save(tmp_path / "a_seg.npy", {"masks": labels})
    np.testing.assert_array_equal(read_labels(tmp_path / "a_seg.npy", labels.shape, "ZYX").labels, labels)


def test_qupath_cells_in_an_annotation(tmp_path: Path) -> None:
    ring = [[0, 0], [80, 0], [80, 60], [0, 60], [0, 0]]
    around = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}}
    path = write_features(tmp_path / "a.geojson", [outline(12, 12, 8), outline(40, 50, 9)], objectType="cell")
    content = json.loads(path.read_text())
    content["features"].append({**around, "properties": {"objectType": "annotation", "name": "tumour"}})
    path.write_text(json.dumps(content))
    read = read_labels(path, (60, 80))
    np.testing.assert_array_equal(np.unique(read.labels), [0, 1, 2])
    assert np.count_nonzero(read.labels) < 60 * 80 / 4
    assert read.notes == ("Annotations around the cells (1) are left out.",)


def test_polygons_of_shapely_style_contours(tmp_path: Path) -> None:
    # Contours as scikit-image and shapely users write them: sub-pixel corners, rows and columns swapped back.
    labels = make_cells()
    rings = [(find_contours(labels == n, 0.5)[0][:, ::-1] + 0.5).tolist() for n in np.unique(labels)[1:]]
    read = read_labels(write_features(tmp_path / "a.geojson", rings), labels.shape)
    agree = np.count_nonzero((read.labels > 0) == (labels > 0)) / labels.size
    assert agree > 0.99
    assert np.unique(read.labels).size == 6


def test_regions_drawn_in_fiji_become_cells(tmp_path: Path) -> None:
    square = ImagejRoi(roitype=ROI_TYPE.RECT, left=1, top=1, right=4, bottom=3, name="mine")
    triangle = ImagejRoi.frompoints([[0.0, 4.0], [4.0, 4.0], [0.0, 8.0]], name="0002-0004")
    point = ImagejRoi.frompoints([[6, 6]], name="a point")
    point.roitype = ROI_TYPE.POINT
    path = tmp_path / "drawn.zip"
    roiwrite(path, [point, square, triangle])
    read = read_labels(path, (2, 8, 8))
    np.testing.assert_array_equal(read.labels[0], read.labels[1])
    assert (read.labels[0][1:3, 1:4] == 1).all()
    np.testing.assert_array_equal((read.labels[0] == 2).sum(1), [0, 0, 0, 0, 3, 2, 1, 0])
    assert read.notes == ("Points and lines (1) are left out.",)
    (tmp_path / "one.roi").write_bytes(square.tobytes())
    assert read_labels(tmp_path / "one.roi", (8, 8)).labels.sum() == 6


def test_regions_whose_names_are_numbers_keep_them(tmp_path: Path) -> None:
    rois = [
        ImagejRoi(roitype=ROI_TYPE.RECT, left=x, top=0, right=x + 2, bottom=2, name=name)
        for x, name in ((0, "12"), (3, "0007"))
    ]
    roiwrite(tmp_path / "a.zip", rois)
    np.testing.assert_array_equal(np.unique(read_labels(tmp_path / "a.zip", (4, 8)).labels), [0, 7, 12])


@pytest.mark.parametrize(("axes", "index"), [("ZYX", 2), ("TYX", 2)])
def test_a_region_of_a_frame_lies_in_that_plane_whatever_the_slider_is_called(
    tmp_path: Path, axes: str, index: int
) -> None:
    for place in ({"z": 2}, {"t": 2}, {"position": 2}):
        roi = ImagejRoi.frompoints([[0.0, 0.0], [3.0, 0.0], [3.0, 3.0], [0.0, 3.0]], name="a", **place)
        roiwrite(tmp_path / "a.zip", [roi], mode="w")
        labels = read_labels(tmp_path / "a.zip", (4, 6, 6), axes).labels
        assert [bool(plane.any()) for plane in labels] == [n == index for n in range(4)]


def test_a_position_in_a_plain_stack_counts_through_z_first(tmp_path: Path) -> None:
    roi = ImagejRoi(roitype=ROI_TYPE.RECT, left=0, top=0, right=1, bottom=1, position=5, name="a")
    (tmp_path / "a.roi").write_bytes(roi.tobytes())
    labels = read_labels(tmp_path / "a.roi", (2, 3, 4, 4), "TZYX").labels
    assert np.argwhere(labels).tolist() == [[1, 1, 0, 0]]


# Decisions


def test_the_smaller_of_two_cells_is_on_top_whatever_the_order(tmp_path: Path) -> None:
    big = ImagejRoi(roitype=ROI_TYPE.RECT, left=0, top=0, right=6, bottom=6, name="big")
    small = ImagejRoi(roitype=ROI_TYPE.RECT, left=2, top=2, right=4, bottom=4, name="small")
    for rois in ([big, small], [small, big]):
        roiwrite(tmp_path / "a.zip", rois, mode="w")
        read = read_labels(tmp_path / "a.zip", (8, 8))
        assert sorted(np.bincount(read.labels.ravel())[1:]) == [4, 32]
        assert read.notes == ("2 cells overlap: the smaller one keeps the 4 px that they share.",)
    again = ImagejRoi(roitype=ROI_TYPE.RECT, left=2, top=2, right=4, bottom=4, name="again")
    roiwrite(tmp_path / "a.zip", [small, again, big], mode="w")
    assert read_labels(tmp_path / "a.zip", (8, 8)).notes[-1] == (
        "1 cell covers no pixel of its own and is left out."
    )


@pytest.mark.parametrize("value", [1, 255])
def test_a_binary_mask_is_cut_into_its_pieces_and_it_is_said(tmp_path: Path, value: int) -> None:
    mask = ((make_cells() > 0) * value).astype(np.uint8)
    Image.fromarray(mask).save(tmp_path / "a.png")
    read = read_labels(tmp_path / "a.png", mask.shape)
    assert np.unique(read.labels).size == 6
    assert "each connected piece" in read.notes[0]


def test_axes_of_length_one_do_not_matter(tmp_path: Path) -> None:
    labels = make_cells()
    tifffile.imwrite(tmp_path / "a.tif", labels[None, None])
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif", labels.shape).labels, labels)
    tifffile.imwrite(tmp_path / "b.tif", labels)
    assert read_labels(tmp_path / "b.tif", (1, *labels.shape)).labels.shape == (1, *labels.shape)


def test_ome_zarr_labels_by_themselves_or_by_their_image(tmp_path: Path) -> None:
    from napari_unet.io.zarr_write import write_label_image

    labels = make_cells().astype(np.int32)
    write_label_image(tmp_path / "cells.zarr", labels, "YX")
    np.testing.assert_array_equal(read_labels(tmp_path / "cells.zarr", labels.shape).labels, labels)


# Bad input: one sentence


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_a_seg_file_with_objects_runs_nothing(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    for saved in ({"masks": make_cells(), "more": Bomb(touched)}, Bomb(touched), [Bomb(touched)]):
        np.save(tmp_path / "a_seg.npy", np.array(saved, object), allow_pickle=True)
        with pytest.raises(InputError, match=r"^a_seg\.npy is not opened, since it holds more than arrays"):
            read_labels(tmp_path / "a_seg.npy", (60, 80))
    assert not touched.exists()


@pytest.mark.parametrize(
    "saved",
    [
        {"masks": np.array([{"a": 1}, None], object)},
        {"masks": [[0, 1]]},
        {"masks": np.array(["a", "b"])},
        {"flows": np.zeros(3)},
        [1, 2],
        {"masks": np.float32(3)},
    ],
)
def test_a_seg_file_without_masks_is_one_sentence(tmp_path: Path, saved: Any) -> None:
    np.save(tmp_path / "a_seg.npy", saved, allow_pickle=True)
    with pytest.raises(InputError, match=r"^[^\n]*(no masks in it|damaged|rows and columns)[^\n]*$"):
        read_labels(tmp_path / "a_seg.npy", (60, 80))


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_a_damaged_seg_file_is_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "a_seg.npy"
    content = bytearray((DATA / "cells_seg.npy").read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    with contextlib.suppress(InputError):  # and nothing else
        read_labels(path, (28, 36))


def test_an_roi_zip_of_another_image(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(encode_rois(make_cells().astype(np.int32), "YX"))
    with pytest.raises(
        InputError, match=r"^a\.zip has 4 of 5 outlines outside this image \(40 x 32 px\): open"
    ):
        read_labels(tmp_path / "a.zip", (32, 40))
    (tmp_path / "b.zip").write_bytes(encode_rois(np.ones((2, 60, 80), np.int32), "ZYX"))
    with pytest.raises(InputError, match=r"frames or planes that this image \(80 x 60 px\) does not have"):
        read_labels(tmp_path / "b.zip", (60, 80))


def test_outlines_in_micrometres_are_told_from_those_in_pixels(tmp_path: Path) -> None:
    places = [(y, x) for y in (30, 90, 170) for x in (30, 100, 170)]
    pixels = write_features(tmp_path / "px.geojson", [outline(y, x, 20) for y, x in places])
    assert np.unique(read_labels(pixels, (200, 200), pixel_size=0.5).labels).size == 10
    for size in (0.3, 0.65, 2.0):
        um = write_features(tmp_path / "um.geojson", [outline(y, x, 20, size) for y, x in places])
        with pytest.raises(InputError, match=r"^[^\n]*in pixels[^\n]*$"):
            read_labels(um, (200, 200), pixel_size=size)


def test_cells_in_a_corner_of_an_image_are_not_taken_for_micrometres(tmp_path: Path) -> None:
    few = write_features(tmp_path / "few.geojson", [outline(30, 30 * n, 12) for n in (1, 2, 3, 4, 5, 6)])
    assert np.unique(read_labels(few, (400, 400), pixel_size=0.65).labels).size == 7


@pytest.mark.parametrize("ending", [".tif", ".png", ".npy"])
def test_labels_of_another_size(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    match ending:
        case ".tif":
            tifffile.imwrite(path, make_cells())
        case ".png":
            Image.fromarray(make_cells()).save(path)
        case _:
            np.save(path, make_cells())
    expected = r" is 80 x 60 px, but this image is 3 planes of 80 x 50 px: choose the masks of this image\.$"
    with pytest.raises(InputError, match=expected):
        read_labels(path, (3, 50, 80), "ZYX")


def test_numbers_beyond_32_bits(tmp_path: Path) -> None:
    labels = make_cells().astype(np.int64)
    labels[labels == 7] = 2**31
    tifffile.imwrite(tmp_path / "a.tif", labels.astype(np.uint32))
    np.save(tmp_path / "a_seg.npy", {"masks": labels})
    ring = outline(12, 12, 8)
    write_features(tmp_path / "a.geojson", [ring], measurements={"label": 2**31})
    for name in ("a.tif", "a_seg.npy", "a.geojson"):
        with pytest.raises(InputError, match=r"^[^\n]*2147483647[^\n]*renumber[^\n]*$"):
            read_labels(tmp_path / name, labels.shape)


def test_a_photograph_is_not_taken_for_labels(tmp_path: Path) -> None:
    photo = np.random.default_rng(0).integers(0, 4000, (200, 200)).astype(np.uint16) // 100
    tifffile.imwrite(tmp_path / "photo.tif", photo)
    with pytest.raises(InputError, match="looks like a photograph"):
        read_labels(tmp_path / "photo.tif", photo.shape)


@pytest.mark.parametrize(
    "name", ["a.zip", "a.roi", "a.geojson", "a.json", "a.npy", "a.tif", "a.png", "a.zarr", "a.txt"]
)
def test_what_is_no_label_file_is_one_sentence(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(InputError, match=r"^[^\n]*does not exist[^\n]*$"):
        read_labels(path, (4, 5))
    for content in (
        b"",
        b"{}",
        b"[[1]]",
        b'"a"',
        b"PK\x05\x06" + bytes(18),
        b"Iout" + bytes(70),
        b"\x93NUMPY",
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"^[^\n]+$"):
            read_labels(path, (4, 5))
    path.unlink()
    path.mkdir()
    with pytest.raises(InputError, match=r"^[^\n]+$"):
        read_labels(path, (4, 5))


def test_coordinates_that_are_no_numbers(tmp_path: Path) -> None:
    for bad in (float("nan"), float("inf"), 1e300, "a", None):
        path = write_features(tmp_path / "a.geojson", [[[0, 0], [bad, 0], [3, 3], [0, 0]]])
        with pytest.raises(InputError, match=r"^[^\n]+$"):
            read_labels(path, (4, 5))


def test_a_zip_bomb_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.roi", b"Iout" + bytes(1 << 25))
    with pytest.raises(InputError, match="damaged"):
        read_labels(tmp_path / "a.zip", (4, 5))


def test_ellipse_of_imagej_is_filled(tmp_path: Path) -> None:
    roi = ImagejRoi(roitype=ROI_TYPE.OVAL, left=4, top=2, right=24, bottom=14, name="oval")
    roiwrite(tmp_path / "a.zip", [roi])
    expected = np.zeros((20, 30), bool)
    expected[ellipse(7.5, 13.5, 6, 10)] = True
    found = read_labels(tmp_path / "a.zip", (20, 30)).labels > 0
    assert np.count_nonzero(found != expected) <= 0.15 * expected.sum()
