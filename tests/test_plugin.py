import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from npe2 import PluginManager, PluginManifest
from npe2.manifest.utils import import_python_name

from napari_unet import plugin
from napari_unet.app.files import SAMPLES, read_image, read_labels, sample_path
from napari_unet.app.layer_data import read_layers

PANEL = "napari-unet.panel"
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
        if command.id != PANEL:
            assert callable(import_python_name(command.python_name))
    assert PANEL in {command.id for command in commands}


def test_panel_is_a_widget_under_layers_segment(manifest: PluginManifest) -> None:
    from napari._app_model.constants import MenuId

    (panel,) = [command for command in manifest.contributions.commands or [] if command.id == PANEL]
    assert panel.python_name == "napari_unet.ui.panel:UNetPanel"
    (widget,) = manifest.contributions.widgets or []
    assert (widget.command, widget.display_name) == (PANEL, "U-Net: segment, correct, fine-tune")
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
