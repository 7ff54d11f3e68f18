import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from npe2 import PluginManager, PluginManifest
from npe2.manifest.utils import import_python_name

from napari_unet import plugin
from napari_unet.io.files import SAMPLES, read_image, read_labels, sample_path
from napari_unet.io.labels import read_labels as read_any
from napari_unet.io.layers import read_layers
from napari_unet.io.zarr_write import add_labels

PANEL = "napari-unet.panel"
MODELS = "napari-unet.models"
BATCH = "napari-unet.batch"
MANIFEST = Path(plugin.__file__).parent / "napari.yaml"


@pytest.fixture(scope="module")
def manifest() -> PluginManifest:
    return PluginManifest.from_file(MANIFEST)


@pytest.fixture
def viewer(manifest: PluginManifest) -> Iterator[ViewerModel]:
    """A viewer without a window, in a napari where this plugin and napari's own are installed."""
    manager = PluginManager.instance()
    added = [
        mf
        for mf in (manifest, PluginManifest.from_distribution("napari"))
        if mf.name not in manager._manifests
    ]
    for mf in added:
        manager.register(mf)
    yield ViewerModel()
    for mf in added:
        manager.unregister(mf.name)


def test_every_command_can_be_imported(manifest: PluginManifest) -> None:
    commands = manifest.contributions.commands or []
    for command in commands:
        assert command.python_name
        if command.id not in (PANEL, MODELS, BATCH):
            assert callable(import_python_name(command.python_name))
    assert PANEL in {command.id for command in commands}


def test_panel_is_a_widget_under_layers_segment(manifest: PluginManifest) -> None:
    from napari._app_model.constants import MenuId

    (panel,) = [command for command in manifest.contributions.commands or [] if command.id == PANEL]
    assert panel.python_name == "napari_unet.ui.panel.panel:UNetPanel"
    widgets = {widget.command: widget.display_name for widget in manifest.contributions.widgets or []}
    assert widgets == {
        PANEL: "U-Net: segment, correct, fine-tune",
        MODELS: "U-Net: models",
        BATCH: "U-Net: batch",
    }
    items = manifest.contributions.menus[str(MenuId.LAYERS_SEGMENT)]
    assert [item.command for item in items if hasattr(item, "command")] == [PANEL]
    assert MenuId.LAYERS_SEGMENT in MenuId.contributables()


def test_importing_the_plugin_loads_no_network_and_no_window() -> None:
    script = """
import sys, napari_unet.plugin
print(*{"keras", "tensorflow", "qtpy", "napari", "skimage"} & set(sys.modules))
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


@pytest.mark.parametrize("ending", [".tif", ".tiff", ".png", ".jpg", ".jpeg"])
def test_opening_a_file_asks_no_question(viewer: ViewerModel, tmp_path: Path, ending: str) -> None:
    """`plugin=None` is what File > Open and drag-and-drop do; two readers would make napari ask for one."""
    import imageio.v3 as imageio

    path = tmp_path / f"cells{ending}"
    imageio.imwrite(path, np.zeros((16, 16), np.uint8))
    (layer,) = viewer.open(path, plugin=None)
    assert layer.data.shape == (16, 16)


@pytest.mark.parametrize("name", SAMPLES)
def test_sample_opens_with_scale_units_and_axis_labels(viewer: ViewerModel, name: str) -> None:
    (layer,) = viewer.open_sample("napari-unet", name)
    image = read_image(sample_path(name))
    assert layer.name == name
    assert not layer.rgb
    np.testing.assert_array_equal(layer.data, image.data)
    np.testing.assert_allclose(layer.scale, image.scale)
    assert layer.axis_labels == tuple(image.axes.lower())
    assert [str(unit) for unit in layer.units][-2:] == ["micrometer", "micrometer"]


def test_every_sample_has_an_entry(manifest: PluginManifest) -> None:
    assert [sample.key for sample in manifest.contributions.sample_data or []] == list(SAMPLES)


def add(viewer: ViewerModel, path: Path) -> list[Any]:
    return [layer for data in read_layers(path) for layer in viewer._add_layer_from_data(*data)]


def test_channels_become_layers_with_their_names(viewer: ViewerModel, tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(0, 9, (3, 2, 8, 9), dtype=np.uint16)
    metadata = {"axes": "ZCYX", "unit": "um", "spacing": 2.0}
    tifffile.imwrite(tmp_path / "a.tif", data, imagej=True, resolution=(4, 4), metadata=metadata)
    first, second = add(viewer, tmp_path / "a.tif")
    assert (first.name, second.name) == ("a channel 1", "a channel 2")
    np.testing.assert_array_equal(second.data, data[:, 1])
    np.testing.assert_allclose(second.scale, (2.0, 0.25, 0.25))
    assert second.axis_labels == ("z", "y", "x")

    metadata = {"axes": "CYX", "Channel": {"Name": ["DAPI", "actin"]}}
    tifffile.imwrite(tmp_path / "b.ome.tif", data[0], ome=True, metadata=metadata)
    assert [layer.name for layer in add(viewer, tmp_path / "b.ome.tif")] == ["b DAPI", "b actin"]


def test_colour_image_is_one_rgb_layer(viewer: ViewerModel, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((8, 9, 3), np.uint8), photometric="rgb")
    (layer,) = add(viewer, tmp_path / "a.tif")
    assert layer.rgb
    assert layer.axis_labels == ("y", "x")


@pytest.mark.parametrize(
    ("unit", "scale", "expected"),
    [
        ("um", (2.0, 0.5, 0.5), (2.0, 0.5)),
        ("nm", (2000, 500, 500), (2.0, 0.5)),
        ("pixel", (1, 1, 1), (None, None)),
    ],
)
def test_saved_labels_keep_pixel_size_and_axes(
    viewer: ViewerModel, tmp_path: Path, unit: str, scale: Any, expected: tuple[float | None, float | None]
) -> None:
    labels = (np.arange(3 * 8 * 9).reshape(3, 8, 9) % 7).astype(np.int32)
    layer = viewer.add_labels(labels, scale=scale, units=(unit,) * 3, axis_labels=("z", "y", "x"))
    path = tmp_path / "saved.tif"
    assert viewer.layers.save(str(path), plugin="napari-unet") == [str(path)]
    np.testing.assert_array_equal(read_labels(path), layer.data)
    image = read_image(path)
    assert (image.axes, image.z_step, image.pixel_size) == ("ZYX", *expected)


def test_labels_without_axis_names_are_saved_as_planes(viewer: ViewerModel, tmp_path: Path) -> None:
    viewer.add_labels(np.ones((4, 8, 9), np.int32))
    viewer.layers.save(str(tmp_path / "saved.tif"), plugin="napari-unet")
    assert read_image(tmp_path / "saved.tif").axes == "ZYX"


@pytest.mark.parametrize("ending", [".zip", ".geojson", ".csv"])
def test_labels_are_saved_for_other_programs_by_their_ending(
    viewer: ViewerModel, tmp_path: Path, ending: str
) -> None:
    labels = np.zeros((3, 8, 9), np.int32)
    labels[1, 2:6, 2:7], labels[1, 3, 3], labels[2, 7, 8] = 4, 0, 9
    viewer.add_labels(labels, scale=(1, 0.5, 0.5), units=("pixel", "um", "um"), axis_labels=("t", "y", "x"))
    path = tmp_path / f"saved{ending}"
    assert viewer.layers.save(str(path)) == [str(path)]
    if ending == ".csv":
        name, *_ = path.read_text().splitlines()
        assert {"label", "frame", "area_um2"} <= set(name.split(","))
        assert len(path.read_text().splitlines()) == 3
    else:
        np.testing.assert_array_equal(read_any(path, labels.shape, "TYX").labels, labels)


def test_the_save_dialog_names_the_formats(viewer: ViewerModel) -> None:
    from napari.plugins._npe2 import file_extensions_string_for_layers

    layer = viewer.add_labels(np.ones((4, 5), np.int32))
    choices, _ = file_extensions_string_for_layers([layer])
    assert choices
    for shown in ("ROIs for Fiji (*.zip)", "GeoJSON for QuPath (*.geojson)", "table of measurements (*.csv)"):
        assert shown in choices


CHOICES = {
    "labels with pixel size": ".tif",
    "ROIs for Fiji": ".zip",
    "GeoJSON for QuPath": ".geojson",
    "table of measurements": ".csv",
}


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("name", ["fluo", "fluo_0.5", "other"])
def test_a_type_chosen_in_the_save_dialog_counts_unless_the_name_says_another(
    viewer: ViewerModel, tmp_path: Path, choice: str, name: str
) -> None:
    from napari._qt.qt_viewer import _npe2_decode_selected_filter
    from napari.plugins._npe2 import file_extensions_string_for_layers

    layer = viewer.add_labels(np.ones((8, 9), np.int32))
    choices, writers = file_extensions_string_for_layers([layer])
    assert choices
    (picked,) = [shown for shown in choices.split(";;") if choice in shown]
    writer = _npe2_decode_selected_filter(choices, picked, writers)
    if name == "other":  # the type was left alone, the name says what is wanted
        written = tmp_path / "fluo.csv"
        assert viewer.layers.save(str(written), _writer=writer) == [str(written)]
        assert written.read_text().startswith("label,")
        return
    written = tmp_path / f"{name}{CHOICES[choice]}"
    assert viewer.layers.save(str(tmp_path / name), _writer=writer) == [str(written)]
    if choice == "table of measurements":
        assert written.read_text().startswith("label,")
    else:
        assert read_any(written, (8, 9)).labels.all()


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_opens_with_channels_pixel_size_and_labels(
    viewer: ViewerModel, tmp_path: Path, write_ome_zarr: Callable[..., Path], version: str
) -> None:
    path = write_ome_zarr(tmp_path / "a.zarr", np.ones((2, 20, 30), np.uint8), "CYX", version)
    add_labels(path, np.full((20, 30), 3, np.int32))
    first, second, labels = viewer.open(path, plugin="napari-unet")
    assert [first.name, second.name, labels.name] == ["a channel 1", "a channel 2", "cells"]
    np.testing.assert_allclose(second.scale, (0.25, 0.25))
    np.testing.assert_allclose(labels.scale, (0.25, 0.25))
    assert [str(unit) for unit in labels.units] == ["micrometer", "micrometer"]
    labels.paint((0, 0), 7)
    assert labels.data[0, 0] == 7


def test_only_zarr_folders_have_two_readers(
    viewer: ViewerModel, tmp_path: Path, write_ome_zarr: Callable[..., Path]
) -> None:
    from napari.plugins._npe2 import get_readers

    path = write_ome_zarr(tmp_path / "a.zarr", np.ones((20, 30), np.uint8), "YX")
    assert set(get_readers(path)) == {"napari", "napari-unet"}
    for name in ("a.tif", "a.ome.tif", "a.png", "a.npy", "folder"):
        assert set(get_readers(tmp_path / name)) <= {"napari"}
    assert plugin.get_zarr_reader(str(tmp_path / "a.tif")) is None
