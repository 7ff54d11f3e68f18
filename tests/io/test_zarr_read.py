"""OME-Zarr images of both versions, and what is wrong with some."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pytest
import zarr

from napari_unet.core.base.errors import InputError
from napari_unet.io.files import list_images, read_calibration, read_image, read_labels

Write = Callable[..., Path]
versions = pytest.mark.parametrize("version", ["0.4", "0.5"])


def ramp(*shape: int) -> np.ndarray:
    return (np.arange(np.prod(shape)).reshape(shape) + 1).astype(np.uint16)


def change_attributes(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    group = zarr.open_group(path, mode="r+")
    attributes = group.attrs.asdict()
    change(attributes.get("ome", attributes))
    group.attrs.put(attributes)


@versions
@pytest.mark.parametrize("axes", ["YX", "ZYX", "CYX", "TZCYX", "TCZYX"])
def test_pixels_axes_and_lengths(tmp_path: Path, write_ome_zarr: Write, version: str, axes: str) -> None:
    sizes = {"T": 2, "Z": 3, "C": 2, "Y": 40, "X": 33}
    data = ramp(*(sizes[axis] for axis in axes))
    names = [{"label": "DAPI"}, {"label": "actin"}]
    path = write_ome_zarr(tmp_path / "a.zarr", data, axes, version, metadata={"omero": {"channels": names}})
    image = read_image(path)
    assert (image.axes, image.pixel_size) == (axes, 0.25)
    assert image.z_step == (2.0 if "Z" in axes else None)
    assert image.channel_names == ("DAPI", "actin")
    assert image.data.dtype == np.uint16
    np.testing.assert_array_equal(np.asarray(image.data), data)
    assert read_calibration(path).scale == image.scale
    assert list_images([tmp_path]) == list_images([path]) == [path]


@versions
def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path, write_ome_zarr: Write, version: str) -> None:
    path = write_ome_zarr(tmp_path / "a.zarr", ramp(2, 48, 48), "ZYX", version)
    image = read_image(path)
    assert isinstance(image.data, dask.array.Array)
    first = np.asarray(image.data[0])
    shutil.rmtree(path / "s0")
    np.testing.assert_array_equal(first, ramp(2, 48, 48)[0])


def test_lengths_of_all_levels_together_count(tmp_path: Path, write_ome_zarr: Write) -> None:
    path = write_ome_zarr(tmp_path / "a.zarr", ramp(40, 40), "YX")
    outer = [{"type": "scale", "scale": [2.0, 2.0]}, {"type": "translation", "translation": [5, 5]}]
    change_attributes(path, lambda ome: ome["multiscales"][0].update(coordinateTransformations=outer))
    assert read_image(path).pixel_size == 0.5


def test_without_a_unit_there_is_no_pixel_size(tmp_path: Path, write_ome_zarr: Write) -> None:
    path = write_ome_zarr(tmp_path / "a.zarr", ramp(40, 40), "YX", "0.4")
    change_attributes(path, lambda ome: [axis.pop("unit") for axis in ome["multiscales"][0]["axes"]])
    assert read_calibration(path).pixel_size is None
    # Version 0.3 lists names alone.
    change_attributes(path, lambda ome: ome["multiscales"][0].update(axes=["y", "x"]))
    assert read_calibration(path).axes == "YX"


def test_the_first_image_of_bioformats2raw(tmp_path: Path, write_ome_zarr: Write) -> None:
    zarr.create_group(tmp_path / "a.zarr", zarr_format=2, attributes={"bioformats2raw.layout": 3})
    write_ome_zarr(tmp_path / "a.zarr" / "0", ramp(40, 40), "YX", "0.4")
    image = read_image(tmp_path / "a.zarr")
    assert image.path.name == "a.zarr"
    np.testing.assert_array_equal(np.asarray(image.data), ramp(40, 40))


# What is wrong


@versions
@pytest.mark.parametrize("levels", [1, 2])
def test_a_missing_block_is_told_from_a_blank_one(
    tmp_path: Path, write_ome_zarr: Write, version: str, levels: int
) -> None:
    data = ramp(48, 48)
    data[16:32, :16] = 0  # zarr leaves this block out by itself
    path = write_ome_zarr(tmp_path / "a.zarr", data, "YX", version)
    if levels == 1:
        change_attributes(path, lambda ome: ome["multiscales"][0]["datasets"].pop())
        np.testing.assert_array_equal(np.asarray(read_image(path).data), data)
        return
    np.testing.assert_array_equal(np.asarray(read_image(path).data), data)
    lost = path / "s0" / ("2.2" if version == "0.4" else "c/2/2")
    lost.unlink()
    with pytest.raises(InputError, match=r"a\.zarr lacks blocks of pixels, such as \S*2.2: copy it again"):
        read_image(path)


@versions
def test_a_size_that_nobody_can_open_is_refused_at_once(
    tmp_path: Path, write_ome_zarr: Write, version: str
) -> None:
    path = write_ome_zarr(tmp_path / "a.zarr", ramp(48, 48), "YX", version)
    described = path / "s0" / (".zarray" if version == "0.4" else "zarr.json")
    metadata = json.loads(described.read_text())
    metadata["shape"] = [10**9, 10**9]
    described.write_text(json.dumps(metadata))
    with pytest.raises(InputError, match="more than can be opened"):
        read_image(path)


@versions
def test_a_damaged_block_is_a_sentence_when_it_is_read(
    tmp_path: Path, write_ome_zarr: Write, version: str
) -> None:
    path = write_ome_zarr(tmp_path / "a.zarr", ramp(48, 48), "YX", version)
    block = path / "s0" / ("1.1" if version == "0.4" else "c/1/1")
    block.write_bytes(block.read_bytes()[:20])
    image = read_image(path)
    np.testing.assert_array_equal(np.asarray(image.data[:16]), ramp(48, 48)[:16])
    with pytest.raises(InputError, match=r"a\.zarr is damaged"):
        np.asarray(image.data)


@versions
def test_metadata_that_are_missing_or_damaged(tmp_path: Path, write_ome_zarr: Write, version: str) -> None:
    path = write_ome_zarr(tmp_path / "a.zarr", ramp(48, 48), "YX", version)
    with pytest.raises(InputError, match="no 'multiscales' metadata"):
        read_image(path / "s0")
    change_attributes(path, lambda ome: ome["multiscales"][0]["axes"][0].update(name="angle"))
    with pytest.raises(InputError, match="axes angle, x"):
        read_image(path)
    change_attributes(path, lambda ome: ome.pop("multiscales"))
    for read in (read_image, read_calibration, read_labels):
        with pytest.raises(InputError, match=r"a\.zarr has no 'multiscales' metadata"):
            read(path)
    (path / (".zgroup" if version == "0.4" else "zarr.json")).write_text("{")
    with pytest.raises(InputError, match="damaged"):
        read_image(path)
    shutil.rmtree(path)
    path.mkdir()
    with pytest.raises(InputError, match=r"a\.zarr is damaged, incomplete or not OME-Zarr"):
        read_image(path)
    path.rmdir()
    with pytest.raises(InputError, match="does not exist"):
        read_image(path)


def test_a_level_that_was_not_copied(tmp_path: Path, write_ome_zarr: Write) -> None:
    path = write_ome_zarr(tmp_path / "a.zarr", ramp(48, 48), "YX")
    shutil.rmtree(path / "s0")
    with pytest.raises(InputError, match="incomplete"):
        read_image(path)


def test_complex_numbers_are_refused(tmp_path: Path, write_ome_zarr: Write) -> None:
    path = write_ome_zarr(tmp_path / "a.zarr", ramp(48, 48).astype(np.complex64), "YX")
    with pytest.raises(InputError, match="complex64"):
        read_image(path)


def test_without_the_package_the_sentence_says_what_to_install(
    tmp_path: Path, write_ome_zarr: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_ome_zarr(tmp_path / "a.zarr", ramp(48, 48), "YX")
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(InputError, match=r"a\.zarr needs the package zarr: install it with pip"):
        read_image(path)


def test_other_files_are_read_without_loading_zarr() -> None:
    script = "import sys, napari_unet.io.files, napari_unet.io.export.export\nprint('zarr' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(result.stdout.lower()) is False
