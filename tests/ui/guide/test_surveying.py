"""Guidance in a real window: what it says and points to is true, also where the model fails."""

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QPushButton

from ..conftest import write_model


def hint(window):
    return window.panel.run_bar.hint.text()


def pointed(window):
    """The buttons that the panel tells the user to press."""
    return [b.objectName() for b in window.panel.findChildren(QPushButton) if b.property("next")]


def undo(window):
    QTest.keyClick(window.hands.canvas, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)


def test_where_a_model_finds_nothing_the_one_that_knows_the_cells_is_a_button(open_with, project, cells):
    write_model(project.models_folder / "anything.keras")
    window = open_with("blind")
    window.add_image(cells)
    window.segment()
    window.wait(lambda: pointed(window) == ["use_better"])
    assert hint(window) == ("This model does not know such cells; 'anything' does. Next: press Use anything.")
    window.hands.click(window.panel.step1.use_better)
    window.wait(lambda: "anything" in window.panel.canvas.image.origin)
    window.settle()
    assert window.labels.data.max() == 31
    assert window.panel.session.model.stem == "anything"
    assert pointed(window) == ["next_to_fix"]
    assert not window.panel.step1.use_better.isVisible()


@pytest.fixture
def strange(open_with, cells):
    """A window with an image whose cells no model knows, and without labels."""
    window = open_with("nobody")
    window.add_image(cells)
    window.segment()
    window.wait(lambda: pointed(window) == ["draw"])
    return window


def test_where_no_model_knows_the_cells_outlines_are_asked_for_and_counted_down(strange):
    assert hint(strange).startswith("No model knows such cells yet: outline about 10.")
    strange.hands.take_up(Qt.Key.Key_N)
    squares = [(row, column) for row in (20, 60) for column in (20, 60, 100, 140, 180)]
    for count, (row, column) in enumerate(squares, 1):
        low, left = row + 19, column + 19
        strange.hands.drag(strange.labels, [(row, column), (row, left), (low, left), (low, column)])
        strange.wait(lambda count=count: strange.panel.canvas.image.counts.reviewed_cells == count)
        strange.qtbot.wait(50)
        if count < 9:
            assert hint(strange).startswith(f"{10 - count} more outlines to learn from.")
            assert pointed(strange) == ["draw"]
    assert hint(strange) == "That is enough to learn from. Next: press Fine-tune."
    assert pointed(strange) == ["fine_tune"]


def test_auto_that_finds_no_model_asks_for_outlines_too(open_window, project, cells):
    write_model(project.models_folder / "nobody.keras")
    window = open_window()
    window.add_image(cells)
    window.segment()
    assert pointed(window) == ["draw"]
    assert hint(window).startswith("No model knows such cells yet")


def test_a_whole_image_reviewed_is_followed_by_learning(window, cells):
    window.add_image(cells)
    window.segment()
    window.hands.click(window.panel.step2.mark)
    window.wait(lambda: pointed(window) == ["fine_tune"])
    assert hint(window) == "All of this image is reviewed. Next: press Fine-tune."


def test_a_kept_model_sends_to_the_next_image_until_something_is_corrected(corrected):
    corrected.hands.click(corrected.panel.step2.mark)
    corrected.settle()
    corrected.fine_tune()
    corrected.hands.click(corrected.panel.step3.keep)
    corrected.wait(lambda: corrected.panel.session.trial is None)
    corrected.settle()
    assert hint(corrected) == ("The model has learnt from all your corrections. Next: open another image.")
    assert pointed(corrected) == ["open"]
    corrected.paint((90, 60), (90, 70), label=78)
    corrected.wait(lambda: pointed(corrected) == ["fine_tune"])


def test_the_words_about_a_place_go_when_the_view_leaves_it_and_come_back(open_with, cells):
    window = open_with("doubtful")
    window.add_image(cells)
    window.segment()
    window.hands.click(window.panel.step2.next_to_fix)
    window.wait(lambda: "unsure" in hint(window))
    camera = window.viewer.scene.camera
    middle = camera.center
    camera.center = (150, 200)
    window.wait(lambda: hint(window).startswith("You have moved on."))
    assert pointed(window) == ["next_to_fix"]
    camera.center = middle
    window.wait(lambda: "unsure" in hint(window))


def test_what_is_said_of_a_mark_goes_with_its_undo(window, cells):
    window.add_image(cells)
    window.segment()
    status = window.panel.run_bar.status.text
    window.hands.click(window.panel.step2.mark)
    window.settle()
    window.hands.click(window.panel.step2.unmark)
    window.wait(lambda: status() == "What you see is no longer marked.")
    window.hands.canvas.setFocus()
    undo(window)
    window.wait(lambda: window.review.marked.all())
    window.qtbot.wait(50)
    assert "no longer" not in status()


def test_what_is_said_of_a_cell_goes_with_its_undo(window, cells):
    window.add_image(cells)
    labels = window.segment()
    words = window.panel.step2.hint.text
    window.hands.take_up(Qt.Key.Key_A)
    window.hands.drag(labels, [(30, 70)])
    assert words().startswith("Accepted")
    undo(window)
    assert not np.any(window.review.marked)
    assert not words().startswith("Accepted")


def test_what_was_said_of_one_image_is_not_said_of_another(window, cells):
    window.add_image(cells)
    window.segment()
    assert "cells found" in window.panel.run_bar.status.text()
    window.add_image(np.roll(cells, 7), name="other")
    window.settle()
    assert "found" not in window.panel.run_bar.status.text()
