"""A real window with the panel docked, a worker with jobs that need no network, and a user's hands."""

import gc
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_unet.core.base.card import ModelCard
from napari_unet.core.base.params import NetworkParams
from napari_unet.store.project import Project
from napari_unet.worker.worker import Worker

from ..patience import PATIENCE


def write_model(path: Path) -> Path:
    """Write a model file with a card and without weights: enough for all but the network."""
    card = ModelCard(name=path.stem, network=NetworkParams(), outputs=("foreground",))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("card.json", card.model_dump_json())
        archive.writestr("model.weights.h5", b"")
    return path


def draw_cells(shape: tuple[int, ...] = (200, 240)) -> np.ndarray:
    """Return a uint8 image with squares 20 px wide, 40 px apart, on every plane."""
    image = np.full(shape, 10, np.uint8)
    rows, columns = np.indices(shape[-2:])
    image[..., (rows % 40 >= 20) & (columns % 40 >= 20)] = 200
    return image


@dataclass
class Window:
    """What a test of the window needs."""

    viewer: Any
    panel: Any
    hands: Any
    qtbot: Any

    def wait(self, condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
        self.qtbot.waitUntil(lambda: bool(condition()), timeout=round(1000 * seconds))

    def settle(self) -> None:
        """Wait until nothing is being done and what is shown is up to date."""
        self.wait(lambda: self.panel.session.run is None and not self.panel.session.images.counting)
        self.qtbot.wait(50)

    def add_image(self, data: np.ndarray, **options: Any) -> Any:
        layer = self.viewer.add_image(data, **{"name": "plate", **options})
        self.wait(lambda: self.panel.canvas.image is not None)
        self.viewer.reset_view()
        self.qtbot.wait(50)
        return layer

    def use_model(self, stem: str) -> None:
        model = self.panel.step1.model
        row = next(row for row in range(model.count()) if Path(model.itemData(row)).stem == stem)
        model.setCurrentIndex(row)
        model.activated.emit(row)

    def segment(self) -> Any:
        """Press Segment and return the layer with the labels."""
        self.hands.click(self.panel.step1.segment)
        self.wait(lambda: self.panel.session.run is None and self.panel.canvas.image.counts is not None)
        self.settle()
        return self.labels

    def fine_tune(self) -> Any:
        """Press Fine-tune and return what comes to trial."""
        self.hands.click(self.panel.step3.fine_tune)
        self.wait(lambda: self.panel.session.trial is not None and self.panel.session.run is None)
        self.settle()
        return self.panel.session.trial

    @property
    def labels(self) -> Any:
        return self.panel.canvas.watch.find(self.panel.canvas.image.key)

    @property
    def review(self) -> Any:
        return self.panel.canvas.image.review

    def paint(self, *points: tuple[float, float], label: int = 77, brush: int = 8) -> None:
        """Paint a stroke with the mouse."""
        from qtpy.QtCore import Qt

        self.viewer.layers.selection.active = self.labels
        self.hands.press(Qt.Key.Key_2)
        self.labels.brush_size, self.labels.selected_label = brush, label
        self.hands.drag(self.labels, points)

    def on_disk(self) -> Any:
        """What a new session would find of the image."""
        return self.panel.canvas.image.record.load_review()


@pytest.fixture(scope="session", autouse=True)
def no_network_here() -> None:
    """TensorFlow and Mesa's software renderer crash each other; the plugin keeps them in two processes."""
    assert "tensorflow" not in sys.modules, "run these tests in a process of their own, as `make test` does"


@pytest.fixture(autouse=True)
def no_garbage() -> Iterator[None]:
    """Collects what a closed viewer leaves: its OpenGL objects must not be deleted in the next context.

    A bare napari viewer with its layers and canvas is in reference cycles, with or without the panel.
    """
    yield
    gc.collect()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project.open(tmp_path / "project")
    judged = ("worse", "unchanged", "untested", "doubting")
    for stem in (*judged, "deadly", "failing", "patient", "refusing", "nuclei"):  # the newest one is tried
        write_model(project.models_folder / f"{stem}.keras")
    return project


@pytest.fixture
def open_window(
    make_napari_viewer: Any, qtbot: Any, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], Window]]:
    from napari_unet.models import registry as models
    from napari_unet.ui.panel.demo import Hands
    from napari_unet.ui.panel.panel import UNetPanel

    monkeypatch.setattr(models, "BUNDLED", tmp_path / "nothing ships here")

    def make(jobs: str = "window_jobs") -> Window:
        viewer = make_napari_viewer(show=True)
        worker = Worker(jobs, tmp_path / "worker.log", paths=[Path(__file__).parent], grace=1.0)
        panel = UNetPanel(viewer, project=project, worker=worker)
        viewer.window.add_dock_widget(panel, name="U-Net", area="right")
        viewer.window.resize(1300, 900)
        qtbot.wait(100)
        return Window(viewer, panel, Hands(viewer), qtbot)

    return make


@pytest.fixture
def window(open_window: Callable[[], Window]) -> Window:
    return open_window()


@pytest.fixture
def open_with(project: Project, open_window: Callable[[], Window]) -> Callable[[str], Window]:
    """Opens a window with a model of a name that `window_jobs` knows."""

    def open_with(stem: str) -> Window:
        write_model(project.models_folder / f"{stem}.keras")
        window = open_window()
        window.use_model(stem)
        return window

    return open_with


@pytest.fixture
def cells() -> np.ndarray:
    return draw_cells()


@pytest.fixture
def stack() -> np.ndarray:
    return draw_cells((4, 200, 240))


@pytest.fixture
def corrected(window: Window, cells: np.ndarray) -> Window:
    """A window with an image, its labels and one corrected cell."""
    window.add_image(cells)
    window.segment()
    window.paint((10, 60), (10, 100))
    window.wait(lambda: window.panel.step3.fine_tune.isEnabled())
    return window
