import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import dask.array
import numpy as np
import pytest
import tifffile
from qtpy.QtWidgets import QFileDialog

from napari_unet.ui.canvas.layers import source_of


@pytest.fixture
def press_open(window, monkeypatch):
    """Presses Open... and picks the files."""

    def press(*paths):
        monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: ([str(path) for path in paths], ""))
        window.hands.click(window.panel.step1.open)

    return press


def test_a_microscope_s_file_needs_an_extra_and_the_panel_names_it(window, press_open, cells, tmp_path):
    tifffile.imwrite(tmp_path / "b.tif", cells)
    (tmp_path / "a.czi").write_bytes(b"x")
    press_open(tmp_path / "a.czi", tmp_path / "b.tif")
    status = window.panel.run_bar.status
    window.wait(lambda: "pip install 'napari-unet[bio]' bioio-czi" in status.text())
    assert [layer.name for layer in window.viewer.layers] == ["b"]


def test_a_microscope_s_file_is_opened_channel_by_channel(window, press_open, cells, tmp_path, monkeypatch):
    data = np.stack([cells, cells - 1])[None, :, None]
    image = SimpleNamespace(
        scenes=("Series001",),
        dims=SimpleNamespace(order="TCZYX", shape=data.shape),
        dask_data=dask.array.from_array(data),
        physical_pixel_sizes=SimpleNamespace(Z=None, Y=0.5, X=0.5),
        channel_names=["DAPI", "GFP"],
    )
    bioio = ModuleType("bioio")
    bioio.__spec__, bioio.BioImage = ModuleSpec("bioio", None), lambda path: image
    monkeypatch.setitem(sys.modules, "bioio", bioio)
    path = tmp_path / "a.lif"
    path.write_bytes(b"x")
    press_open(path)
    window.wait(lambda: len(window.viewer.layers) == 2 and window.panel.canvas.image is not None)
    assert [layer.name for layer in window.viewer.layers] == ["a DAPI", "a GFP"]
    for layer in window.viewer.layers:
        assert (source_of(layer).path, source_of(layer).pixel_size) == (str(path), 0.5)
    assert "Opening" not in window.panel.run_bar.status.text()
    window.segment()
    assert window.labels.data.max() > 0
    assert window.panel.canvas.image.record.source == str(path)
