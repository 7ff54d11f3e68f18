import json
import os
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


USER = """
import os, sys
import numpy as np
{before}
from napari_unet.nn import model
from napari_unet.nn.model_file import load_network, save_network
from napari_unet.core.base.card import ModelCard
from napari_unet.core.base.params import NetworkParams
from napari_unet.nn.unet import build_network
params = NetworkParams(filters=2, depth=1)
path = model.Path(sys.argv[1])
if not path.exists():
    save_network(build_network(params), ModelCard(name="a", network=params, outputs=("foreground",)), path)
network, card = load_network(path)
maps = model.Model(network, card).predict_maps(np.linspace(0, 1, 1024, dtype=np.float32).reshape(32, 32, 1))
print(maps.dtype, round(float(maps.mean()), 6))
{after}
"""
SETTINGS = """
import keras
keras.config.set_image_data_format("channels_first")
keras.config.set_floatx("float64")
keras.config.set_dtype_policy("float16")
"""
KEPT = """
import keras
print(keras.config.image_data_format(), keras.config.floatx(), keras.config.dtype_policy().name)
"""


def run_user(path, *, before="", after="", **environment):
    return subprocess.run(
        [sys.executable, "-c", USER.format(before=before, after=after), str(path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_the_users_own_settings_of_keras_do_not_reach_our_networks_and_stay(tmp_path):
    path = tmp_path / "a.keras"
    plain = run_user(path).stdout.split("\n")
    told = run_user(path, before=SETTINGS, after=KEPT)
    assert told.stdout.split("\n")[0] == plain[0], told.stderr[-2000:]
    assert told.stdout.split("\n")[1] == "channels_first float64 float16"
    (tmp_path / "home" / ".keras").mkdir(parents=True)
    config = {"floatx": "float16", "image_data_format": "channels_first", "backend": "jax", "epsilon": 1e-7}
    (tmp_path / "home" / ".keras" / "keras.json").write_text(json.dumps(config))
    home = str(tmp_path / "home")
    told = run_user(path, HOME=home, USERPROFILE=home)
    assert told.stdout.split("\n")[0] == plain[0], told.stderr[-2000:]


def test_a_backend_that_is_not_installed_is_one_sentence(tmp_path):
    told = run_user(tmp_path / "a.keras", KERAS_BACKEND="nonesuch")
    assert "InputError: KERAS_BACKEND asks for 'nonesuch', which is not installed here" in told.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
def test_a_forked_process_says_why_it_cannot_go_on(tmp_path):
    after = """
from napari_unet.core.base.errors import InputError
pid = os.fork()
if pid == 0:
    try:
        model.Model(network, card).predict_maps(np.zeros((32, 32, 1), np.float32))
    except InputError as error:
        print(error, flush=True)
    os._exit(0)
os.waitpid(pid, 0)
"""
    assert "cannot be used in a forked process" in run_user(tmp_path / "a.keras", after=after).stdout
