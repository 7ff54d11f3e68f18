"""Label images in the formats of other programs, one file or many."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from napari_unet.cli.main import main
from napari_unet.core.base.errors import InputError
from napari_unet.io import zarr_write as zarr_labels
from napari_unet.io.export.export import ENDINGS, export_files, export_labels
from napari_unet.io.files import read_calibration, read_labels, write_image, write_labels
from napari_unet.io.labels import read_labels as read_any

READ = {
    "tiff": lambda path, *_: read_labels(path),
    "zarr": lambda path, *_: read_labels(path),
    "rois": lambda *where: read_any(*where).labels,
    "geojson": lambda *where: read_any(*where).labels,
}


@pytest.fixture
def labels() -> np.ndarray:
    """Two planes with a ring, a cell of two pieces, a single pixel and a cell at the border."""
    labels = np.zeros((2, 20, 24), np.int32)
    labels[0, 2:9, 2:9], labels[0, 4:6, 4:6] = 3, 0
    labels[0, 12, 12] = labels[0, 13, 13] = 70_000
    labels[1, 0, 0] = 5
    labels[1, 15:, 20:] = 3
    return labels


@pytest.fixture
def folder(tmp_path: Path, labels: np.ndarray) -> Path:
    """A folder of two label files."""
    (tmp_path / "labels").mkdir()
    for name in ("a", "b.ome"):
        write_labels(tmp_path / "labels" / f"{name}.tif", np.roll(labels, 1), axes="TYX", pixel_size=0.5)
    return tmp_path / "labels"


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("form", READ)
def test_every_format_of_shapes_brings_the_labels_back(tmp_path: Path, labels: np.ndarray, form: str) -> None:
    path = tmp_path / f"cells{ENDINGS[form]}"
    assert export_labels(path, labels, axes="TYX", pixel_size=0.5) == path
    np.testing.assert_array_equal(READ[form](path, labels.shape, "TYX"), labels)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("form", ENDINGS)
def test_a_folder_of_labels_is_exported_under_the_same_stems(folder: Path, form: str) -> None:
    output = folder.parent / "out" / "deeper"
    outcomes = list(export_files([folder], output, form))
    assert [(o.written, o.cells) for o in outcomes] == [
        (output / f"{stem}{ENDINGS[form]}", 3) for stem in ("a", "b")
    ]
    assert all(o.written and o.written.exists() for o in outcomes)
    assert outcomes[0].sentence == f"a.tif: 3 cells -> {outcomes[0].written}"


def test_images_tell_axes_pixel_size_and_brightness(tmp_path: Path, labels: np.ndarray) -> None:
    tifffile.imwrite(tmp_path / "a.tif", labels.astype(np.uint32), metadata=None)
    (tmp_path / "images").mkdir()
    write_image(tmp_path / "images" / "a.tif", (labels > 0).astype(np.uint8) * 9, axes="TYX", pixel_size=0.5)
    list(export_files([tmp_path / "a.tif"], tmp_path / "out", "csv", tmp_path / "images"))
    rows = read_table(tmp_path / "out" / "a.csv")
    assert [(row["frame"], row["label"]) for row in rows] == [
        ("0", "3"),
        ("0", "70000"),
        ("1", "3"),
        ("1", "5"),
    ]
    assert [float(row["area_um2"]) for row in rows] == [45 / 4, 2 / 4, 20 / 4, 1 / 4]
    assert {row["mean_intensity"] for row in rows} == {"9"}


@pytest.mark.parametrize("name", ["a.zarr", "a.ome.zarr"])
def test_labels_go_into_the_zarr_image_that_is_there(
    folder: Path, labels: np.ndarray, write_ome_zarr: Callable[..., Path], name: str
) -> None:
    image = write_ome_zarr(folder.parent / "out" / name, np.ones((2, 20, 24), np.uint8), "TYX", "0.4")
    first, second = export_files([folder], folder.parent / "out", "zarr")
    assert first.written == image / "labels" / "cells"
    np.testing.assert_array_equal(read_labels(first.written), np.roll(labels, 1))
    assert second.written == folder.parent / "out" / "b.zarr"
    again, _ = export_files([folder], folder.parent / "out", "zarr")
    assert again.written == first.written


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_labels_bigger_than_memory_go_into_their_images(
    tmp_path: Path, write_ome_zarr: Callable[..., Path], version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zarr_labels, "WIDE", 64)
    monkeypatch.setattr(zarr_labels, "_BLOCK", 16)
    images, labels = tmp_path / "images", np.arange(200 * 170, dtype=np.int32).reshape(200, 170)
    (tmp_path / "labels").mkdir()
    export_labels(tmp_path / "labels" / "plate.zarr", labels)
    image = write_ome_zarr(images / "plate.ome.zarr", np.ones((200, 170), np.uint8), "YX", version)
    sizes: list[int] = []

    def check(part: np.ndarray) -> np.ndarray:
        sizes.append(part.size)
        return part

    monkeypatch.setattr(zarr_labels, "as_labels", check)
    monkeypatch.setattr("napari_unet.io.files.read_labels", lambda path: pytest.fail("read as a whole"))
    told: list[str] = []
    (outcome,) = export_files(
        [tmp_path / "labels"], None, "zarr", images, lambda progress: told.append(progress.message)
    )
    assert outcome.sentence == f"plate.zarr: {labels.max()} cells -> {image / 'labels' / 'cells'}"
    assert max(sizes) <= 64 * 64
    assert sum(sizes) == labels.size
    assert told[-1] == f"plate.zarr: part {len(sizes)} of {len(sizes)}"
    np.testing.assert_array_equal(zarr.open_array(image / "labels" / "cells" / "0")[...], labels)
    assert read_calibration(image / "labels" / "cells").pixel_size == 0.25


def test_the_command_needs_no_folder_but_that_of_the_images(
    tmp_path: Path, write_ome_zarr: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    export_labels(tmp_path / "labels" / "plate.zarr", np.eye(40, dtype=np.int32))
    image = write_ome_zarr(tmp_path / "plate.zarr", np.ones((40, 40), np.uint8), "YX")
    with pytest.raises(SystemExit) as ended:
        main(["export", str(tmp_path / "labels"), "--format", "zarr", "--images", str(image)])
    assert not ended.value.code
    assert f"plate.zarr: 1 cells -> {image / 'labels' / 'cells'}" in capsys.readouterr().err
    np.testing.assert_array_equal(read_labels(image / "labels" / "cells"), np.eye(40))


def test_only_zarr_goes_into_images_and_only_into_zarr(folder: Path, labels: np.ndarray) -> None:
    with pytest.raises(InputError, match="There is no folder for the files: name one"):
        list(export_files([folder], None, "rois", folder))
    with pytest.raises(InputError, match="There is no folder for the files: name one"):
        list(export_files([folder], None, "zarr"))
    (outcome, _) = export_files([folder], None, "zarr", folder)
    assert outcome.error == "a.tif is no OME-Zarr image: name a folder for its labels instead."


def test_labels_of_a_zarr_image_are_exported_too(
    tmp_path: Path, labels: np.ndarray, write_ome_zarr: Callable[..., Path]
) -> None:
    write_ome_zarr(tmp_path / "out" / "a.zarr", np.ones((2, 20, 24), np.uint8), "TYX")
    inside = export_labels(tmp_path / "out" / "a.zarr", labels)
    (outcome,) = export_files([inside], tmp_path / "out", "rois")
    assert outcome.written
    np.testing.assert_array_equal(read_any(outcome.written, labels.shape, "TYX").labels, labels)


def test_labels_in_a_palette_png_are_one_plane(tmp_path: Path) -> None:
    from PIL import Image

    photo = Image.new("P", (9, 8), 0)
    photo.putpixel((2, 3), 4)
    photo.save(tmp_path / "a.png")
    (outcome,) = export_files([tmp_path / "a.png"], tmp_path, "tiff")
    assert outcome.written
    assert read_calibration(outcome.written).axes == "YX"
    assert np.argwhere(read_labels(outcome.written)).tolist() == [[3, 2]]


# What cannot be exported


def test_a_bad_file_does_not_stop_the_others(folder: Path) -> None:
    whole = (folder / "a.tif").read_bytes()
    (folder / "a.tif").write_bytes(whole[: len(whole) // 2])
    first, second = export_files([folder], folder.parent / "out", "rois")
    assert first.error is not None
    assert "incomplete" in first.sentence
    assert second.error is None
    with pytest.raises(InputError, match="incomplete"):
        list(export_files([folder / "a.tif"], folder.parent / "out", "rois"))
    assert [path.name for path in (folder.parent / "out").iterdir()] == ["b.zip"]


def test_bad_input_is_one_sentence(folder: Path, labels: np.ndarray) -> None:
    output = folder.parent / "out"
    with pytest.raises(InputError, match=r"no format 'xls': choose one of tiff, csv, rois, geojson, zarr"):
        list(export_files([folder], output, "xls"))
    with pytest.raises(InputError, match=r"choose a name in \.tif, \.csv, \.zip, \.geojson, \.zarr"):
        export_labels(output / "a.xls", labels)
    write_labels(folder / "b.tif", labels)
    with pytest.raises(InputError, match=r"b\.ome\.tif and .*b\.tif would be written to the same file"):
        list(export_files([folder], output, "csv"))
    (folder / "b.tif").unlink()
    (folder.parent / "images").mkdir()
    write_image(folder.parent / "images" / "a.tif", np.ones((2, 9, 9), np.uint8))
    first, second = export_files([folder], output, "csv", folder.parent / "images")
    assert "needs labels of shape (2, 9, 9)" in first.sentence
    assert "There is no image for b.ome.tif" in second.sentence
    assert list(output.iterdir()) == []
    with pytest.raises(InputError, match="cannot be made"):
        list(export_files([folder], folder / "a.tif" / "out", "csv"))


@pytest.mark.parametrize("form", ["csv", "rois", "geojson"])
@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (np.full((8, 9), -1), "negative"),
        (np.full((8, 9), 0.5), "whole numbers"),
        (np.zeros((0, 9), int), "at least one plane"),
        (np.full((8, 9), 2**40), "too large"),
    ],
)
def test_what_is_no_label_image_is_refused(tmp_path: Path, form: str, bad: np.ndarray, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        export_labels(tmp_path / f"a{ENDINGS[form]}", bad)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", ["csv", "rois", "geojson", "tiff"])
def test_a_full_disk_keeps_the_old_file(
    tmp_path: Path, labels: np.ndarray, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_the_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = export_labels(tmp_path / f"a{ENDINGS[form]}", labels)
    before = path.read_bytes()
    monkeypatch.setattr("napari_unet.io.atomic.write", fill_the_disk)
    with pytest.raises(InputError, match="No space left on device"):
        export_labels(path, labels + 1)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("form", ENDINGS)
def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path, labels: np.ndarray, form: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be written"):
        export_labels(tmp_path / "file" / f"a{ENDINGS[form]}", labels)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
