"""Labels written beside an OME-Zarr image, in its version, all or nothing."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from napari_unet.app import zarr_labels
from napari_unet.app.files import read_calibration, read_labels
from napari_unet.app.layer_data import read_layers
from napari_unet.app.zarr_image import list_labels
from napari_unet.app.zarr_labels import add_labels, write_label_image
from napari_unet.core.errors import InputError

Write = Callable[..., Path]
versions = pytest.mark.parametrize("version", ["0.4", "0.5"])


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def some_labels(*shape: int) -> np.ndarray:
    return (np.random.default_rng(0).random(shape) > 0.7).astype(np.int32) * 70_000


def attributes_of(path: Path) -> dict[str, Any]:
    attributes = zarr.open_group(path, mode="r").attrs.asdict()
    return attributes.get("ome", attributes)


@pytest.fixture
def image(tmp_path: Path, write_ome_zarr: Write, version: str) -> Path:
    data = np.random.default_rng(0).integers(1, 99, (2, 3, 41, 50)).astype(np.uint8)
    return write_ome_zarr(tmp_path / "a.zarr", data, "CZYX", version)


@versions
def test_labels_lie_beside_the_image_and_the_image_is_untouched(image: Path, version: str) -> None:
    before, labels = snapshot(image), some_labels(3, 41, 50)
    path = add_labels(image, labels)
    assert path == image / "labels" / "cells"
    after = snapshot(image)
    assert {name: after[name] for name in before} == before
    assert {name.split("/")[0] for name in set(after) - set(before)} == {"labels"}
    np.testing.assert_array_equal(read_labels(path), labels)
    said = read_calibration(path)
    assert (said.axes, said.pixel_size, said.z_step) == ("ZYX", 0.25, 2.0)
    assert list_labels(image) == ["cells"]


@versions
def test_metadata_follow_the_specification(image: Path, version: str) -> None:
    path = add_labels(image, some_labels(3, 41, 50))
    old = version == "0.4"
    assert (path / (".zgroup" if old else "zarr.json")).exists()
    assert attributes_of(image / "labels")["labels"] == ["cells"]
    metadata = attributes_of(path)
    assert metadata["image-label"]["source"] == {"image": "../../"}
    (multiscale,) = metadata["multiscales"]
    assert (multiscale if old else metadata)["version"] == version
    (original,) = attributes_of(image)["multiscales"]
    assert len(multiscale["datasets"]) == len(original["datasets"])
    assert multiscale["axes"] == original["axes"][1:]
    for ours, theirs in zip(multiscale["datasets"], original["datasets"], strict=True):
        array = zarr.open_array(path / ours["path"], mode="r")
        shape = zarr.open_array(image / theirs["path"], mode="r").shape
        assert array.shape == shape[1:]
        assert array.dtype == np.int32
        assert array.metadata.zarr_format == (2 if old else 3)
        if not old:
            assert array.metadata.dimension_names == ("z", "y", "x")
        (scale,) = ours["coordinateTransformations"]
        assert scale["scale"] == theirs["coordinateTransformations"][0]["scale"][1:]
    coarse = np.asarray(zarr.open_array(path / "1", mode="r"))
    assert set(np.unique(coarse)) == {0, 70_000}


@versions
def test_labels_are_replaced_and_others_stay(image: Path, version: str) -> None:
    add_labels(image, some_labels(3, 41, 50), "nuclei")
    add_labels(image, some_labels(3, 41, 50))
    other = snapshot(image / "labels" / "nuclei")
    add_labels(image, np.ones((3, 41, 50), np.int32))
    assert list_labels(image) == ["nuclei", "cells"]
    assert snapshot(image / "labels" / "nuclei") == other
    assert (read_labels(image / "labels" / "cells") == 1).all()
    assert {path.name for path in (image / "labels").iterdir() if path.is_dir()} == {"nuclei", "cells"}


@versions
@pytest.mark.parametrize("place", ["zarr.Array.__setitem__", "napari_unet.app.zarr_labels.replace"])
@pytest.mark.parametrize("again", [False, True])
def test_a_full_disk_leaves_everything_as_it_was(
    image: Path, version: str, place: str, again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if again:
        add_labels(image, some_labels(3, 41, 50))
    before, folders = snapshot(image), {path for path in image.rglob("*") if path.is_dir()}

    def fill_the_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(place, fill_the_disk)
    with pytest.raises(InputError, match=r"No space left on device\): choose another place or make room"):
        add_labels(image, np.ones((3, 41, 50), np.int32))
    assert snapshot(image) == before
    assert {path for path in image.rglob("*") if path.is_dir()} == folders


@versions
def test_the_old_labels_return_if_the_new_cannot_take_their_place(
    image: Path, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_labels(image, some_labels(3, 41, 50))
    before, replace = snapshot(image), zarr_labels.replace

    def refuse_the_new(source: Path, target: Path) -> None:
        if target.name == "cells" and ".old." not in source.name:
            raise PermissionError(13, "Permission denied")
        replace(source, target)

    monkeypatch.setattr(zarr_labels, "replace", refuse_the_new)
    with pytest.raises(InputError, match="Permission denied"):
        add_labels(image, np.ones((3, 41, 50), np.int32))
    assert snapshot(image) == before


def test_what_a_crash_left_is_cleared_away(tmp_path: Path) -> None:
    for name in (".a.zarr.0123.tmp", ".a.zarr.old.4567.tmp", ".b.zarr.0123.tmp"):
        (tmp_path / name / "0").mkdir(parents=True)
    write_label_image(tmp_path / "a.zarr", some_labels(20, 20), "YX")
    assert {entry.name for entry in tmp_path.iterdir()} == {"a.zarr", ".b.zarr.0123.tmp"}


@versions
def test_labels_of_another_shape_are_refused(image: Path, version: str) -> None:
    before = snapshot(image)
    with pytest.raises(InputError, match=r"needs labels of shape \(3, 41, 50\), not \(41, 50\)"):
        add_labels(image, some_labels(41, 50))
    assert snapshot(image) == before


def test_labels_listed_by_others_keep_their_list(tmp_path: Path, write_ome_zarr: Write) -> None:
    path = write_ome_zarr(tmp_path / "a.zarr", np.ones((20, 20), np.uint8), "YX", "0.4")
    (path / "labels").mkdir()
    (path / "labels" / ".zgroup").write_text('{"zarr_format": 2}')
    (path / "labels" / ".zattrs").write_text('{"labels": ["theirs"], "note": "keep"}')
    add_labels(path, some_labels(20, 20))
    content = json.loads((path / "labels" / ".zattrs").read_text())
    assert content == {"labels": ["theirs", "cells"], "note": "keep"}


def test_a_label_image_of_its_own(tmp_path: Path) -> None:
    path, labels = tmp_path / "a.zarr", some_labels(2, 3, 20, 30)
    write_label_image(path, labels, "TZYX", pixel_size=0.5, z_step=2.0)
    np.testing.assert_array_equal(read_labels(path), labels)
    said = read_calibration(path)
    assert (said.axes, said.scale) == ("TZYX", (1, 2, 0.5, 0.5))
    write_label_image(path, labels[0], "ZYX")
    assert read_calibration(path).units == ("pixel",) * 3
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.zarr"]


def test_a_label_image_takes_no_other_place(tmp_path: Path, write_ome_zarr: Write) -> None:
    image = write_ome_zarr(tmp_path / "a.zarr", np.ones((20, 20), np.uint8), "YX")
    before = snapshot(image)
    with pytest.raises(InputError, match="is there already"):
        write_label_image(image, some_labels(20, 20), "YX")
    assert snapshot(image) == before
    with pytest.raises(InputError, match="cannot be written"):
        write_label_image(image / "zarr.json" / "b.zarr", some_labels(20, 20), "YX")


def test_damaged_labels_do_not_keep_the_image_from_opening(
    tmp_path: Path, write_ome_zarr: Write, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_ome_zarr(tmp_path / "a.zarr", np.ones((20, 20), np.uint8), "YX")
    add_labels(path, some_labels(20, 20))
    add_labels(path, some_labels(20, 20), "broken")
    (path / "labels" / "broken" / "0" / "zarr.json").write_text("{")
    assert [kind for _, _, kind in read_layers(path)] == ["image", "labels"]
    assert "The labels 'broken' of a.zarr are left out" in caplog.text


@versions
def test_image_and_labels_become_layers(image: Path, version: str) -> None:
    labels = some_labels(3, 41, 50)
    add_labels(image, labels)
    (picture, look, kind), (data, options, labels_kind) = read_layers(image)
    assert (kind, labels_kind) == ("image", "labels")
    assert look["channel_axis"] == 0
    assert look["name"] == ["a channel 1", "a channel 2"]
    assert picture.shape == (2, 3, 41, 50)
    assert look["scale"] == options["scale"] == (2, 0.25, 0.25)
    assert options["name"] == "cells"
    np.testing.assert_array_equal(data, labels)
    assert isinstance(data, np.ndarray)
    ((_, _, only),) = read_layers(image / "labels" / "cells")
    assert only == "labels"
