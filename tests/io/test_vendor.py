"""Microscopes' own files, read by a stand-in for bioio: its pixels are those that a test puts in."""

import logging
import pickle
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import dask.array
import numpy as np
import pytest

from napari_unet.core.base.errors import InputError
from napari_unet.io.files import list_images, read_calibration, read_image, read_labels
from napari_unet.io.labels import match_by_stem
from napari_unet.io.layers import read_layers
from napari_unet.io.vendor import READERS

SIZES = SimpleNamespace(Z=1.0, Y=0.3250000004, X=0.3250000004)


@pytest.fixture
def bioio(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the stand-in for bioio reads: its attributes, or an exception that opening raises."""
    data = np.arange(1 * 2 * 3 * 8 * 9, dtype=">u2").reshape(1, 2, 3, 8, 9)
    shown: dict[str, Any] = {
        "scenes": ("Series001",),
        "current_scene": "Series001",
        "dask_data": dask.array.from_array(data, chunks=(1, 1, 3, 8, 9)),
        "dims": SimpleNamespace(order="TCZYX", shape=data.shape),
        "physical_pixel_sizes": SIZES,
        "channel_names": ["DAPI", "GFP"],
    }

    def open_image(path: Path) -> SimpleNamespace:
        if "error" in shown:
            raise shown["error"]
        return SimpleNamespace(**shown)

    for name in ("bioio", *(reader.replace("-", "_") for reader in READERS.values())):
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        module.BioImage = open_image  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, name, module)
    return shown


@pytest.fixture(params=[*READERS, ".CZI"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"cells{request.param}"
    path.write_bytes(b"as a microscope writes it")
    return path


def show(bioio: dict[str, Any], data: np.ndarray, order: str) -> None:
    bioio["dask_data"] = dask.array.from_array(data)
    bioio["dims"] = SimpleNamespace(order=order, shape=data.shape)


def test_axes_lengths_and_channels_are_the_file_s(bioio: dict[str, Any], path: Path) -> None:
    image = read_image(path)
    assert (image.axes, image.data.shape) == ("CZYX", (2, 3, 8, 9))
    assert (image.pixel_size, image.z_step, image.channel_names) == (0.325, 1.0, ("DAPI", "GFP"))
    assert read_calibration(path).scale == (1.0, 1.0, 0.325, 0.325)
    assert image.data.dtype == np.uint16
    np.testing.assert_array_equal(np.asarray(image.data), np.asarray(bioio["dask_data"])[0])
    sent = pickle.loads(pickle.dumps(image.data))
    np.testing.assert_array_equal(np.asarray(sent[1, 2, 3:5]), np.asarray(bioio["dask_data"])[0, 1, 2, 3:5])


@pytest.mark.parametrize(
    ("order", "shape", "axes"),
    [
        ("TCZYX", (1, 1, 1, 8, 9), "YX"),
        ("TCZYX", (4, 1, 1, 8, 1), "TYX"),
        ("TCZYXS", (1, 1, 1, 8, 9, 3), "YXS"),
    ],
)
def test_axes_that_bioio_adds_are_left_out(
    bioio: dict[str, Any], tmp_path: Path, order: str, shape: tuple[int, ...], axes: str
) -> None:
    show(bioio, np.zeros(shape, np.uint8), order)
    bioio["channel_names"] = ["Cy5"]
    (tmp_path / "a.nd2").write_bytes(b"x")
    image = read_image(tmp_path / "a.nd2")
    assert (image.axes, len(image.data.shape)) == (axes, len(axes))
    assert (image.z_step, image.channel_names) == (None, ())


@pytest.mark.parametrize("size", [None, 0.0, float("nan")])
def test_a_file_without_lengths(bioio: dict[str, Any], path: Path, size: float | None) -> None:
    bioio |= {"physical_pixel_sizes": SimpleNamespace(Z=size, Y=size, X=size), "channel_names": None}
    image = read_image(path)
    assert (image.pixel_size, image.z_step, image.channel_names) == (None, None, ())


def test_the_first_of_several_images_is_used_and_that_is_said(
    bioio: dict[str, Any], path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bioio["scenes"] = ("Series001", "Series002")
    with caplog.at_level(logging.WARNING):
        read_image(path)
    assert f"{path.name} holds 2 images, of which the first, Series001, is used." in caplog.text


def test_folders_layers_and_labels_take_them(bioio: dict[str, Any], path: Path) -> None:
    assert list_images([path.parent]) == [path]
    ((_, look, kind),) = read_layers(path)
    assert (kind, look["name"], look["channel_axis"]) == ("image", ["cells DAPI", "cells GFP"], 0)
    assert look["scale"] == (1.0, 0.325, 0.325)
    labels = path.parent / "labels"
    labels.mkdir()
    (labels / "cells.tif").touch()
    assert match_by_stem(path.parent, labels) == [(path, labels / "cells.tif", None)]
    show(bioio, np.full((1, 1, 1, 8, 9), 7, np.uint16), "TCZYX")
    assert (read_labels(path) == 7).all()


def test_damage_is_a_sentence_also_when_it_is_found_late(bioio: dict[str, Any], path: Path) -> None:
    def fail(block: np.ndarray) -> np.ndarray:
        raise OSError("read 3 bytes, expected 4")

    bioio["dask_data"] = bioio["dask_data"].map_blocks(
        fail, dtype=np.uint16, meta=np.empty((0,) * 5, np.uint16)
    )
    image = read_image(path)
    said = rf"{path.name} is damaged, incomplete or not {path.suffix[1:].upper()}"
    with pytest.raises(InputError, match=said):
        np.asarray(image.data[0])
    bioio["error"] = ValueError("no reader supports the image")
    for read in (read_image, read_calibration, read_labels):
        with pytest.raises(InputError, match=said):
            read(path)


def test_what_cannot_be_segmented_is_refused(bioio: dict[str, Any], path: Path) -> None:
    show(bioio, np.zeros((2, 1, 1, 1, 8, 9), np.uint8), "MTCZYX")
    with pytest.raises(InputError, match="tiles that are not stitched"):
        read_image(path)
    show(bioio, np.zeros((1, 1, 1, 8, 9), np.complex64), "TCZYX")
    with pytest.raises(InputError, match="complex64"):
        read_image(path)
    show(bioio, np.zeros((1, 1, 1, 0, 9), np.uint8), "TCZYX")
    with pytest.raises(InputError, match=r"shape \(0, 9\)"):
        read_image(path)


@pytest.mark.parametrize(
    ("name", "packages"),
    [("a.lif", r"'napari-unet\[bio\]'\."), ("a.czi", r"'napari-unet\[bio\]' bioio-czi\.")],
)
def test_without_the_packages_the_sentence_says_what_to_install(
    bioio: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, packages: str
) -> None:
    path = tmp_path / name
    path.write_bytes(b"x")
    reader = READERS[path.suffix].replace("-", "_")
    bioio["error"] = ValueError("no reader supports the image")
    for missing in (reader, "bioio"):
        monkeypatch.setitem(sys.modules, missing, None)
        with pytest.raises(
            InputError, match=f"^{name} needs more packages: install them with pip install {packages}$"
        ):
            read_image(path)
