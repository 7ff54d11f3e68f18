"""Keys go to the canvas wherever the pointer is over it."""

from pathlib import Path

import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from ..conftest import write_model


def press_where_the_focus_is(key):
    QTest.keyClick(QApplication.focusWidget(), key)


@pytest.fixture
def chosen(open_window, project, cells):
    """A window with labels, in which a model was chosen by the keyboard just now."""
    write_model(project.models_folder / "membranes.keras")
    window = open_window()
    window.viewer.window.activate()
    window.add_image(cells)
    window.segment()
    model = window.panel.step1.model
    model.setFocus()
    window.wait(model.hasFocus)
    rows = [Path(str(model.itemData(row))).stem for row in range(model.count())]
    model.setCurrentIndex(rows.index("worse"))
    model.activated.emit(model.currentIndex())
    return window


def test_after_a_choice_in_the_model_box_the_keys_work_on_the_canvas(chosen):
    labels, model = chosen.labels, chosen.panel.step1.model
    chosen.viewer.layers.selection.active = labels
    chosen.hands.point(labels, (10, 10))
    chosen.wait(chosen.hands.canvas.hasFocus)
    press_where_the_focus_is(Qt.Key.Key_N)
    assert chosen.panel.step2.tools["draw"].isChecked()
    press_where_the_focus_is(Qt.Key.Key_Escape)
    labels.selected_label = 1
    press_where_the_focus_is(Qt.Key.Key_M)
    assert labels.selected_label == labels.data.max() + 1
    press_where_the_focus_is(Qt.Key.Key_1)
    assert labels.mode == "erase"
    press_where_the_focus_is(Qt.Key.Key_2)
    assert labels.mode == "paint"
    assert Path(str(model.currentData())).stem == "worse", "the model stays"


def test_what_is_being_written_keeps_the_keyboard(chosen):
    field = chosen.panel.step1.axes.field
    field.setFocus()
    chosen.wait(field.hasFocus)
    QTest.mouseMove(chosen.hands.canvas, QPoint(40, 40))
    chosen.qtbot.wait(100)
    assert field.hasFocus()
