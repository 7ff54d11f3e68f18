"""The Batch view under a user's hands, with real worker processes and a network that ships."""

import json
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
import tifffile
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QFileDialog, QLineEdit, QPushButton, QWidget

from napari_unet.core.base.params import BatchParams
from napari_unet.io.files import read_labels, sample_path
from napari_unet.jobs.batch import TABLE

from ...patience import PATIENCE, TO_END

MODULES = {"keras", "tensorflow", "distributed"}


class Hands:
    """A user's mouse and keyboard in the Batch view."""

    def __init__(self, view, qtbot):
        self.view, self.qtbot = view, qtbot

    @property
    def said(self):
        return self.view.run_bar.status.text()

    @property
    def is_error(self):
        return bool(self.view.run_bar.status.property("error"))

    @property
    def rows(self):
        """What the list shows: name, status, cells."""
        items = [self.view.files.topLevelItem(row) for row in range(self.view.files.topLevelItemCount())]
        return [tuple(item.text(column) for column in range(3)) for item in items]

    @property
    def statuses(self):
        return [status for _, status, _ in self.rows]

    def wait(self, condition):
        self.qtbot.waitUntil(lambda: bool(condition()), timeout=round(1000 * PATIENCE))

    def find(self, name):
        return self.view.findChild(QPushButton, f"batch_{name}")

    def field(self, name):
        return self.view.findChild(QWidget, f"batch_{name}")

    def press(self, name):
        assert self.find(name).isEnabled()
        QTest.mouseClick(self.find(name), Qt.MouseButton.LeftButton)

    def type(self, name, text):
        line = self.view.findChild(QLineEdit, f"batch_{name}")
        line.selectAll()
        QTest.keyClicks(line, text)

    def drop(self, *paths):
        """Drop files on the list, as from the desktop; return whether it took them."""
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
        target, place = self.view.files.viewport(), QPointF(40, 40)
        buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        enter = QDragEnterEvent(place.toPoint(), Qt.DropAction.CopyAction, data, buttons, keys)
        QApplication.sendEvent(target, enter)
        drop = QDropEvent(place, Qt.DropAction.CopyAction, data, buttons, keys)
        if enter.isAccepted():
            QApplication.sendEvent(target, drop)
        return enter.isAccepted()

    def click(self, name, *, double=False):
        """Click on an image in the list."""
        files = self.view.files
        (item,) = files.findItems(name, Qt.MatchFlag.MatchExactly)
        files.scrollToItem(item)
        place = files.visualItemRect(item).center()
        QTest.mouseClick(files.viewport(), Qt.MouseButton.LeftButton, pos=place)
        if double:
            QTest.mouseDClick(files.viewport(), Qt.MouseButton.LeftButton, pos=place)

    def start(self, workers=1):
        self.field("workers").setValue(workers)
        self.press("start")
        assert not self.find("start").isEnabled()


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer(show=True)


@pytest.fixture
def hands(viewer, qtbot):
    _, view = viewer.window.add_plugin_dock_widget("napari-unet", "U-Net: batch")
    viewer.window.resize(1300, 900)
    qtbot.wait(100)
    return Hands(view, qtbot)


@pytest.fixture
def plate(tmp_path):
    """A folder of a broken image, a small one, and one that takes some seconds."""
    folder = tmp_path / "plate"
    folder.mkdir()
    image = tifffile.imread(sample_path("nuclei"))[:96, :96]
    tifffile.imwrite(folder / "b small.tif", image)
    tifffile.imwrite(folder / "c large.tif", np.tile(image, (32, 32)))
    (folder / "a broken.tif").write_bytes(b"no image")
    return folder


def processes_below(process):
    return process.children(recursive=True)


def test_a_batch_from_the_drop_of_a_folder_to_the_cells(hands, viewer, plate, qtbot):
    here = psutil.Process()
    before = set(processes_below(here))
    imported = set(sys.modules)
    assert "Add files" in hands.view.run_bar.hint.text()
    assert hands.drop(plate)
    hands.wait(lambda: len(hands.rows) == 3)
    output = plate / "labels"
    assert hands.view.options.output.text() == str(output)
    hands.start()
    assert not hands.drop(plate)
    hands.wait(lambda: hands.statuses == ["failed", "done", "waiting"])
    assert hands.said.startswith("2 of 3 images")
    started = set(processes_below(here)) - before
    assert len(started) >= 2  # the batch and its worker
    hands.press("cancel")
    hands.wait(lambda: not hands.view.session.running)
    assert hands.said.startswith("Stopped: 1 of 3 images are finished.")
    assert psutil.wait_procs(started, timeout=TO_END)[1] == []
    assert sorted(path.name for path in output.iterdir()) == ["b small.json", "b small.tif", TABLE]
    finished = (output / "b small.json").read_bytes()

    hands.start()
    hands.wait(lambda: not hands.view.session.running)
    assert hands.statuses == ["failed", "kept", "done"]
    assert (output / "b small.json").read_bytes() == finished
    assert hands.is_error
    assert hands.said.startswith("1 of 3 images failed: a broken.tif is damaged")
    assert "The other 2 are done (1 of them before)" in hands.said
    assert {"b small.tif", "c large.tif", TABLE} <= {path.name for path in output.iterdir()}

    hands.click("b small.tif", double=True)
    hands.wait(lambda: len(viewer.layers) == 2)
    image, labels = viewer.layers
    np.testing.assert_array_equal(image.data, tifffile.imread(plate / "b small.tif"))
    np.testing.assert_array_equal(labels.data, read_labels(output / "b small.tif"))
    assert hands.rows[1] == ("b small.tif", "kept", str(len(np.unique(labels.data)) - 1))
    QTest.keyClick(hands.view.files, Qt.Key.Key_Down)
    QTest.keyClick(hands.view.files, Qt.Key.Key_Return)
    hands.wait(lambda: len(viewer.layers) == 4)
    assert [layer.visible for layer in viewer.layers] == [False, False, True, True]
    hands.click("a broken.tif")
    assert hands.said.startswith("a broken.tif is damaged")
    QTest.keyClick(hands.view.files, Qt.Key.Key_Delete)
    assert [name for name, _, _ in hands.rows] == ["b small.tif", "c large.tif"]
    assert not MODULES & (set(sys.modules) - imported)


def test_how_often_the_network_looks_is_chosen_among_more_options(hands, plate):
    (plate / "a broken.tif").unlink()
    (plate / "c large.tif").unlink()
    assert hands.drop(plate)
    views = hands.field("views")
    assert not views.isVisible()
    hands.press("more")
    assert views.isVisible()
    views.selectAll()
    QTest.keyClicks(views, "8")
    hands.wait(lambda: len(hands.rows) == 1)
    hands.start()
    hands.wait(lambda: hands.statuses == ["done"])
    record = json.loads((plate / "labels" / "b small.json").read_text(encoding="utf-8"))
    assert record["settings"]["views"] == 8


def test_closing_the_window_ends_all_processes(hands, viewer, plate):
    here = psutil.Process()
    before = set(processes_below(here))
    hands.drop(plate / "c large.tif")
    hands.wait(lambda: len(hands.rows) == 1)
    hands.start()
    hands.wait(lambda: len(set(processes_below(here)) - before) >= 2)
    started = set(processes_below(here)) - before
    viewer.close()
    assert psutil.wait_procs(started, timeout=TO_END)[1] == []


def test_what_is_missing_or_cannot_be_meant_is_a_sentence(hands, viewer, plate, tmp_path, monkeypatch):
    hands.press("start")
    assert "There are no images yet" in hands.said
    hands.press("add_open")
    assert "No image is open" in hands.said
    viewer.add_image(np.zeros((8, 9)), name="made up")
    viewer.open(plate / "b small.tif")
    hands.press("add_open")
    hands.wait(lambda: [name for name, _, _ in hands.rows] == ["b small.tif"])
    hands.wait(lambda: "'made up' comes from no file" in hands.said)
    hands.click("b small.tif")
    assert hands.said == "b small.tif: not segmented yet."
    viewer.layers.remove("made up")
    hands.press("add_open")
    hands.wait(lambda: hands.said == "It is on the list already.")
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: ([str(plate / "c large.tif")], ""))
    hands.press("add_files")
    hands.wait(lambda: len(hands.rows) == 2)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(plate))
    hands.press("add_folder")
    hands.wait(lambda: len(hands.rows) == 3)
    assert not hands.is_error
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "mine"))
    hands.press("choose_output")
    hands.click("c large.tif")
    hands.press("remove")
    assert hands.view.options.output.text() == str(tmp_path / "mine")
    assert len(hands.rows) == 2

    hands.type("channel", "first")
    hands.press("start")
    assert "'first' is no channel" in hands.said
    hands.type("channel", "1, 2")
    scheduler = hands.field("scheduler")
    assert not scheduler.isVisible()
    hands.press("more")
    assert scheduler.isVisible()
    assert scheduler.placeholderText() == "this computer"
    hands.type("scheduler", "tcp://lab:8786")
    order = hands.view.options.read_order()
    assert order.where == BatchParams(scheduler="tcp://lab:8786")
    assert (order.params.model, order.params.channel) == ("auto", (0, 1))
    assert order.output == tmp_path / "mine"


def test_the_view_stands_beside_the_panel_and_has_its_models(window, project):
    from napari_unet.ui.batch.view import BatchView

    window.use_model("patient")
    view = BatchView(window.viewer)
    window.viewer.window.add_dock_widget(view, name="U-Net: batch", area="right")
    window.wait(lambda: view.options.model.count())
    assert view.options.model.currentData() == project.models_folder / "patient.keras"
    window.wait(lambda: window.viewer.window._qt_window.tabifiedDockWidgets(view.parent()))
    assert Path(view.session.worker.log).name == "batch.log"


def test_a_note_on_an_image_is_shown_and_told_at_the_end(viewer, qtbot, tmp_path):
    from napari_unet.ui.batch.view import BatchView
    from napari_unet.worker.worker import Worker

    folder = Path(__file__).parents[2] / "worker"
    view = BatchView(viewer, worker=Worker("sample_batches", tmp_path / "log", paths=[folder], grace=1.0))
    viewer.window.add_dock_widget(view, name="batch", area="right")
    hands = Hands(view, qtbot)
    for name in ("even.tif", "odd.tif"):
        (tmp_path / name).write_bytes(b"some pixels")
    hands.drop(tmp_path / "even.tif", tmp_path / "odd.tif")
    hands.wait(lambda: len(hands.rows) == 2)
    hands.start()
    hands.wait(lambda: not view.session.running)
    assert hands.statuses == ["done", "done, note"]
    assert "2 images segmented" in hands.said
    assert hands.said.endswith("A note on odd.tif: Its pixels are odd.")
    assert not hands.is_error
    hands.click("odd.tif")
    assert hands.said == "odd.tif: 3 cells. Its pixels are odd."
