import subprocess
import sys
from functools import partial

import pytest
from qtpy.QtWidgets import QLabel, QPushButton, QScrollArea, QWidget

from napari_unet.ui.panel import panel as panel_module
from napari_unet.ui.panel.keys import ALL_KEYS
from napari_unet.worker.worker import Worker

NAMES = (
    *("image", "model", "channel", "scope", "segment", "cancel", "progress", "status", "mark_reviewed"),
    *("next_to_fix", "split", "merge", "delete", "fine_tune", "loss_plot", "scores", "keep", "roll_back"),
)


def test_the_panel_opens_from_the_plugin_menu(
    make_napari_viewer_proxy, project, monkeypatch, tmp_path, qtbot
):
    worker = Worker("no_such_module", tmp_path / "log")
    monkeypatch.setattr(panel_module, "Worker", lambda: worker)
    monkeypatch.setattr(panel_module.Project, "open", lambda: project)
    viewer = make_napari_viewer_proxy(show=True).__wrapped__
    _, panel = viewer.window.add_plugin_dock_widget("napari-unet", "U-Net: segment, correct, fine-tune")
    assert isinstance(panel, panel_module.UNetPanel)
    for name in NAMES:
        assert panel.findChild(QWidget, name) is not None, name
    assert panel.findChild(QPushButton, "fine_tune").text() == "Fine-tune from corrections"
    assert "open an image" in panel.findChild(QLabel, "hint").text()


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_nothing_is_clipped_in_a_narrow_dock(window, cells, theme):
    window.viewer.theme = theme
    window.add_image(cells)
    window.segment()
    dock = window.panel.parent()
    window.viewer.window._qt_window.resizeDocks([dock], [1], _horizontal())
    window.qtbot.wait(200)
    assert window.panel.width() <= 340
    for widget in window.panel.findChildren(QPushButton) + window.panel.findChildren(QLabel):
        if widget.isVisible() and not (isinstance(widget, QLabel) and widget.wordWrap()):
            assert widget.width() >= widget.minimumSizeHint().width(), widget.text()
        if widget.isVisible() and isinstance(widget, QLabel) and widget.wordWrap():
            assert widget.height() >= widget.heightForWidth(widget.width()), widget.text()


def test_the_scroll_bar_of_a_low_window_covers_nothing(window, cells):
    window.add_image(cells)
    window.segment()
    window.viewer.window.resize(1300, 600)
    window.viewer.window._qt_window.resizeDocks([window.panel.parent()], [1], _horizontal())
    column = window.panel.findChild(QScrollArea)
    window.wait(column.verticalScrollBar().isVisible)
    window.qtbot.wait(200)
    for button in column.widget().findChildren(QPushButton):
        if button.isVisible():
            right = button.mapTo(column.viewport(), button.rect().bottomRight()).x()
            assert right < column.viewport().width(), button.text()


def test_rows_stay_where_they_are_when_work_begins_and_ends(open_with, cells):
    window = open_with("patient")
    window.add_image(cells)
    window.settle()
    segment, bar = window.panel.step1.segment, window.panel.run_bar
    before = segment.mapTo(window.panel, segment.rect().topLeft())
    window.hands.click(segment)
    window.wait(lambda: bar.bar.isVisible() and bar.cancel.isEnabled())
    window.qtbot.wait(100)
    assert segment.mapTo(window.panel, segment.rect().topLeft()) == before
    window.hands.click(bar.cancel)
    window.settle()
    assert segment.mapTo(window.panel, segment.rect().topLeft()) == before


def test_the_window_s_process_never_imports_tensorflow():
    script = (
        "import sys; import napari_unet.ui.panel.panel, napari_unet.ui.panel.demo\n"
        "loaded = {name.split('.')[0] for name in sys.modules} & {'tensorflow', 'keras', 'h5py'}\n"
        "sys.exit(f'{loaded} in the window' if loaded else 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_not_even_while_it_works(window, cells):
    known = {"tensorflow", "keras"} & set(sys.modules)
    window.add_image(cells)
    window.segment()
    assert {"tensorflow", "keras"} & set(sys.modules) == known


def test_the_keys_are_free_again_when_the_panel_is_gone(window, qtbot):
    viewer = window.viewer
    bound = set(viewer.keymap)
    viewer.window.remove_dock_widget(window.panel)
    window.panel = None
    qtbot.waitUntil(partial(_fewer_keys, viewer, bound))


def _fewer_keys(viewer, bound):
    return len(viewer.keymap) == len(bound) - len(ALL_KEYS)


def _horizontal():
    from qtpy.QtCore import Qt

    return Qt.Orientation.Horizontal
