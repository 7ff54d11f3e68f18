import subprocess
import sys
from types import SimpleNamespace

import pytest

from napari_unet.nn import backend

WINDOW_AND_NETWORK = """
import numpy as np
import napari
from qtpy.QtWidgets import QApplication

def show_window():
    viewer = napari.Viewer()
    viewer.add_image(np.eye(32))
    QApplication.processEvents()
    viewer.screenshot(canvas_only=True)
    return viewer

def use_network():
    from napari_unet import build_unet
    network = build_unet((None, None, 1), filters=2, depth=1)
    network.predict_on_batch(np.zeros((1, 16, 16, 1), np.float32))

{order}
print("alive")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the clash is of shared libraries on Linux")
@pytest.mark.parametrize(
    "order", ["viewer = show_window(); use_network()", "use_network(); viewer = show_window()"]
)
def test_a_window_and_the_network_live_in_one_process(order):
    """As in napari's console; TensorFlow and OpenGL drivers bring an LLVM each."""
    done = subprocess.run(
        [sys.executable, "-c", WINDOW_AND_NETWORK.format(order=order + "; use_network(); viewer.close()")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "alive" in done.stdout, f"ended with {done.returncode}: {done.stderr[-2000:]}"


def test_starting_the_network_says_nothing():
    done = subprocess.run(
        [sys.executable, "-c", "from napari_unet import build_unet; build_unet((32, 32, 1), filters=2)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == done.stderr == ""


@pytest.mark.parametrize("there", [True, False])
def test_pytorch_is_asked_itself_for_an_accelerator(monkeypatch, there):
    """Keras lists no devices for it."""
    monkeypatch.setattr(backend, "backend_name", lambda: "torch")
    cuda = SimpleNamespace(is_available=lambda: there)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert backend.has_gpu() is there
