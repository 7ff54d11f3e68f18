from qtpy.QtCore import QObject, Qt
from qtpy.QtWidgets import QApplication

from napari_unet.ui.common.run_bar import Poster


def test_new_labels_wait_for_the_end_of_a_stroke(qtbot, monkeypatch):
    held = Qt.MouseButton.LeftButton
    monkeypatch.setattr(QApplication, "mouseButtons", lambda: held)
    owner, calls = QObject(), []
    poster = Poster(owner)
    poster.post_gently(lambda: calls.append("gently"))
    poster.post(lambda: calls.append("at once"))
    qtbot.wait(200)
    assert calls == ["at once"]
    held = Qt.MouseButton.NoButton
    qtbot.waitUntil(lambda: calls == ["at once", "gently"])
