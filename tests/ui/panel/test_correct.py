import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_unet.core.base.arrays import slices
from napari_unet.ui.canvas.layers import visible_box


def test_a_stroke_is_on_the_disk_at_once(window, cells):
    window.add_image(cells)
    labels = window.segment()
    window.paint((10, 60), (10, 100))
    assert labels.data[10, 80] == 77
    window.wait(lambda: window.on_disk().labels[10, 80] == 77)
    window.settle()
    np.testing.assert_array_equal(window.on_disk().labels, labels.data)
    assert window.panel.step2.counts.text().startswith("1 corrected, 0 accepted of 31 cells")
    assert window.panel.step2.saved.text() == "saved"


def test_erasing_and_undoing_are_noticed(window, cells):
    window.add_image(cells)
    labels = window.segment()
    predicted = labels.data.copy()
    labels.brush_size = 6
    window.hands.press(Qt.Key.Key_1)
    window.hands.drag(labels, [(30, 24), (30, 36)])
    window.wait(lambda: window.on_disk().labels[30, 30] == 0)
    QTest.keyClick(window.hands.canvas, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    np.testing.assert_array_equal(labels.data, predicted)
    window.wait(lambda: np.array_equal(window.on_disk().labels, predicted))
    window.wait(lambda: window.panel.canvas.image.counts.changed_cells == 0)


def test_an_undo_on_a_hidden_layer_is_noticed_before_the_fine_tuning(window, cells):
    window.add_image(cells)
    labels = window.segment()
    window.paint((10, 60), (10, 100))
    window.wait(lambda: window.panel.canvas.image.counts.changed_cells == 1)
    labels.visible = False
    labels.undo()
    window.panel.session.images.flushing.emit()
    assert not window.review.changed().any()


def test_strokes_on_two_planes_in_quick_succession(window, stack, monkeypatch):
    from napari_unet.ui.canvas import edit_watch as edits

    monkeypatch.setattr(edits, "_SMALL", 0)  # as if the stack were large
    window.add_image(stack)
    window.panel.step1.scope.setCurrentIndex(1)
    window.segment()
    for plane in (1, 3):
        window.viewer.dims.set_current_step(0, plane)
        window.paint((10, 60), (10, 100))
    window.wait(lambda: (window.on_disk().labels[:, 10, 80] == 77).tolist() == [False, True, False, True])


def test_only_what_is_visible_is_marked(window, cells):
    window.add_image(cells)
    labels = window.segment()
    window.hands.look_at(labels, (slice(100, 160), slice(40, 120)))
    box = visible_box(window.viewer, labels, window.panel.canvas.image.grid)
    assert all(0 < start < stop < size for (start, stop), size in zip(box, cells.shape, strict=True))
    window.hands.click(window.panel.step2.mark)
    marked = np.zeros(cells.shape, bool)
    marked[slices(box)] = True
    np.testing.assert_array_equal(window.review.marked, marked)
    window.wait(lambda: np.array_equal(window.on_disk().marked, marked))
    window.hands.click(window.panel.step2.unmark)
    assert not window.review.marked.any()


def test_marking_in_3d_says_what_to_do(window, stack):
    window.add_image(stack)
    window.segment()
    window.viewer.dims.ndisplay = 3
    window.panel.step2.mark.click()
    window.settle()
    assert not window.review.marked.any()
    assert "2D" in window.panel.run_bar.status.text()


def test_what_is_reviewed_is_tinted(window, cells):
    window.add_image(cells)
    window.segment()
    window.panel.step2.show_reviewed.setChecked(True)
    tint = window.panel.canvas.overlay.layer
    assert not tint.data.any()
    window.paint((10, 60), (10, 100))
    window.wait(lambda: tint.data[10, 80] == 1)
    assert tint.data[100, 80] == 0
    window.hands.click(window.panel.step2.mark)
    assert tint.data.all()
    assert window.viewer.layers.selection.active is window.labels
    window.settle()
    assert window.panel.step2.show_reviewed.isChecked()
    window.viewer.layers.remove(tint)
    window.settle()
    assert not window.panel.step2.show_reviewed.isChecked()
    assert window.labels is not None


def test_labels_of_another_size_are_refused_and_nothing_is_lost(window, cells):
    window.add_image(cells)
    labels = window.segment()
    window.paint((10, 60), (10, 100))
    window.wait(lambda: window.panel.canvas.image.counts.changed_cells == 1)
    known = window.review.labels.copy()
    labels.data = np.zeros((50, 50), np.int32)
    window.wait(lambda: window.panel.session.is_error)
    window.settle()
    assert "(50, 50)" in window.panel.run_bar.status.text()
    window.wait(lambda: np.array_equal(window.on_disk().labels, known))
    np.testing.assert_array_equal(window.segment().data, known)


def test_labels_that_lost_their_image_are_still_followed(window, cells):
    image = window.add_image(cells)
    labels = window.segment()
    record = window.panel.canvas.image.record
    window.viewer.layers.remove(image)
    labels.data_setitem((np.array([5]), np.array([5])), 99)
    window.wait(lambda: record.load_review().labels[5, 5] == 99)


def test_a_full_disk_is_told_and_made_good(window, cells, monkeypatch):
    from napari_unet.io import atomic

    window.add_image(cells)
    window.segment()
    write = atomic.write

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic, "write", full)
    window.paint((10, 60), (10, 100))
    window.wait(lambda: window.panel.session.is_error)
    window.settle()
    assert "disk is full" in window.panel.run_bar.status.text()
    assert window.panel.step2.saved.text() == "not saved"
    monkeypatch.setattr(atomic, "write", write)
    window.wait(lambda: window.panel.step2.saved.text() == "saved")
    assert window.on_disk().labels[10, 80] == 77


@pytest.mark.parametrize("close", ["viewer", "dock"])
def test_closing_takes_the_last_stroke(open_window, cells, close):
    window = open_window()
    window.add_image(cells)
    window.segment()
    record, session = window.panel.canvas.image.record, window.panel.session
    window.paint((10, 60), (10, 100))
    if close == "viewer":
        window.viewer.close()
    else:
        window.viewer.window.remove_dock_widget(window.panel)
    window.panel = None
    window.wait(lambda: session.closed)
    assert record.load_review().labels[10, 80] == 77
    window.wait(lambda: not session.worker.alive)


def test_corrections_come_back_with_the_image(open_window, cells):
    window = open_window()
    window.add_image(cells)
    window.segment()
    window.paint((10, 60), (10, 100))
    window.hands.click(window.panel.step2.mark)
    expected = window.labels.data.copy()
    window.viewer.layers.clear()
    window.wait(lambda: not window.panel.session.images)
    # napari alone crashes Mesa where layers are put in before it has painted the removal of others.
    window.qtbot.wait(300)
    window.add_image(cells.copy(), name="the same again")
    window.wait(lambda: window.labels is not None)
    np.testing.assert_array_equal(window.labels.data, expected)
    assert window.labels.name == "the same again cells"
    window.settle()
    assert "are back" in window.panel.run_bar.status.text()
    assert window.review.marked.any()
    assert window.panel.step3.fine_tune.isEnabled()
