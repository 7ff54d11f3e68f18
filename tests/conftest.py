"""What every test gets: folders of its own, and a check that it leaves no window and no process behind."""

import gc
import importlib.util
import os
import queue
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import hypothesis
import psutil
import pytest

from .patience import LONGEST_TEST, PATIENCE, TO_END

# A slow machine is no fault of the code.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


def folder_variables(home: Path) -> dict[str, str]:
    """Environment variables that put every per-user folder of Linux, macOS and Windows below `home`."""
    roaming, local = str(home / "AppData" / "Roaming"), str(home / "AppData" / "Local")
    return {
        "HOME": str(home),
        "USERPROFILE": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local" / "share"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_STATE_HOME": str(home / ".local" / "state"),
        "APPDATA": roaming,
        "LOCALAPPDATA": local,
        # On Windows platformdirs asks the system, not the environment, unless these are set.
        "WIN_PD_OVERRIDE_APPDATA": roaming,
        "WIN_PD_OVERRIDE_LOCAL_APPDATA": local,
        "NAPARI_CONFIG": str(home / "napari" / "settings.yaml"),
    }


class TensorFlowApart(MetaPathFinder):
    """Loads TensorFlow so that it can share this process with an OpenGL driver.

    TensorFlow exports its own copy of LLVM to the whole process; Mesa's drivers load another one. Whichever
    comes second then calls into the first and crashes, so here each is bound to its own. Only the tests
    need this: the plugin keeps TensorFlow out of napari's process.
    """

    def find_spec(self, fullname: str, path: object, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_apart(module: ModuleType) -> None:
            flags = sys.getdlopenflags()
            sys.modules["tensorflow.python.pywrap_dlopen_global_flags"] = None  # type: ignore[assignment]
            sys.setdlopenflags(os.RTLD_NOW | os.RTLD_DEEPBIND)
            try:
                execute(module)
            finally:
                sys.setdlopenflags(flags)

        spec.loader.exec_module = execute_apart  # type: ignore[method-assign]
        return spec


# Some libraries read these once, when they are imported: they are set before any test is collected.
session_home = tempfile.TemporaryDirectory(prefix="napari-unet-tests-", ignore_cleanup_errors=True)
os.environ.update(folder_variables(Path(session_home.name)))
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("PYTEST_TIMEOUT", f"{LONGEST_TEST:.0f}")
if hasattr(os, "RTLD_DEEPBIND"):
    sys.meta_path.insert(0, TensorFlowApart())


def pytest_unconfigure() -> None:
    session_home.cleanup()


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder of the test's own; the user's settings and projects are out of reach."""
    home = tmp_path_factory.mktemp("home")
    for name, value in folder_variables(home).items():
        monkeypatch.setenv(name, value)
    return home


def top_level_widgets() -> set[Any]:
    widgets = sys.modules.get("qtpy.QtWidgets")
    application = widgets and widgets.QApplication.instance()
    return set(application.topLevelWidgets()) if application else set()


def let_widgets_go() -> None:
    """Carry out what was asked of Qt and is still waiting, deletions included."""
    from qtpy.QtCore import QCoreApplication, QEvent

    gc.collect()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    QCoreApplication.processEvents()


def child_processes() -> set[psutil.Process]:
    """Processes started from this one, less the tracker that Python keeps for shared memory."""
    children = set()
    for process in psutil.Process().children(recursive=True):
        try:
            if "multiprocessing.resource_tracker" not in " ".join(process.cmdline()):
                children.add(process)
        except psutil.NoSuchProcess:
            continue
    return children


@pytest.fixture(autouse=True)
def nothing_left_behind(own_folders: Path) -> Iterator[None]:
    """Fails a test that leaves a top-level widget or a running process; the processes are then killed."""
    widgets, processes = top_level_widgets(), child_processes()
    yield
    if top_level_widgets() - widgets:
        let_widgets_go()
    left_widgets = top_level_widgets() - widgets
    _, left_processes = psutil.wait_procs(child_processes() - processes, timeout=TO_END)
    lines = [f"widget {widget!r} {widget.objectName()!r}" for widget in left_widgets]
    for process in left_processes:
        lines.append(f"process {process.pid}: {' '.join(process.cmdline())}")
        process.kill()
    if lines:
        pytest.fail("The test left behind:\n" + "\n".join(lines), pytrace=False)


@pytest.fixture
def tiny_model(tmp_path: Path) -> Path:
    """A model file that finds whatever is bright: one level deep, weights set by hand."""
    import numpy as np

    from napari_unet.core.base.card import ModelCard
    from napari_unet.core.base.params import NetworkParams
    from napari_unet.nn.model_file import save_network
    from napari_unet.nn.unet import build_network

    params = NetworkParams(filters=2, depth=1)
    network = build_network(params)
    weights = [np.zeros_like(w) for w in network.get_weights()]
    names = [v.path for v in network.weights]
    for weight, name in zip(weights, names, strict=True):
        if "kernel" in name and weight.ndim == 4 and weight.shape[0] == 3:
            channel = 2 if "up1_conv1" in name else 0  # the skip comes second
            weight[1, 1, channel, 0] = 1
        if name == "maps/kernel":
            weight[0, 0, 0, 0] = 20
        if name == "maps/bias":
            weight[0] = -10
    network.set_weights(weights)
    path = tmp_path / "bright.keras"
    card = ModelCard(name="bright", title="Bright things", network=params, outputs=("foreground",))
    save_network(network, card, path)
    return path


@pytest.fixture
def bright_squares() -> tuple[Any, Any]:
    """A grey image (64, 80) with three bright squares on dark noise, and their labels."""
    import numpy as np

    labels = np.zeros((64, 80), np.int32)
    labels[6:20, 6:22] = 1
    labels[30:50, 10:30] = 2
    labels[20:44, 50:70] = 3
    noise = np.random.default_rng(0).integers(0, 12, labels.shape)
    return np.where(labels > 0, 200, 20).astype(np.uint8) + noise.astype(np.uint8), labels


@pytest.fixture
def write_ome_zarr() -> Callable[..., Path]:
    """A function that writes an image as other programs do: version 0.4 or 0.5, two levels, lengths in nm."""

    def write(path: Path, data: Any, axes: str, version: str = "0.5", **options: Any) -> Path:
        import zarr

        units = {axis: {"unit": "nanometer"} for axis in "ZYX"}
        kinds = {"T": "time", "C": "channel"}
        entries = [{"name": a.lower(), "type": kinds.get(a, "space")} | units.get(a, {}) for a in axes]
        scale = [{"Z": 2000.0, "Y": 250.0, "X": 250.0}.get(a, 1.0) for a in axes]
        steps = [tuple(2**level if a in "YX" else 1 for a in axes) for level in range(2)]
        levels = [
            {"path": f"s{level}", "coordinateTransformations": [{"type": "scale", "scale": factors}]}
            for level, step in enumerate(steps)
            if (factors := [f * n for f, n in zip(scale, step, strict=True)])
        ]
        image = {"axes": entries, "datasets": levels}
        extra = options.pop("metadata", {})
        old = version == "0.4"
        attributes = {"multiscales": [{"version": "0.4", **image}], **extra}
        if not old:
            attributes = {"ome": {"version": "0.5", "multiscales": [image], **extra}}
        group = zarr.create_group(path, zarr_format=2 if old else 3, attributes=attributes)
        for level, step in zip(levels, steps, strict=True):
            pixels = data[tuple(slice(None, None, n) for n in step)]
            chunks = tuple(min(16, n) if a in "YX" else 1 for a, n in zip(axes, pixels.shape, strict=True))
            names = None if old else list(axes.lower())
            array = group.create_array(
                level["path"], shape=pixels.shape, dtype=pixels.dtype, chunks=chunks, dimension_names=names
            )
            array[...] = pixels
        return path

    return write


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the folder of real images, which are not part of this repository, for tests that need them."""
    parser.addoption("--data", help="folder that holds the data sets, dsb2018_fluo and others")


class Loop:
    """A stand-in for a window's event loop."""

    def __init__(self) -> None:
        self.calls = queue.SimpleQueue()

    def run_until(self, condition):
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, "waited in vain"
            try:
                self.calls.get(timeout=0.05)()
            except queue.Empty:
                continue


@pytest.fixture
def loop():
    return Loop()
