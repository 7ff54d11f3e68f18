"""Images and labels in folders find each other, whatever format the labels have and whatever wrote them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_unet.core.base.errors import InputError
from napari_unet.io.export.geojson import encode_geojson
from napari_unet.io.export.rois import encode_rois
from napari_unet.io.files import read_image
from napari_unet.io.labels import match_by_stem, read_labels_of


def touch(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"x")
    return folder


def test_match_by_stem(tmp_path: Path) -> None:
    images = touch(tmp_path / "images", "b.tif", "a.ome.tif")
    labels = touch(tmp_path / "labels", "a.png", "b.tif")
    assert match_by_stem(images, labels) == [
        (images / "a.ome.tif", labels / "a.png", None),
        (images / "b.tif", labels / "b.tif", None),
    ]
    reviewed = touch(tmp_path / "reviewed", "a.tif", "b.png")
    assert [match.reviewed for match in match_by_stem(images, labels, reviewed)] == [
        reviewed / "a.tif",
        reviewed / "b.png",
    ]


@pytest.mark.parametrize(
    "image", ["a.tif", "a.ome.tif", "a.OME.TIFF", "a.png", "a.czi", "a.ome.zarr", "a.zarr"]
)
@pytest.mark.parametrize("labels", ["a.tif", "a.ome.tif", "a.zarr", "a.ome.zarr"])
def test_every_ending_matches_every_other(tmp_path: Path, image: str, labels: str) -> None:
    for folder, name in (("images", image), ("labels", labels)):
        path = tmp_path / folder / name
        path.parent.mkdir()
        if path.suffix == ".zarr":
            path.mkdir()
            (path / "zarr.json").touch()
        else:
            path.touch()
    (match,) = match_by_stem(tmp_path / "images", tmp_path / "labels")
    assert (match.image.name, match.labels.name) == (image, labels)


def test_match_by_stem_names_what_has_no_partner(tmp_path: Path) -> None:
    images = touch(tmp_path / "images", "a.tif", "b.tif")
    labels = touch(tmp_path / "labels", "a.tif", "c.tif")
    with pytest.raises(InputError, match=r"no image for c\b"):
        match_by_stem(images, labels)
    (labels / "c.tif").rename(labels / "b.tif")
    with pytest.raises(InputError, match=r"no reviewed mask for b\b"):
        match_by_stem(images, labels, touch(tmp_path / "reviewed", "a.tif"))


def test_match_by_stem_refuses_two_of_the_same_name(tmp_path: Path) -> None:
    images = touch(tmp_path / "images", "a.tif", "a.png")
    with pytest.raises(InputError, match=r"a\.png and a\.tif in .* have the same name"):
        match_by_stem(images, touch(tmp_path / "labels", "a.tif"))
    with pytest.raises(InputError, match="is not a folder"):
        match_by_stem(images / "a.tif", images)


def make_labels() -> np.ndarray:
    labels = np.zeros((20, 30), np.int32)
    labels[2:8, 3:9], labels[10:16, 12:25] = 7, 3
    return labels


def write_mixed(images: Path, labels: Path) -> None:
    cells = make_labels()
    for name in "abcdef":
        tifffile.imwrite(images / f"{name}.tif", np.zeros(cells.shape, np.uint8))
    tifffile.imwrite(labels / "a_cp_masks.tif", cells.astype(np.uint16))
    Image.fromarray(cells.astype(np.uint16)).save(labels / "b_masks.png")
    np.save(labels / "c_seg.npy", {"masks": cells.astype(np.uint16)})
    (labels / "d_rois.zip").write_bytes(encode_rois(cells, "YX"))
    (labels / "e.geojson").write_bytes(encode_geojson(cells, "YX"))
    tifffile.imwrite(labels / "f_labels.tif", cells.astype(np.uint16))


@pytest.mark.parametrize("beside", [True, False])
def test_a_folder_of_mixed_formats_beside_the_images_or_apart(tmp_path: Path, beside: bool) -> None:
    images, labels = tmp_path / "images", tmp_path / ("images" if beside else "labels")
    for folder in (images, labels):
        folder.mkdir(exist_ok=True)
    write_mixed(images, labels)
    pairs = match_by_stem(images, labels)
    assert [pair.image.name for pair in pairs] == [f"{name}.tif" for name in "abcdef"]
    for pair in pairs:
        np.testing.assert_array_equal(
            read_labels_of(pair.labels, read_image(pair.image)).labels, make_labels()
        )


def test_an_image_whose_own_name_ends_like_labels_is_an_image(tmp_path: Path) -> None:
    images = touch(tmp_path / "images", "cell_masks.tif", "cell.tif")
    labels = touch(tmp_path / "labels", "cell_masks.tif", "cell.tif")
    assert [(pair.image.name, pair.labels.name) for pair in match_by_stem(images, labels)] == [
        ("cell.tif", "cell.tif"),
        ("cell_masks.tif", "cell_masks.tif"),
    ]


def test_two_labels_of_one_image_are_refused(tmp_path: Path) -> None:
    images = touch(tmp_path / "images", "a.tif")
    with pytest.raises(InputError, match=r"a_masks\.png and a_seg\.npy in .* are both labels of a"):
        match_by_stem(images, touch(tmp_path / "labels", "a_seg.npy", "a_masks.png"))
