"""The whole loop as a user goes through it: a real window, a real worker, a real network, mouse and keys."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog

from napari_unet import evaluate
from napari_unet.core.base.params import Effort
from napari_unet.io.files import read_labels
from napari_unet.nn.model_file import read_card
from napari_unet.ui.panel.demo import wrong_cells

from .tiny_model import LINE, PITCH, RADIUS, draw_discs

CORRECTED = slice(0, 5 * PITCH)
"""The columns that the user looks at; the others are only ever seen by the network."""
UNSEEN = slice(CORRECTED.stop, None)
STEPS = 300


@pytest.fixture
def parent(project):
    """The only model of the project, which finds what is bright."""
    for path in project.models_folder.glob("*.keras"):
        path.unlink()
    path = project.models_folder / "bright.keras"
    program = Path(__file__).with_name("tiny_model.py")
    subprocess.run([sys.executable, str(program), str(path), "120"], check=True, capture_output=True)
    return path


def score_unseen(labels, truth):
    return evaluate(labels[:, UNSEEN], truth[:, UNSEEN])


def count_drawn(labels, cells):
    """Return how many of the cells that lie in the columns that nobody corrected are drawn."""
    seen = cells[:, UNSEEN]
    return sum((labels[:, UNSEEN][seen == cell] > 0).mean() > 0.5 for cell in np.unique(seen[seen > 0]))


def open_by_button(window, path, monkeypatch):
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: ([str(path)], ""))
    window.hands.click(window.panel.step1.open)
    window.wait(lambda: window.panel.canvas.image is not None)
    window.qtbot.wait(100)


def correct(window, truth):
    """Rub out the line, paint the cells that are missing, mark what the canvas shows; return what it is."""
    labels, hands = window.labels, window.hands
    hands.look_at(labels, (slice(0, len(truth)), CORRECTED))
    first, last = labels.corner_pixels.astype(int)
    seen = np.zeros(truth.shape, bool)
    seen[first[0] : last[0] + 1, first[1] : last[1] + 1] = True
    seen &= np.arange(truth.shape[1]) < UNSEEN.start
    hands.press(Qt.Key.Key_1)
    labels.brush_size = LINE + 4
    columns = np.flatnonzero(seen[2 * PITCH])
    hands.drag(labels, [(2 * PITCH, column) for column in (*columns[:-1:8], columns[-1])])
    hands.press(Qt.Key.Key_2)
    labels.brush_size = 2 * RADIUS
    for cell in wrong_cells(truth, labels.data, seen):
        hands.press(Qt.Key.Key_M)
        centre = np.argwhere(truth == truth[cell][0]).mean(axis=0)
        hands.drag(labels, [centre, centre])
    hands.click(window.panel.step2.mark)
    window.wait(lambda: window.panel.step3.fine_tune.isEnabled())
    window.settle()
    return seen


def fine_tune(window):
    window.hands.click(window.panel.step3.fine_tune)
    session = window.panel.session
    window.wait(lambda: session.is_error or (session.trial and session.run is None))
    window.settle()
    assert session.trial is not None, session.notice
    return session.trial


def test_corrections_make_a_better_model(open_window, parent, tmp_path, monkeypatch):
    image, truth, bright = draw_discs(5, 9, seed=3)
    faint = np.where(bright > 0, 0, truth)  # a kind of cell that the model does not know
    path = tmp_path / "discs.tif"
    tifffile.imwrite(path, image)
    window = open_window("napari_unet.jobs.table")
    panel = window.panel
    open_by_button(window, path, monkeypatch)

    window.hands.click(panel.step1.segment)
    window.wait(lambda: panel.session.run is None and panel.canvas.image.counts is not None)
    window.settle()
    predicted = window.labels.data.copy()
    before = score_unseen(predicted, truth)
    assert before.missed >= 8  # of 20
    assert count_drawn(predicted, faint) <= 2  # of 10

    seen = correct(window, truth)
    corrected = window.labels.data.copy()
    reviewed = window.review.reviewed()
    assert evaluate(corrected * seen, truth * seen).ap50 == 1
    assert not corrected[2 * PITCH][seen[2 * PITCH]].any()
    assert reviewed[seen].all()
    assert not reviewed[:, UNSEEN].any()
    np.testing.assert_array_equal(corrected[:, UNSEEN], predicted[:, UNSEEN])

    panel.step3.offer(Effort("Test", 60.0, STEPS))  # as many on a slow machine
    trial = fine_tune(window)
    after = window.labels.data.copy()
    assert trial.accepted
    for name in ("ap50", "mean_ap"):
        assert getattr(trial.result.after, name) > getattr(trial.result.before, name)
    assert score_unseen(after, truth).ap50 > before.ap50 + 0.1
    assert score_unseen(after, truth).missed < before.missed
    assert count_drawn(after, faint) >= 8
    np.testing.assert_array_equal(after[reviewed], corrected[reviewed])

    window.hands.click(panel.step3.roll_back)
    window.settle()
    np.testing.assert_array_equal(window.labels.data, corrected)
    np.testing.assert_array_equal(window.review.reviewed(), reviewed)
    assert panel.session.model == parent
    assert panel.step1.model.currentText() == "Auto - bright"
    assert not trial.model.exists()

    fine_tune(window)
    window.hands.click(panel.step3.keep)
    window.settle()
    kept = panel.session.model
    assert kept == parent.with_name("bright-1.keras")
    assert panel.step1.model.currentText() == "Auto - bright-1"
    np.testing.assert_array_equal(window.labels.data, after)  # the same corrections teach the same
    window.wait(lambda: panel.session.idle.is_done)  # what is forgotten is measured while nobody waits
    known = read_card(kept).scores.get("known")  # nothing where the old model knew no test scene
    assert known is None or 0 <= known["after"] <= 1

    program = [sys.executable, "-m", "napari_unet.cli.main", "segment", str(path)]
    options = ["--model", str(kept), "--output", str(tmp_path / "again")]
    subprocess.run(program + options, check=True, capture_output=True)
    again = read_labels(tmp_path / "again" / path.name)
    np.testing.assert_array_equal(again[:, UNSEEN] > 0, window.labels.data[:, UNSEEN] > 0)
