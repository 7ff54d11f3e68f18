"""What to fix next, by the keys and the mouse of a user."""

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

UNSURE, SEAM = (
    (30, 70),
    (30, 110),
)  # cells, the most doubtful first, of which `window_jobs` makes the network so
MISSED = (90, 90)


@pytest.fixture
def doubtful(open_with):
    """A window with a model that is unsure of two cells, and of a place without one."""
    return open_with("doubtful")


@pytest.fixture
def opened(doubtful, cells):
    doubtful.add_image(cells)
    doubtful.segment()
    return doubtful


def go_on(window):
    """Press the key, and wait for what it shows."""
    window.hands.canvas.setFocus()
    QTest.keyClick(window.hands.canvas, Qt.Key.Key_N, Qt.KeyboardModifier.ShiftModifier)
    window.wait(lambda: window.panel.canvas.image.tour is not None)
    window.qtbot.wait(50)


def hint(window):
    return window.panel.run_bar.hint.text()


def looks_at(window, point):
    """Whether a (row, column) is near the middle of the canvas and its surroundings are seen."""
    layer, canvas = window.labels, window.hands.canvas
    place = window.hands.locate(layer, point)
    middle = np.hypot(place.x() - canvas.width() / 2, place.y() - canvas.height() / 2)
    side = 20 * np.abs(layer.scale[-1]) * window.viewer.scene.camera.zoom
    return middle < side and canvas.height() / 11 < side < canvas.height() / 1.9


def test_the_key_leads_from_place_to_place_and_says_why(opened):
    assert opened.panel.step2.next_to_fix.property("next")
    go_on(opened)
    assert (
        hint(opened)
        == "The network is unsure of this cell: R if it is right, D deletes it.\n2 others are worth a look."
    )
    opened.wait(lambda: looks_at(opened, UNSURE))
    assert opened.labels.selected_label == opened.labels.data[UNSURE]
    go_on(opened)
    assert hint(opened) == (
        "May be one cell with its neighbour: R if it is right, J joins them.\n1 other is worth a look."
    )
    opened.wait(lambda: looks_at(opened, SEAM))
    assert opened.labels.selected_label == opened.labels.data[SEAM]
    go_on(opened)
    assert hint(opened) == (
        "A cell may be missing here: R if there is none, N draws it.\nNo other is worth a look."
    )
    opened.wait(lambda: looks_at(opened, MISSED))
    assert opened.labels.selected_label == opened.labels.data.max() + 1
    go_on(opened)
    assert hint(opened) == "You have seen them all. Press Next to fix for those you passed over."
    go_on(opened)
    opened.wait(lambda: looks_at(opened, UNSURE))
    opened.paint((150, 50), (150, 52))
    for _ in range(3):
        go_on(opened)
    opened.settle()
    assert hint(opened) == (
        "All seen. Next: correct or accept 3 more cells to have something to compare, then press Fine-tune, "
        "or Next to fix for those you passed over."
    )


def test_the_place_is_outlined_whether_or_not_a_fix_is_suggested(opened):
    for outline in ((20, 39, 60, 79), (20, 39, 100, 119)):
        go_on(opened)
        marked = opened.panel.canvas.walk.outline.layer
        rows, columns = np.nonzero(np.asarray(marked.data))
        assert (rows.min(), rows.max(), columns.min(), columns.max()) == outline
        assert not marked.data[30, (outline[2] + outline[3]) // 2], "it hides no cell"
    go_on(opened)
    assert np.asarray(opened.panel.canvas.walk.outline.layer.data)[80:100, 80:100].any(), (
        "where one may be missing"
    )
    assert opened.viewer.layers.selection.active is opened.labels


def test_the_keys_that_answer_say_so_where_there_is_nothing_to_answer(opened):
    words, before = opened.panel.step2.hint.text, opened.labels.data.copy()
    opened.hands.take_up(Qt.Key.Key_T)
    assert words() == "No place is shown: press Next to fix (Shift-N) first."
    go_on(opened)
    opened.hands.take_up(Qt.Key.Key_T)
    assert words() == "Nothing is suggested here: mend the cell, or press R if it is right."
    np.testing.assert_array_equal(opened.labels.data, before)
    opened.hands.take_up(Qt.Key.Key_R)
    opened.wait(lambda: "neighbour" in hint(opened))
    assert opened.review.marked[UNSURE]


def test_what_was_fixed_or_accepted_does_not_come_again(opened):
    go_on(opened)
    opened.hands.take_up(Qt.Key.Key_A)
    opened.hands.drag(opened.labels, [UNSURE])
    opened.wait(lambda: hint(opened) == "Done. 2 others are worth a look.")
    assert opened.panel.step2.next_to_fix.property("next")
    go_on(opened)
    assert opened.panel.step2.tools["accept"].isChecked(), "the tool stays in the hand"
    opened.hands.take_up(Qt.Key.Key_D)
    opened.hands.drag(opened.labels, [SEAM])
    go_on(opened)  # before anybody has noticed the stroke
    assert hint(opened) == (
        "A cell may be missing here: R if there is none, N draws it.\nNo other is worth a look."
    )
    opened.hands.take_up(Qt.Key.Key_N)
    opened.hands.drag(opened.labels, [(82, 82), (82, 98), (98, 98), (98, 82)])
    assert opened.labels.data[MISSED] > 0
    go_on(opened)
    opened.settle()
    assert hint(opened) == (
        "Nothing else is worth a look. Next: correct or accept 2 more cells to have something to compare, "
        "then press Fine-tune."
    )
    assert not opened.panel.step3.fine_tune.property("next"), "two cells are too few"
    assert not opened.panel.step2.next_to_fix.property("next")
    opened.hands.click(opened.panel.step2.mark)
    opened.wait(lambda: opened.panel.step3.fine_tune.property("next"))
    assert hint(opened) == "Nothing else is worth a look. Next: press Fine-tune."


def test_what_was_accepted_is_back_when_that_is_undone(opened):
    go_on(opened)
    opened.hands.take_up(Qt.Key.Key_A)
    opened.hands.drag(opened.labels, [UNSURE])
    opened.wait(lambda: "Done" in hint(opened))
    QTest.keyClick(opened.hands.canvas, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    opened.wait(lambda: "unsure" in hint(opened))


def test_the_button_does_the_same_and_has_no_place_before_there_are_cells(doubtful, cells):
    button = doubtful.panel.step2.next_to_fix
    assert not button.isEnabled()
    doubtful.add_image(cells)
    assert not button.isEnabled()
    doubtful.segment()
    doubtful.hands.click(button)
    doubtful.wait(lambda: "unsure" in hint(doubtful))
    assert looks_at(doubtful, UNSURE)


def test_where_nothing_looks_wrong_it_says_so(window, cells):
    window.add_image(cells)
    window.segment()
    go_on(window)
    assert hint(window) == "Nothing looks wrong. Go on to another image."


def test_a_zoom_that_shows_the_place_is_kept(opened):
    camera = opened.viewer.scene.camera
    camera.zoom = zoom = opened.hands.canvas.height() / 20 / 4
    go_on(opened)
    assert camera.zoom == zoom
    camera.zoom = 1.0
    go_on(opened)
    opened.wait(lambda: looks_at(opened, SEAM))


def test_in_a_stack_it_shows_the_plane_and_leaves_the_channel(doubtful, cells):
    data = np.zeros((4, 2, *cells.shape), np.uint8)
    data[2, 1] = cells
    place = {"scale": (3, 1, 0.5, 0.5), "translate": (1, 0, 5, -7), "axis_labels": ("z", "c", "y", "x")}
    doubtful.add_image(data, **place)
    viewer = doubtful.viewer
    viewer.dims.set_current_step(0, 2)
    doubtful.panel.step1.channel.setCurrentIndex(1)
    labels = doubtful.segment()  # this plane alone
    viewer.dims.set_current_step(0, 0)
    viewer.dims.set_current_step(1, 1)
    go_on(doubtful)
    assert viewer.dims.current_step[:2] == (2, 1)
    assert looks_at(doubtful, UNSURE)
    assert labels.selected_label == labels.data[2, 0][UNSURE]


def test_another_prediction_brings_its_own_doubts_and_other_ids_do_not_confuse_it(opened, cells):
    go_on(opened)
    opened.hands.take_up(Qt.Key.Key_D)
    opened.hands.drag(opened.labels, [(150, 110)])
    opened.use_model("nuclei")
    opened.segment()
    assert opened.panel.canvas.image.tour is None
    go_on(opened)
    assert "Nothing" in hint(opened)
    opened.use_model("doubtful")
    opened.segment()
    opened.paint((30, 62), (30, 64), label=500, brush=4)  # in the most doubtful cell
    go_on(opened)
    opened.wait(lambda: looks_at(opened, SEAM))
    assert opened.labels.selected_label == opened.labels.data[SEAM]


def test_labels_that_are_back_from_the_disk_are_ordered_by_size_and_form(doubtful, cells):
    cells[24:36, 64:76] = 10
    cells[20:24, 60:80] = cells[36:40, 60:80] = 10
    cells[24:36, 60:64] = cells[24:36, 76:80] = 10
    cells[28:33, 68:72] = 200
    doubtful.add_image(cells)
    doubtful.segment()
    doubtful.viewer.layers.clear()
    doubtful.wait(lambda: not doubtful.panel.session.images)
    doubtful.settle()
    doubtful.add_image(cells)
    doubtful.wait(lambda: doubtful.labels is not None)
    doubtful.settle()
    go_on(doubtful)
    assert hint(doubtful) == (
        "Much smaller than the others: R if it is right, D deletes it, J joins it.\nNo other is worth a look."
    )
    assert doubtful.labels.selected_label == doubtful.labels.data[30, 70]
