"""Each tool by the mouse and the keys of a user, undo and redo included."""

import numpy as np
import pytest
from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from scipy import ndimage

from napari_unet.ui.canvas.stroke import StrokePreview
from napari_unet.ui.canvas.tools import TOOLS

KEYS = {tool.name: getattr(Qt.Key, f"Key_{tool.key}") for tool in TOOLS}
CENTRE = (30, 70)  # of the cell in rows 20 to 39 and columns 60 to 79


def key(window, key, modifiers=Qt.KeyboardModifier.NoModifier):
    window.hands.canvas.setFocus()
    QTest.keyClick(window.hands.canvas, key, modifiers)


def undo(window):
    key(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)


def redo(window):
    key(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)


def press_over(window, name, *points):
    """Take a tool up by its key, then press the key again over each point."""
    window.hands.take_up(KEYS[name])
    for point in points:
        window.hands.point(window.labels, point)
        window.hands.press(KEYS[name])


def use(window, name, *points):
    """Press the tool's key, and draw a stroke or click."""
    window.hands.take_up(KEYS[name])
    window.hands.drag(window.labels, points)


def shown(window):
    """The plane that is shown."""
    data = window.labels.data
    return data[window.viewer.dims.current_step[0]] if data.ndim > 2 else data


def cell_at(window, row, column):
    return shown(window) == shown(window)[row, column]


def check_step(window, before):
    """What was done is undone and done again by one key each, and is then on the disk."""
    after = window.labels.data.copy()
    assert (after != before).any()
    undo(window)
    np.testing.assert_array_equal(window.labels.data, before)
    redo(window)
    np.testing.assert_array_equal(window.labels.data, after)
    window.wait(lambda: np.array_equal(window.on_disk().labels, after))
    window.wait(lambda: window.panel.canvas.image.counts.changed_cells > 0)
    window.settle()
    np.testing.assert_array_equal(window.review.changed(), after != before)
    assert window.panel.step2.saved.text() == "saved"


@pytest.fixture(params=["plane", "stack"])
def segmented(request, window, cells, stack):
    """A window with cells, of a plane or of the third plane of a stack."""
    if request.param == "plane":
        window.add_image(cells)
        window.segment()
    else:
        window.add_image(stack)
        window.panel.step1.scope.setCurrentIndex(1)
        window.segment()
        window.viewer.dims.set_current_step(0, 2)
    return window


@pytest.fixture
def opened(window, cells):
    window.add_image(cells)
    window.segment()
    return window


def test_a_line_splits_a_cell(segmented):
    before = segmented.labels.data.copy()
    whole, label = cell_at(segmented, *CENTRE), shown(segmented)[CENTRE]
    use(segmented, "split", (15, 74), (45, 74))
    left, right = cell_at(segmented, 30, 64), cell_at(segmented, 30, 78)
    np.testing.assert_array_equal(left | right, whole)
    assert not (left & right).any()
    assert shown(segmented)[30, 64] == label
    assert shown(segmented)[30, 78] > before.max()
    check_step(segmented, before)


def test_a_click_splits_a_cell_at_its_neck(opened):
    labels = opened.labels
    label = labels.data[30, 70]
    labels.data_setitem(np.nonzero(cell_at(opened, 30, 110)), label)
    rows, columns = np.mgrid[28:32, 80:100]
    labels.data_setitem((rows.ravel(), columns.ravel()), label)
    before = labels.data.copy()
    use(opened, "split", (30, 70))
    assert opened.labels.data[30, 62] != opened.labels.data[30, 118]
    np.testing.assert_array_equal(labels.data != 0, before != 0)
    undo(opened)
    np.testing.assert_array_equal(labels.data, before)


def test_a_stroke_merges_cells(segmented):
    before, cells = segmented.labels.data.copy(), len(np.unique(shown(segmented)))
    label = shown(segmented)[CENTRE]
    use(segmented, "merge", (30, 70), (30, 110))
    assert shown(segmented)[30, 110] == shown(segmented)[CENTRE] == label
    assert len(np.unique(shown(segmented))) == cells - 1
    check_step(segmented, before)


def test_two_clicks_merge_cells_and_none_between_them(opened):
    before = opened.labels.data.copy()
    use(opened, "merge", (30, 70))
    assert "Now click" in opened.panel.step2.hint.text()
    np.testing.assert_array_equal(opened.labels.data, before)
    opened.hands.drag(opened.labels, [(30, 150)])
    assert opened.labels.data[30, 150] == opened.labels.data[30, 70]
    assert opened.labels.data[30, 110] == before[30, 110] != before[30, 70]
    check_step(opened, before)


def test_clicks_and_strokes_delete_cells(segmented):
    before = segmented.labels.data.copy()
    use(segmented, "delete", CENTRE)
    assert shown(segmented)[CENTRE] == 0
    check_step(segmented, before)
    segmented.hands.drag(segmented.labels, [(70, 70), (70, 110), (70, 150)])
    assert not shown(segmented)[60:80, 60:160].any()
    assert shown(segmented)[30, 110] != 0


def test_a_loop_deletes_all_cells_in_it(opened):
    before = opened.labels.data.copy()
    use(opened, "delete", (50, 50), (50, 130), (130, 130), (130, 50), (55, 50))
    inside = np.isin(before, np.unique(before[60:120, 60:120]))
    np.testing.assert_array_equal(opened.labels.data, np.where(inside, 0, before))
    check_step(opened, before)


def test_a_contour_becomes_a_cell_and_others_stay(segmented):
    before = segmented.labels.data.copy()
    use(segmented, "draw", (5, 65), (5, 100), (25, 100), (25, 65))
    drawn = (shown(segmented) != 0) & (shown(segmented) > before.max())
    assert 400 < drawn.sum() < 700
    assert (shown(segmented)[20:25, 66:80] <= before.max()).all()
    check_step(segmented, before)


def test_painting_out_of_a_cell_extends_it_in_one_step(segmented):
    before = segmented.labels.data.copy()
    segmented.labels.brush_size = 6
    label = shown(segmented)[CENTRE]
    use(segmented, "grow", CENTRE, (30, 85), (30, 95), (30, 110))
    assert (shown(segmented)[30, 70:99] == label).all()
    assert shown(segmented)[30, 110] != label
    assert not shown(segmented)[25, 90]
    check_step(segmented, before)


def test_painting_into_a_cell_shaves_it(segmented):
    before = segmented.labels.data.copy()
    segmented.labels.brush_size = 10
    use(segmented, "grow", (30, 50), (30, 62), (30, 66))
    assert not shown(segmented)[30, 50:70].any()
    assert shown(segmented)[30, 75] == shown(segmented)[21, 61] != 0
    check_step(segmented, before)


def test_a_click_fills_the_holes_of_a_cell(segmented):
    data = segmented.labels.data
    plane = shown(segmented)
    rows, columns = np.mgrid[28:32, 68:72]
    index = (rows.ravel(), columns.ravel())
    if data.ndim > 2:
        index = (np.full(rows.size, segmented.viewer.dims.current_step[0]), *index)
    whole = cell_at(segmented, *CENTRE).copy()
    segmented.labels.data_setitem(index, 0)
    holed = data.copy()
    use(segmented, "fill_holes", (22, 62))
    np.testing.assert_array_equal(plane == plane[22, 62], whole)
    undo(segmented)
    np.testing.assert_array_equal(data, holed)
    redo(segmented)
    np.testing.assert_array_equal(plane == plane[22, 62], whole)


def test_a_click_smooths_an_outline(segmented):
    before = segmented.labels.data.copy()
    use(segmented, "smooth", CENTRE)
    assert shown(segmented)[20, 60] == 0
    assert shown(segmented)[30, 61] == shown(segmented)[CENTRE]
    check_step(segmented, before)


def test_the_key_again_deletes_what_is_under_the_pointer(segmented):
    before = segmented.labels.data.copy()
    press_over(segmented, "delete", CENTRE)
    assert shown(segmented)[CENTRE] == 0
    assert np.count_nonzero(segmented.labels.data != before) == 400
    check_step(segmented, before)
    for point in ((30, 110), (30, 150)):
        segmented.hands.point(segmented.labels, point)
        segmented.hands.press(KEYS["delete"])
    assert not shown(segmented)[20:40, 60:160].any()
    assert segmented.panel.step2.tools["delete"].isChecked()
    undo(segmented)
    assert shown(segmented)[30, 110] == 0 != shown(segmented)[30, 150]


@pytest.mark.parametrize("name", ["delete", "accept"])
def test_the_first_press_of_a_key_acts_on_the_cell_under_the_pointer(opened, name):
    opened.hands.point(opened.labels, CENTRE)
    opened.hands.press(KEYS[name])
    assert opened.panel.step2.tools[name].isChecked()
    if name == "delete":
        assert not opened.labels.data[CENTRE]
    else:
        assert opened.review.marked[CENTRE]
    assert opened.labels.data[30, 110]


def test_the_first_press_only_takes_up_what_draws_or_is_over_no_cell(opened):
    before = opened.labels.data.copy()
    opened.hands.point(opened.labels, (10, 10))
    opened.hands.press(KEYS["delete"])
    assert opened.panel.step2.hint.text() == TOOLS[2].hint
    opened.hands.point(opened.labels, CENTRE)
    opened.hands.press(KEYS["draw"])
    assert opened.panel.step2.tools["draw"].isChecked()
    np.testing.assert_array_equal(opened.labels.data, before)


def test_accepting_again_never_takes_that_back(opened):
    press_over(opened, "accept", CENTRE, CENTRE)
    assert opened.review.marked[CENTRE]
    assert opened.panel.step2.hint.text() == "Already accepted."
    undo(opened)
    assert not opened.review.marked.any(), "the second press is no step"


def test_a_key_held_down_does_nothing_more(opened):
    press_over(opened, "accept", CENTRE)
    marked = opened.review.marked.copy()
    assert marked[CENTRE]
    repeated = QKeyEvent(QEvent.Type.KeyPress, KEYS["accept"], Qt.KeyboardModifier.NoModifier, "a", True)
    for _ in range(3):
        QApplication.sendEvent(opened.hands.canvas, repeated)
    np.testing.assert_array_equal(opened.review.marked, marked)


def test_the_key_means_what_is_under_the_pointer_when_the_view_has_moved(opened):
    before, camera = opened.labels.data.copy(), opened.viewer.scene.camera
    opened.hands.take_up(KEYS["delete"])
    opened.hands.point(opened.labels, (30, 110))
    rows, columns = np.array(camera.center)[-2:]
    camera.center = (rows, columns - 40)
    opened.qtbot.wait(50)
    opened.hands.press(KEYS["delete"])
    assert opened.labels.data[30, 70] == 0
    assert opened.labels.data[30, 110] == before[30, 110] != 0


def test_the_key_does_nothing_where_the_pointer_is_not_over_the_image(opened):
    before, step = opened.labels.data.copy(), opened.panel.step2
    opened.hands.take_up(KEYS["delete"])
    opened.hands.point(opened.labels, CENTRE)
    QTest.mouseMove(step.tools["delete"])
    opened.hands.press(KEYS["delete"])
    np.testing.assert_array_equal(opened.labels.data, before)
    assert step.hint.text() == "Move the pointer over a cell, then press D."
    assert step.tools["delete"].isChecked()
    opened.hands.point(opened.labels, (5, 5))
    opened.hands.press(KEYS["delete"])
    np.testing.assert_array_equal(opened.labels.data, before)
    assert step.hint.text() == "There is no cell."


def test_one_key_splits_a_cell_at_its_neck_and_one_joins_the_pieces(opened):
    labels = opened.labels
    rows, columns = np.mgrid[28:32, 80:100]
    labels.data_setitem((rows.ravel(), columns.ravel()), labels.data[30, 70])
    labels.data_setitem(np.nonzero(cell_at(opened, 30, 110)), labels.data[30, 70])
    before = labels.data.copy()
    press_over(opened, "split", CENTRE)
    assert labels.data[30, 62] != labels.data[30, 118]
    press_over(opened, "merge", CENTRE)
    np.testing.assert_array_equal(labels.data != 0, before != 0)
    assert labels.data[30, 62] == labels.data[30, 118]
    undo(opened)
    assert labels.data[30, 62] != labels.data[30, 118]


def test_a_piece_without_a_neighbour_is_not_joined(opened):
    before = opened.labels.data.copy()
    press_over(opened, "merge", CENTRE)
    np.testing.assert_array_equal(opened.labels.data, before)
    assert "no cell with a neighbour" in opened.panel.step2.hint.text()


@pytest.mark.parametrize("by", ["key", "click"])
def test_a_cell_is_drawn_where_the_image_shows_one(segmented, by):
    cell = cell_at(segmented, *CENTRE).copy()
    use(segmented, "delete", CENTRE)
    segmented.settle()
    gone, ids = segmented.labels.data.copy(), set(np.unique(segmented.labels.data))
    (press_over if by == "key" else use)(segmented, "draw", (28, 68))
    drawn = segmented.labels.data != gone
    assert not set(np.unique(segmented.labels.data[drawn])) & ids
    assert drawn.sum() == (shown(segmented) != 0)[15:45, 55:85].sum()
    assert np.count_nonzero(cell_at(segmented, *CENTRE) & cell) > 0.9 * np.count_nonzero(
        cell_at(segmented, *CENTRE) | cell
    )
    undo(segmented)
    np.testing.assert_array_equal(segmented.labels.data, gone)


def test_a_cell_is_outlined_anew_from_the_channel_that_is_looked_at(window):
    data = np.zeros((2, 3, 200, 240), np.uint8)
    data[1, 2, 60:80, 60:80], data[1, 2, 60:80, 120:140] = 200, 200
    data[0] = 40  # another channel, of which nothing is to be read
    window.add_image(data, axis_labels=("c", "z", "y", "x"))
    window.panel.step1.scope.setCurrentIndex(1)
    window.panel.step1.channel.setCurrentIndex(1)
    labels = window.segment()
    window.viewer.dims.set_current_step(window.viewer.dims.ndim - 3, 2)
    label = labels.data[2, 70, 70]
    labels.data_setitem(np.nonzero((labels.data == label) & (np.indices(labels.data.shape)[2] > 70)), 0)
    wrong = labels.data.copy()
    press_over(window, "draw", (70, 65))
    assert (labels.data[2, 62:78, 62:78] == label).all()
    assert not labels.data[:2].any()
    undo(window)
    np.testing.assert_array_equal(labels.data, wrong)


def test_an_accepted_cell_is_reviewed_with_its_rim(segmented):
    step, before = segmented.panel.step2, segmented.labels.data.copy()
    cell = cell_at(segmented, *CENTRE)
    expected = np.zeros(before.shape, bool)
    where = (2,) if before.ndim > 2 else ()
    expected[where] = ndimage.distance_transform_edt(~cell) <= 3
    use(segmented, "accept", CENTRE)
    np.testing.assert_array_equal(segmented.review.marked, expected)
    np.testing.assert_array_equal(segmented.labels.data, before)
    segmented.wait(lambda: np.array_equal(segmented.on_disk().marked, expected))
    segmented.settle()
    accepted = 0 if before.ndim > 2 else 1  # of a cell in four planes, one plane is not enough
    assert step.counts.text().startswith(f"0 corrected, {accepted} accepted of ")
    assert step.show_reviewed.isChecked()
    assert segmented.panel.canvas.overlay.layer.data[expected].all()
    undo(segmented)
    assert not segmented.review.marked.any()
    redo(segmented)
    np.testing.assert_array_equal(segmented.review.marked, expected)
    segmented.hands.drag(segmented.labels, [CENTRE])
    np.testing.assert_array_equal(segmented.review.marked, expected)
    place = segmented.hands.locate(segmented.labels, CENTRE)
    QTest.mouseClick(
        segmented.hands.canvas, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ShiftModifier, place
    )
    assert not segmented.review.marked.any()
    segmented.wait(lambda: not segmented.on_disk().marked.any())


def test_undo_goes_back_over_strokes_tools_and_marks_in_their_order(opened):
    states = []

    def note():
        opened.panel.canvas.watch.flush()
        states.append((opened.labels.data.copy(), opened.review.marked.copy()))

    note()
    for act in (
        lambda: opened.paint((10, 60), (10, 100)),
        lambda: use(opened, "accept", (70, 70)),
        lambda: use(opened, "delete", (70, 110)),
        lambda: opened.hands.click(opened.panel.step2.mark),
        lambda: use(opened, "split", (95, 70), (125, 70)),
        lambda: opened.hands.click(opened.panel.step2.unmark),
    ):
        act()
        note()
    for back in (undo, redo, undo):
        ordered = states[-2::-1] if back is undo else states[1:]
        for labels, marked in ordered:
            back(opened)
            opened.panel.canvas.watch.flush()
            np.testing.assert_array_equal(opened.labels.data, labels)
            np.testing.assert_array_equal(opened.review.marked, marked)
    undo(opened)  # nothing is left
    use(opened, "delete", (150, 110))
    redo(opened)  # nothing is left either
    assert opened.labels.data[150, 110] == 0
    assert not opened.review.marked.any()


def test_a_new_prediction_ends_what_can_be_undone(opened):
    use(opened, "accept", CENTRE)
    use(opened, "delete", (70, 110))
    opened.segment()
    labels, marked = opened.labels.data.copy(), opened.review.marked.copy()
    undo(opened)
    undo(opened)
    np.testing.assert_array_equal(opened.labels.data, labels)
    np.testing.assert_array_equal(opened.review.marked, marked)
    assert opened.panel.step2.tools["delete"].isChecked(), "the tool stays in the hand"
    opened.hands.drag(opened.labels, [(70, 150)])
    assert opened.labels.data[70, 150] == 0
    undo(opened)
    assert opened.labels.data[70, 150] != 0


def test_an_armed_tool_shows_and_says_what_to_do(opened):
    step = opened.panel.step2
    napari_tools = step.hint.text()
    for tool in TOOLS:
        button = step.tools[tool.name]
        assert tool.key in button.text().split()
        assert f"key {tool.key}" in button.toolTip()
        opened.hands.click(button)
        assert [name for name, other in step.tools.items() if other.isChecked()] == [tool.name]
        assert step.hint.text() == tool.hint
    opened.hands.click(button)
    assert not button.isChecked()
    assert step.hint.text() == napari_tools
    assert opened.labels.mouse_pan


def test_the_tools_fit_in_a_narrow_dock(opened):
    steps = opened.panel.step2.parentWidget()
    dock = opened.panel.parent()
    opened.viewer.window._qt_window.resizeDocks([dock], [1], Qt.Orientation.Horizontal)
    opened.wait(lambda: opened.panel.width() == opened.panel.minimumSizeHint().width())
    assert steps.width() <= steps.parentWidget().width()
    heights = set()
    for tool in TOOLS:
        opened.hands.click(opened.panel.step2.tools[tool.name])
        opened.qtbot.wait(20)
        heights.add(opened.panel.step2.height())
    assert len(heights) == 1, "the buttons jump under the mouse"


@pytest.mark.parametrize("way", ["Escape", "paint", "pan", "image", "button"])
def test_a_tool_is_put_away(opened, way):
    before, step = opened.labels.data.copy(), opened.panel.step2
    opened.hands.take_up(KEYS["delete"])
    assert step.tools["delete"].isChecked()
    if way == "image":
        opened.viewer.layers.selection.active = opened.viewer.layers["plate"]
    elif way == "button":
        opened.hands.click(step.tools["delete"])
    else:
        named = {"Escape": Qt.Key.Key_Escape, "paint": Qt.Key.Key_2, "pan": Qt.Key.Key_6}
        opened.hands.press(named[way])
    opened.wait(lambda: not any(button.isChecked() for button in step.tools.values()))
    opened.viewer.layers.selection.active = opened.labels
    assert opened.labels.mouse_pan == (way != "paint")
    opened.hands.press(Qt.Key.Key_6)
    opened.hands.drag(opened.labels, [CENTRE])
    np.testing.assert_array_equal(opened.labels.data, before)


def test_the_view_moves_while_space_is_held(opened):
    before, camera = opened.labels.data.copy(), opened.viewer.scene.camera
    opened.hands.take_up(KEYS["delete"])
    centre = camera.center
    QTest.keyPress(opened.hands.canvas, Qt.Key.Key_Space)
    opened.hands.drag(opened.labels, [(30, 70), (40, 90), (60, 110)])
    QTest.keyRelease(opened.hands.canvas, Qt.Key.Key_Space)
    assert camera.center != centre
    np.testing.assert_array_equal(opened.labels.data, before)
    centre = camera.center
    opened.hands.drag(opened.labels, [CENTRE, (30, 110)])
    assert camera.center == centre
    assert opened.labels.data[CENTRE] == 0


def test_the_line_is_shown_while_it_is_drawn(opened):
    hands, labels = opened.hands, opened.labels
    opened.hands.take_up(KEYS["split"])
    places = [hands.locate(labels, point) for point in ((15, 70), (30, 70), (45, 70))]
    QTest.mousePress(hands.canvas, Qt.MouseButton.LeftButton, pos=places[0])
    for place in places[1:]:
        QTest.qWait(20)
        QTest.mouseMove(hands.canvas, place)
    (preview,) = hands.canvas.findChildren(StrokePreview)
    assert preview.isVisible()
    picture = opened.viewer.window._qt_window.grab().toImage()
    spot = hands.canvas.mapTo(opened.viewer.window._qt_window, places[1])
    assert picture.pixelColor(spot).lightness() > 200
    QTest.mouseRelease(hands.canvas, Qt.MouseButton.LeftButton, pos=places[-1])
    opened.wait(lambda: not hands.canvas.findChildren(StrokePreview))


@pytest.mark.parametrize("name", [tool.name for tool in TOOLS])
def test_a_click_on_nothing_changes_nothing_and_says_so(opened, name):
    before = opened.labels.data.copy()
    use(opened, name, (10, 10))
    np.testing.assert_array_equal(opened.labels.data, before)
    assert not opened.review.marked.any()
    assert opened.panel.step2.hint.text()
    assert opened.panel.step2.tools[name].isChecked()
    opened.hands.drag(opened.labels, [(-20, -20), (-10, 30)])
    np.testing.assert_array_equal(opened.labels.data, before)


def test_in_3d_a_tool_says_what_to_do(window, stack):
    window.add_image(stack)
    window.panel.step1.scope.setCurrentIndex(1)
    labels = window.segment()
    before = labels.data.copy()
    window.viewer.dims.ndisplay = 3
    use(window, "delete", CENTRE)
    np.testing.assert_array_equal(labels.data, before)
    assert "2D" in window.panel.step2.hint.text()


def test_the_channels_of_a_stack_and_its_scale_do_not_confuse_the_tools(window):
    data = np.stack([np.zeros((200, 240), np.uint8)] * 6).reshape(3, 2, 200, 240)
    data[:, 1, 60:80, 60:80] = 200
    window.add_image(data, scale=(3, 1, 0.5, 0.5), translate=(1, 0, 5, -7), axis_labels=("z", "c", "y", "x"))
    window.panel.step1.scope.setCurrentIndex(1)
    window.panel.step1.channel.setCurrentIndex(1)
    labels = window.segment()
    assert labels.data.shape == (3, 1, 200, 240)
    window.viewer.dims.set_current_step(0, 1)
    use(window, "delete", (70, 70))
    assert [bool(plane.any()) for plane in labels.data] == [True, False, True]
    window.viewer.dims.set_current_step(0, 2)
    window.hands.take_up(KEYS["accept"])
    window.hands.drag(labels, [(70, 70)])
    assert [bool(plane.any()) for plane in window.review.marked] == [False, False, True]
    window.wait(lambda: window.on_disk().marked.any())


def test_a_split_takes_no_id_that_the_prediction_had(opened):
    highest = opened.labels.data.max()
    rows, columns = np.nonzero(opened.labels.data == highest)
    use(opened, "delete", (rows.mean(), columns.mean()))
    use(opened, "split", (15, 70), (45, 70))
    assert set(np.unique(opened.labels.data[20:40, 60:80])) - {highest + 1} == {opened.labels.data[30, 62]}
    assert (opened.labels.data == highest + 1).any()


def test_ids_stay_free_when_a_new_prediction_comes(opened):
    use(opened, "split", (15, 70), (45, 70))
    opened.use_model("worse")  # it finds a cell more
    opened.segment()
    before = opened.labels.data.copy()
    opened.hands.drag(opened.labels, [(55, 70), (85, 70)])
    changed = opened.labels.data != before
    assert changed.any()
    assert not np.isin(opened.labels.data[changed], np.unique(before)).any()


def test_the_tools_leave_napari_its_keys_when_the_panel_goes(opened, qtbot):
    labels, viewer = opened.labels, opened.viewer
    opened.hands.take_up(KEYS["delete"])
    bound = set(labels.keymap)
    viewer.window.remove_dock_widget(opened.panel)
    opened.panel = None
    qtbot.waitUntil(lambda: not labels.keymap)
    assert bound
    assert labels.mouse_pan
    assert not [
        call for call in labels.mouse_drag_callbacks if "ToolBox" in getattr(call, "__qualname__", "")
    ]
