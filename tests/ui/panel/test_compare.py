import numpy as np
import pytest
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication

from napari_unet.core.cells.changes import Fate


def compare(window):
    """Press Compare and return the window that opens, in place of one that is open."""
    comparer, before = window.panel.step3.comparer, window.panel.step3.comparer.window
    button = window.panel.step3.compare
    window.wait(lambda: button.isVisible() and button.isEnabled())
    window.hands.click(button)
    window.wait(lambda: comparer.window not in (None, before))
    window.settle()
    return window.panel.step3.comparer.window


def look(window):
    """What napari shows and the user has done."""
    layers = [(layer.name, layer.visible) for layer in window.viewer.layers]
    return layers, window.labels.data.copy(), window.viewer.layers.selection.active


def same(one, other):
    return one[0] == other[0] and np.array_equal(one[1], other[1]) and one[2] is other[2]


def test_the_view_is_shown_under_both_models_and_nothing_else_changes(corrected):
    assert not corrected.panel.step3.compare.isVisible()
    corrected.fine_tune()
    before = look(corrected)
    shown = compare(corrected)
    assert "1 new" in shown.summary.text()
    assert "0 gone" in shown.summary.text()
    assert list(shown.changes.new.values()).count(Fate.UNMATCHED) == 1
    assert Fate.UNMATCHED not in shown.changes.old.values()
    assert same(look(corrected), before)
    old, new = (pane.grab().toImage() for pane in shown.panes)
    assert old != new
    corrected.hands.click(corrected.panel.step3.keep)
    corrected.settle()
    assert corrected.panel.step3.comparer.window is None
    assert not any(widget.objectName() == "comparison" for widget in QApplication.topLevelWidgets())


def test_both_sides_show_what_the_models_draw_and_not_what_was_corrected(corrected):
    corrected.paint((2, 2), (2, 12), label=88)  # where the new model finds a cell
    corrected.fine_tune()
    assert 88 in corrected.labels.data
    shown = compare(corrected)
    assert len(shown.changes.old) == 30
    assert len(shown.changes.new) == 31
    assert "1 new" in shown.summary.text()
    corrected.hands.click(corrected.panel.step3.roll_back)
    corrected.settle()
    assert corrected.panel.step3.comparer.window is None


def test_both_panes_move_together_and_the_next_change_is_found(corrected):
    corrected.fine_tune()
    shown = compare(corrected)
    left, right = shown.panes
    middle = QPoint(left.width() // 2, left.height() // 2)
    start, zoom = right.place(QPointF(middle)), shown.view.zoom
    corrected.qtbot.mousePress(left, Qt.MouseButton.LeftButton, pos=middle)
    corrected.qtbot.mouseMove(left, middle + QPoint(40, 0))
    corrected.qtbot.mouseRelease(left, Qt.MouseButton.LeftButton, pos=middle + QPoint(40, 0))
    assert right.place(QPointF(middle)).x() == pytest.approx(start.x() - 40 / zoom, abs=0.5)
    held = right.place(QPointF(middle))
    turn = QWheelEvent(
        QPointF(middle),
        QPointF(right.mapToGlobal(middle)),
        QPoint(),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(right, turn)
    assert shown.view.zoom > zoom
    assert left.place(QPointF(middle)).x() == pytest.approx(held.x(), abs=0.5)
    corrected.hands.click(shown.next_change)
    corner = left.place(QPointF(left.rect().center()))
    assert (corner.x(), corner.y()) == pytest.approx(
        (2, 2), abs=1.5
    )  # the cell that only the new model finds


def test_a_model_that_did_worse_is_shown_without_being_used(corrected):
    corrected.use_model("worse")
    corrected.fine_tune()
    before = look(corrected)
    shown = compare(corrected)
    assert "1 new" in shown.summary.text()
    assert same(look(corrected), before)
    corrected.hands.click(corrected.panel.step3.roll_back)
    corrected.settle()
    assert corrected.panel.step3.comparer.window is None
    assert same(look(corrected), before)


def test_it_can_be_closed_and_opened_again(corrected):
    corrected.fine_tune()
    corrected.qtbot.keyClick(compare(corrected), Qt.Key.Key_Escape)
    assert corrected.panel.step3.comparer.window is None
    assert compare(corrected).isVisible()


def test_in_a_stack_the_plane_that_is_shown_is_compared(window, stack):
    window.add_image(stack)
    window.panel.step1.scope.setCurrentIndex(1)
    window.segment()
    window.viewer.dims.set_point(0, 2)
    window.hands.click(window.panel.step2.mark)
    window.wait(lambda: window.panel.step3.fine_tune.isEnabled())
    window.fine_tune()
    window.viewer.dims.set_point(0, 1)
    assert "1 new" in compare(window).summary.text()
    window.viewer.dims.set_point(0, 2)  # where all is reviewed
    assert "1 new" in compare(window).summary.text()
