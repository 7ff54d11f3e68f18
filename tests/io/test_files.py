import runpy
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from napari_unet.core.base.errors import InputError
from napari_unet.io import files
from napari_unet.io.files import (
    SAMPLES,
    list_images,
    read_calibration,
    read_image,
    read_labels,
    sample_path,
    write_image,
    write_labels,
)

ROOT = Path(__file__).parents[2]
IMAGEJ: dict[str, Any] = {"imagej": True}
OME: dict[str, Any] = {"ome": True}


def ramp(*shape: int, dtype: str = "uint16") -> NDArray[Any]:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def save(path: Path, data: NDArray[Any], **options: Any) -> Path:
    tifffile.imwrite(path, data, **options)
    return path


# Images in


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int16", "float32", "float64", "bool", ">u2"])
def test_plain_tiff_is_read_as_it_is(tmp_path: Path, dtype: str) -> None:
    data = ramp(12, 16, dtype=dtype)
    image = read_image(save(tmp_path / "a.tif", data, metadata=None))
    np.testing.assert_array_equal(image.data, data)
    assert image.data.dtype == data.dtype.newbyteorder("=")
    assert (image.axes, image.pixel_size, image.rgb) == ("YX", None, False)


@pytest.mark.parametrize("axes", ["YX", "ZYX", "TYX", "CYX", "ZCYX", "TZYX", "TZCYX"])
@pytest.mark.parametrize("options", [IMAGEJ, OME, IMAGEJ | {"compression": "zlib"}])
def test_axes_named_in_the_file_are_kept(tmp_path: Path, axes: str, options: dict[str, Any]) -> None:
    sizes = {"T": 2, "Z": 3, "C": 4, "Y": 8, "X": 9}
    data = ramp(*(sizes[axis] for axis in axes))
    path = save(tmp_path / "a.tif", data, photometric="minisblack", metadata={"axes": axes}, **options)
    image = read_image(path)
    assert image.axes == axes
    np.testing.assert_array_equal(image.data, data)
    assert read_calibration(path).axes == axes


@pytest.mark.parametrize(("shape", "axes"), [((5, 8, 9), "ZYX"), ((1, 8, 9), "ZYX"), ((2, 5, 8, 9), "TZYX")])
def test_pages_without_names_are_planes_and_none_is_dropped(
    tmp_path: Path, shape: tuple[int, ...], axes: str
) -> None:
    image = read_image(save(tmp_path / "a.tif", ramp(*shape)))
    assert (image.data.shape, image.axes) == (shape, axes)


@pytest.mark.parametrize("count", [3, 4])
def test_deep_planes_that_a_writer_took_for_colours_are_channels(tmp_path: Path, count: int) -> None:
    data = ramp(count, 8, 9)
    image = read_image(save(tmp_path / "a.tif", data, photometric="rgb", planarconfig="separate"))
    assert image.axes == "CYX"
    np.testing.assert_array_equal(image.data, data)


def test_too_many_unnamed_axes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="axes QQQQYX that cannot be understood"):
        read_image(save(tmp_path / "a.tif", ramp(2, 2, 2, 2, 8, 9)))


@pytest.mark.parametrize("samples", [3, 4])
@pytest.mark.parametrize("planar", [False, True])
def test_colours_come_last(tmp_path: Path, samples: int, planar: bool) -> None:
    data = ramp(8, 9, samples, dtype="uint8")
    stored = np.moveaxis(data, -1, 0) if planar else data
    config = "separate" if planar else "contig"
    image = read_image(save(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=config))
    assert (image.axes, image.rgb) == ("YXS", True)
    np.testing.assert_array_equal(image.data, data)


@pytest.mark.parametrize(
    ("unit", "micrometres"),
    [("um", 0.25), ("micron", 0.25), ("\\u00B5m", 0.25), ("nm", 0.00025), ("mm", 250)],
)
def test_imagej_pixel_size_in_any_unit(tmp_path: Path, unit: str, micrometres: float) -> None:
    metadata = {"axes": "ZYX", "unit": unit, "spacing": 2}
    path = save(tmp_path / "a.tif", ramp(3, 8, 9), resolution=(4, 4), metadata=metadata, **IMAGEJ)
    image = read_image(path)
    assert image.pixel_size == pytest.approx(micrometres)
    assert image.z_step == pytest.approx(8 * micrometres)


@pytest.mark.parametrize("unit", ["inch", "cm"])
def test_values_for_printing_are_no_pixel_sizes(tmp_path: Path, unit: str) -> None:
    """72 dots per inch are what programs write that know of no microscope: 353 µm."""
    per_unit = 72 / (1 if unit == "inch" else 2.54)
    metadata = {"unit": unit, "spacing": 1}
    path = save(tmp_path / "a.tif", ramp(8, 9), resolution=(per_unit, per_unit), metadata=metadata, **IMAGEJ)
    assert (read_image(path).pixel_size, read_image(path).z_step) == (None, None)
    fine = save(tmp_path / "b.tif", ramp(8, 9), resolution=(25400, 25400), metadata=metadata, **IMAGEJ)
    assert read_image(fine).pixel_size == pytest.approx(1 if unit == "inch" else 0.3937, rel=1e-3)


@pytest.mark.parametrize("metadata", [{}, {"unit": "pixel"}, {"unit": "furlong"}])
def test_imagej_without_a_unit_of_length_has_no_pixel_size(tmp_path: Path, metadata: dict[str, Any]) -> None:
    path = save(tmp_path / "a.tif", ramp(8, 9), resolution=(4, 4), metadata=metadata, **IMAGEJ)
    assert read_image(path).pixel_size is None


@pytest.mark.parametrize(("unit", "micrometres"), [("µm", 0.65), ("nm", 0.00065), ("mm", 650.0)])
def test_ome_pixel_size_and_channel_names(tmp_path: Path, unit: str, micrometres: float) -> None:
    lengths = {f"PhysicalSize{axis}": 0.65 for axis in "XYZ"}
    units = {f"PhysicalSize{axis}Unit": unit for axis in "XYZ"}
    metadata = {"axes": "CZYX", "Channel": {"Name": ["DAPI", "actin"]}} | lengths | units
    image = read_image(save(tmp_path / "a.ome.tif", ramp(2, 3, 8, 9), metadata=metadata, **OME))
    assert image.pixel_size == pytest.approx(micrometres)
    assert image.z_step == pytest.approx(micrometres)
    assert image.channel_names == ("DAPI", "actin")


def test_resolution_tags_are_read_in_cm_and_inch(tmp_path: Path) -> None:
    for unit, per_unit in (("CENTIMETER", 20_000), ("INCH", 50_800)):
        options = {"resolution": (per_unit, per_unit), "resolutionunit": unit, "metadata": None}
        assert read_image(save(tmp_path / "a.tif", ramp(8, 9), **options)).pixel_size == pytest.approx(0.5)


@pytest.mark.parametrize("dots_per_inch", [1, 72, 96, 300, 600])
def test_print_resolution_is_no_pixel_size(tmp_path: Path, dots_per_inch: int) -> None:
    options = {"resolution": (dots_per_inch, dots_per_inch), "resolutionunit": "INCH", "metadata": None}
    assert read_image(save(tmp_path / "a.tif", ramp(8, 9), **options)).pixel_size is None


def test_scale_units_and_labels_leave_out_colours(tmp_path: Path) -> None:
    metadata = {"axes": "TZYXS", "unit": "um", "spacing": 2.0}
    data = ramp(2, 3, 8, 9, 3, dtype="uint8")
    options = {"photometric": "rgb", "resolution": (2, 2), "metadata": metadata}
    image = read_image(save(tmp_path / "a.tif", data, **options, **IMAGEJ))
    assert image.scale == (1.0, 2.0, 0.5, 0.5)
    assert image.units == ("pixel", "um", "um", "um")
    assert image.axis_labels == ("t", "z", "y", "x")


@pytest.mark.parametrize(
    ("mode", "shape", "axes"),
    [
        ("L", (8, 9), "YX"),
        ("I;16", (8, 9), "YX"),
        ("1", (8, 9), "YX"),
        ("RGB", (8, 9, 3), "YXS"),
        ("RGBA", (8, 9, 4), "YXS"),
        ("P", (8, 9, 3), "YXS"),
        ("LA", (8, 9, 4), "YXS"),
    ],
)
def test_png_of_every_mode(tmp_path: Path, mode: str, shape: tuple[int, ...], axes: str) -> None:
    Image.new(mode, (9, 8), 1).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert (image.data.shape, image.axes, read_calibration(tmp_path / "a.png").axes) == (shape, axes, axes)


@pytest.mark.parametrize("ending", [".jpg", ".JPEG"])
def test_jpeg(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    Image.new("RGB", (9, 8), (200, 100, 50)).save(path)
    image = read_image(path)
    assert (image.data.shape, image.axes, image.rgb) == ((8, 9, 3), "YXS", True)
    assert abs(int(image.data[4, 4, 0]) - 200) < 10


# What cannot be read


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.jpg"])
@pytest.mark.parametrize("read", [read_image, read_labels, read_calibration])
def test_what_is_no_image_is_refused(tmp_path: Path, name: str, read: Any) -> None:
    path = tmp_path / name
    if path.suffix == ".jpg" and read is read_labels:
        pytest.skip("labels in a JPEG are refused for being that")
    with pytest.raises(InputError, match="does not exist"):
        read(path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="empty"):
        read(path)
    path.write_text("This is not an image.\n" * 50)
    with pytest.raises(InputError, match="not an image"):
        read(path)


def test_folder_and_other_endings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        read_image(tmp_path)
    (tmp_path / "a.doc").write_bytes(b"x")
    with pytest.raises(InputError, match=r"supported are \.tif, \.tiff, \.png, \.jpg, \.jpeg, \.bmp"):
        read_image(tmp_path / "a.doc")


def test_complex_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="complex64"):
        read_image(save(tmp_path / "a.tif", np.zeros((8, 9), np.complex64)))


@pytest.mark.parametrize(
    "options",
    [{"metadata": None}, {}, IMAGEJ | {"metadata": {"axes": "ZYX"}}, OME | {"metadata": {"axes": "ZYX"}}],
)
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_cut_off_tiff_is_refused_or_complete_never_short(
    tmp_path: Path, options: dict[str, Any], compression: str | None
) -> None:
    data = np.random.default_rng(0).integers(0, 60000, (4, 16, 16), dtype=np.uint16)
    path = save(tmp_path / "a.tif", data, photometric="minisblack", compression=compression, **options)
    whole = path.read_bytes()
    lengths = range(1, len(whole), 41)
    refused = 0
    for length in lengths:
        path.write_bytes(whole[:length])
        try:
            np.testing.assert_array_equal(read_image(path).data, data)
        except InputError:
            refused += 1
    assert refused > 0.6 * len(lengths)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="incomplete"):
        read_image(path)


@pytest.mark.parametrize("options", [IMAGEJ, OME])
def test_a_tiff_that_lost_what_it_says_about_itself_is_refused(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    metadata = {"axes": "TYX", "unit": "um"}
    path = save(tmp_path / "a.tif", ramp(3, 64, 64), resolution=(2, 2), metadata=metadata, **options)
    whole = path.read_bytes()
    for length in range(len(whole) - 1, len(whole) // 4, -97):
        path.write_bytes(whole[:length])
        try:
            image = read_image(path)
        except InputError:
            continue
        assert (image.axes, image.data.shape) == ("TYX", (3, 64, 64))
        assert image.pixel_size == read_calibration(path).pixel_size


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_a_cut_off_photo_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match="incomplete"):
        read_image(path)


@pytest.mark.parametrize("compression", ["lzw", "packbits", "zstd", "lzma", "deflate"])
def test_compressed_tiffs_are_read(tmp_path: Path, compression: str) -> None:
    data = ramp(40, 50)
    tifffile.imwrite(tmp_path / "a.tif", data, compression=compression)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").data, data)


def test_missing_decoder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    path = save(tmp_path / "a.tif", ramp(8, 9))
    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", fail)
    with pytest.raises(InputError, match="compressed in a way that is not known here"):
        read_image(path)


def test_no_permission_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = save(tmp_path / "a.tif", ramp(8, 9))
    monkeypatch.setattr(tifffile, "TiffFile", refuse)
    with pytest.raises(InputError, match="permission"):
        read_image(path)


# Labels


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int32", "int64", "float32", "bool"])
def test_labels_of_any_type_become_int32(tmp_path: Path, dtype: str) -> None:
    data = (ramp(8, 9) % 5).astype(dtype)
    labels = read_labels(save(tmp_path / "a.tif", data))
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, data.astype(np.int32))


def test_labels_in_a_palette_png_are_its_indices(tmp_path: Path) -> None:
    data = ramp(8, 9, dtype="uint8")
    photo = Image.fromarray(data).convert("P")
    photo.putdata(data.ravel().tolist())
    photo.putpalette(bytes(range(255, -1, -1)) * 3)
    photo.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png"), data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (np.full((8, 9), 0.5), "fractions"),
        (np.full((8, 9), np.nan), "fractions"),
        (np.full((8, 9), -1, np.int16), "outside 0 to"),
        (np.full((8, 9), 2**31, np.uint32), "outside 0 to"),
        (np.zeros((8, 9, 3), np.uint8), "colour image"),
    ],
)
def test_what_is_no_label_image_is_refused(tmp_path: Path, data: NDArray[Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read_labels(save(tmp_path / "a.tif", data))


def test_jpeg_labels_are_refused(tmp_path: Path) -> None:
    Image.new("L", (9, 8)).save(tmp_path / "a.jpg")
    with pytest.raises(InputError, match="JPEG"):
        read_labels(tmp_path / "a.jpg")


@pytest.mark.parametrize(("largest", "dtype"), [(0, "uint16"), (65535, "uint16"), (65536, "int32")])
@pytest.mark.parametrize(("axes", "shape"), [("YX", (8, 9)), ("ZYX", (3, 8, 9)), ("TYX", (3, 8, 9))])
def test_written_labels_come_back(
    tmp_path: Path, largest: int, dtype: str, axes: str, shape: tuple[int, ...]
) -> None:
    labels = np.zeros(shape, np.int32)
    labels.flat[-1] = largest
    path = write_labels(tmp_path / "a.tif", labels, axes=axes, pixel_size=0.65, z_step=2.0)
    np.testing.assert_array_equal(read_labels(path), labels)
    image = read_image(path)
    assert tifffile.imread(path).dtype == image.data.dtype == dtype
    assert (image.axes, image.pixel_size) == (axes, 0.65)
    assert image.scale == ({"YX": (), "ZYX": (2.0,), "TYX": (1.0,)}[axes] + (0.65, 0.65))


def test_written_labels_are_compressed_and_leave_nothing_else(tmp_path: Path) -> None:
    path = write_labels(tmp_path / "a.tif", np.zeros((512, 512), np.int32))
    assert path.stat().st_size < 10_000
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (np.full((8, 9), 0.5), "fractions"),
        (np.full((8, 9), -1), "outside 0 to"),
        (np.zeros((0, 9), int), "shape"),
        (np.zeros(9, int), "shape"),
    ],
)
def test_writing_what_is_no_label_image_is_refused(tmp_path: Path, labels: NDArray[Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        write_labels(tmp_path / "a.tif", labels)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("axes", ["ZYX", "YY", "YA", "TZ"])
def test_axes_that_do_not_fit_are_refused(tmp_path: Path, axes: str) -> None:
    with pytest.raises(InputError, match=f"cannot have the axes {axes}"):
        write_labels(tmp_path / "a.tif", np.zeros((8, 9), int), axes=axes)


def test_failed_writing_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill_the_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = write_labels(tmp_path / "a.tif", ramp(8, 9))
    monkeypatch.setattr("napari_unet.io.atomic.write", fill_the_disk)
    with pytest.raises(InputError, match="No space left on device"):
        write_labels(path, ramp(8, 9) + 1)
    np.testing.assert_array_equal(read_labels(path), ramp(8, 9))
    assert list(tmp_path.iterdir()) == [path]


def test_unwritable_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends in \.tif"):
        write_labels(tmp_path / "a.png", ramp(8, 9))
    with pytest.raises(InputError, match="cannot be written"):
        write_labels(tmp_path / "missing" / "a.tif", ramp(8, 9))


@pytest.mark.parametrize("axes", ["YXS", "CZYX", "ZTYX"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "int32", "float64"])
def test_written_images_come_back(tmp_path: Path, axes: str, dtype: str) -> None:
    data = ramp(*({"S": 3, "C": 2, "Z": 4, "T": 5, "Y": 8, "X": 9}[axis] for axis in axes), dtype=dtype)
    if axes == "YXS" and dtype in ("int32", "float64"):
        pytest.skip("colours are uint8, uint16 or float32")
    image = read_image(write_image(tmp_path / "a.tif", data, axes=axes, pixel_size=0.1))
    assert (image.axes, image.data.dtype.name, image.pixel_size) == (axes, dtype, 0.1)
    np.testing.assert_array_equal(image.data, data)


# Many files


def touch(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"x")
    return folder


def test_list_images_takes_files_and_folders(tmp_path: Path) -> None:
    folder = touch(tmp_path / "in", "b.tif", "a.PNG", ".hidden.tif", "notes.txt")
    single = touch(tmp_path, "c.jpg") / "c.jpg"
    assert list_images([single, folder, folder / "b.tif"]) == [single, folder / "a.PNG", folder / "b.tif"]


def test_list_images_refuses_nothing_missing_and_other_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no image"):
        list_images([touch(tmp_path / "in", "notes.txt")])
    with pytest.raises(InputError, match="no image"):
        list_images([])
    with pytest.raises(InputError, match="does not exist"):
        list_images([tmp_path / "a.tif"])
    with pytest.raises(InputError, match="cannot be read"):
        list_images([tmp_path / "in" / "notes.txt"])


# Samples


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rendered")
    shutil.copy(ROOT / "sample_data" / "generate.py", folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["generate.py"])  # the script's arguments, not those of pytest
        runpy.run_path(str(folder / "generate.py"), run_name="__main__")
    return folder


@pytest.mark.parametrize("name", [name + end for name in SAMPLES for end in ("", "_labels")])
def test_rendering_again_gives_the_committed_samples(rendered: Path, name: str) -> None:
    again, committed = read_image(rendered / f"{name}.tif"), read_image(sample_path(name))
    np.testing.assert_array_equal(again.data, committed.data)
    assert again.data.dtype == committed.data.dtype
    assert (again.axes, again.scale, again.units) == (committed.axes, committed.scale, committed.units)


def test_samples_are_small_and_have_pixel_sizes() -> None:
    paths = [sample_path(name + end) for name in SAMPLES for end in ("", "_labels")]
    assert sum(path.stat().st_size for path in paths) < 3_000_000
    assert {name: read_calibration(sample_path(name)).axes for name in SAMPLES} == {
        "nuclei": "YX",
        "cells": "YX",
        "membranes": "YX",
        "timelapse": "TYX",
        "stack": "ZYX",
    }
    assert all(read_calibration(path).pixel_size for path in paths)


def test_samples_are_found_inside_the_package_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "__file__", str(tmp_path / "napari_unet" / "io" / "files.py"))
    with pytest.raises(InputError, match="no sample 'nuclei'"):
        sample_path("nuclei")
    (tmp_path / "napari_unet" / "sample_data").mkdir(parents=True)
    expected = tmp_path / "napari_unet" / "sample_data" / "nuclei.tif"
    expected.write_bytes(b"x")
    assert sample_path("nuclei") == expected
