"""The walk over doubtful places where fixes are suggested, by the keys and the mouse of a user."""

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

FIRST, SECOND, MISSED = (30, 70), (30, 110), (90, 90)  # to split, to delete, to draw


@pytest.fixture
def helpful(open_with):
    """A window with a model that suggests three fixes."""
    return open_with("helpful")


@pytest.fixture
def opened(helpful, cells):
    helpful.add_image(cells)
    helpful.segment()
    return helpful


def press(window, key, modifier=Qt.KeyboardModifier.NoModifier):
    window.hands.canvas.setFocus()
    QTest.keyClick(window.hands.canvas, key, modifier)
    window.qtbot.wait(80)
    window.settle()


def go_on(window):
    press(window, Qt.Key.Key_N, Qt.KeyboardModifier.ShiftModifier)
    window.wait(lambda: window.panel.canvas.image.tour is not None)
    window.qtbot.wait(80)


def hint(window):
    return window.panel.run_bar.hint.text()


def outlined(window):
    """The (row, column) box of what is outlined, and in which colours."""
    layer = window.panel.canvas.walk.outline.layer
    if layer is None or not layer.visible:
        return None
    plane = np.asarray(layer.data).reshape(-1, *layer.data.shape[-2:]).max(axis=0)
    rows, columns = np.nonzero(plane)
    return (rows.min(), rows.max(), columns.min(), columns.max()), set(np.unique(plane).tolist()) - {0}


def test_a_key_takes_what_is_outlined_as_one_step_and_goes_on(opened):
    before = opened.labels.data.copy()
    go_on(opened)
    assert hint(opened).endswith("\nSuggested (T): split into 2. 2 more.")
    assert outlined(opened) == ((20, 39, 60, 79), {1})
    assert opened.viewer.layers.selection.active is opened.labels
    press(opened, Qt.Key.Key_T)
    after = opened.labels.data
    assert after[30, 64] == before[FIRST], "the larger piece keeps its id"
    assert after[30, 76] == before.max() + 1
    assert (after != before).sum() == 20 * 8
    assert "Suggested (T): delete it. 1 more." in hint(opened)
    assert outlined(opened) == ((20, 39, 100, 119), {2})
    press(opened, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert np.array_equal(opened.labels.data, before)
    press(opened, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    assert opened.labels.data[30, 76] == before.max() + 1
    press(opened, Qt.Key.Key_T)
    assert opened.labels.data[SECOND] == 0
    assert "Suggested (T): draw it. No more." in hint(opened)
    press(opened, Qt.Key.Key_T)
    assert opened.labels.data[MISSED] == before.max() + 2
    assert outlined(opened) is None
    opened.settle()
    assert hint(opened) == (
        "Nothing else is worth a look. Next: correct or accept 2 more cells to have something to compare, "
        "then press Fine-tune."
    )
    opened.wait(lambda: np.array_equal(opened.on_disk().labels, opened.labels.data))
    assert opened.panel.canvas.image.counts.changed_cells == 4


def test_a_key_accepts_a_place_as_it_is_and_goes_on(opened):
    before = opened.labels.data.copy()
    go_on(opened)
    press(opened, Qt.Key.Key_R)
    assert opened.review.marked[FIRST]
    assert "delete it" in hint(opened)
    press(opened, Qt.Key.Key_R)
    assert opened.review.marked[SECOND]
    press(opened, Qt.Key.Key_R)
    assert opened.review.marked[MISSED], "there is nothing here"
    assert np.array_equal(opened.labels.data, before)
    opened.settle()
    assert hint(opened) == (
        "Nothing else is worth a look. Next: correct or accept 2 more cells to have something to compare, "
        "then press Fine-tune."
    )
    press(opened, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert not opened.review.marked[MISSED]
    assert opened.review.marked[SECOND]


def test_the_buttons_do_the_same_and_wait_for_a_place(opened):
    take, accept = opened.panel.step2.take, opened.panel.step2.accept_place
    assert (take.text(), accept.text()) == ("Take suggestion  T", "Right as it is  R")
    assert not take.isEnabled()
    assert not accept.isEnabled()
    go_on(opened)
    before = opened.labels.data.copy()
    opened.hands.click(take)
    opened.settle()
    assert opened.labels.data[30, 76] != before[30, 76]
    opened.hands.click(accept)
    opened.settle()
    assert opened.review.marked[SECOND]


def test_a_suggestion_goes_when_its_cell_is_mended_by_hand_and_is_back_with_undo(opened):
    go_on(opened)
    opened.hands.take_up(Qt.Key.Key_S)
    opened.hands.drag(opened.labels, [(16, 70), (44, 70)])
    opened.wait(lambda: hint(opened).startswith("Done."))
    assert outlined(opened) is None
    assert not opened.panel.step2.take.isEnabled()
    mended = opened.labels.data.copy()
    press(opened, Qt.Key.Key_T)
    assert np.array_equal(opened.labels.data, mended), "there is nothing to take"
    press(opened, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    opened.wait(lambda: "Suggested (T): split into 2." in hint(opened))
    assert outlined(opened) == ((20, 39, 60, 79), {1})
    assert opened.panel.step2.tools["split"].isChecked(), "the tool stays in the hand"


def test_what_is_out_of_sight_is_shown_and_not_taken(helpful, cells):
    data = np.zeros((3, *cells.shape), np.uint8)
    data[0] = cells
    helpful.add_image(data, axis_labels=("z", "y", "x"))
    helpful.panel.step1.scope.setCurrentIndex(1)
    labels = helpful.segment()
    before = labels.data.copy()
    go_on(helpful)
    assert helpful.viewer.dims.current_step[0] == 0
    assert outlined(helpful) == ((20, 39, 60, 79), {1})
    helpful.viewer.dims.set_current_step(0, 2)
    press(helpful, Qt.Key.Key_T)
    assert np.array_equal(helpful.labels.data, before)
    assert helpful.viewer.dims.current_step[0] == 0
    press(helpful, Qt.Key.Key_T)
    assert helpful.labels.data[0, 30, 76] == before.max() + 1
    assert np.array_equal(helpful.labels.data[1:], before[1:])


def test_the_outline_goes_with_its_labels_and_is_made_anew(opened):
    go_on(opened)
    opened.viewer.layers.remove(opened.panel.canvas.walk.outline.layer)
    press(opened, Qt.Key.Key_T)
    assert outlined(opened) == ((20, 39, 100, 119), {2})
    opened.segment()
    assert outlined(opened) is None
    opened.viewer.layers.clear()
    opened.wait(lambda: not opened.panel.session.images)
    assert opened.panel.canvas.walk.outline.layer is None
