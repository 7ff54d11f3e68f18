"""Several images opened at once, under a user's mouse."""

import numpy as np
import pytest
import tifffile
from qtpy.QtWidgets import QToolButton


@pytest.fixture
def several(window, cells, tmp_path):
    """A window with three images of different sizes from files, the last one chosen."""
    paths = []
    for number, side in enumerate((200, 120, 80)):
        paths.append(tmp_path / f"plate{number}.tif")
        tifffile.imwrite(paths[-1], np.roll(cells, number)[:side, :side])
    for path in paths:
        window.viewer.open(path)
    window.wait(lambda: window.panel.canvas.image is not None and len(window.panel.session.images) == 3)
    return window


def shown(window):
    return [layer.name for layer in window.viewer.layers if layer.visible]


def test_of_several_images_one_is_shown_at_a_time(several):
    assert shown(several) == ["plate2"]
    previous, following = (
        several.panel.findChild(QToolButton, f"{name}_image") for name in ("previous", "next")
    )
    assert not following.isEnabled()
    several.hands.click(previous)
    assert shown(several) == ["plate1"]
    several.segment()
    assert shown(several) == ["plate1", "plate1 cells"]
    several.hands.click(previous)
    assert shown(several) == ["plate0"]
    assert not previous.isEnabled()
    camera, canvas = several.viewer.scene.camera, several.hands.canvas
    np.testing.assert_allclose(camera.center[-2:], (99.5, 99.5))
    assert 0.5 < 200 * camera.zoom / min(canvas.height(), canvas.width()) <= 1.01
    several.hands.click(following)
    assert shown(several) == ["plate1", "plate1 cells"]
    several.viewer.layers.selection.active = several.viewer.layers["plate2"]
    assert shown(several) == ["plate2"]


def test_images_of_no_file_stay_side_by_side(window, cells):
    window.add_image(cells)
    window.viewer.add_image(cells, name="another")
    window.settle()
    assert shown(window) == ["plate", "another"]
