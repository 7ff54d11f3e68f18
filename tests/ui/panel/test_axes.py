"""What an image is taken for, and how the user says otherwise, by keys."""

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QLabel, QLineEdit, QListWidget


@pytest.fixture
def field(window):
    return window.panel.findChild(QLineEdit, "axes")


@pytest.fixture
def words(window):
    return window.panel.findChild(QLabel, "image_words")


@pytest.fixture
def channels(window):
    return window.panel.findChild(QListWidget, "channels")


def type_in(window, field, text):
    """Put `text` in the place of what is in the field, key by key."""
    field.setFocus()
    field.selectAll()
    QTest.keyClicks(field, text)
    window.wait(lambda: window.panel.canvas.image is not None)
    window.settle()


def tick(window, channels, row):
    channels.setCurrentRow(row)
    channels.setFocus()
    QTest.keyClick(channels, Qt.Key.Key_Space)
    window.settle()


def test_before_any_run_the_panel_says_what_the_image_is_taken_for(window, stack, field, words):
    assert not field.isVisible()
    data = np.stack([stack] * 3, 1)
    window.add_image(
        data,
        axis_labels=("t", "c", "y", "x"),
        scale=(1, 1, 0.65, 0.65),
        units=("pixel", "pixel", "um", "um"),
    )
    assert field.text() == "TCYX"
    assert words.text() == "4 frames, channel 1 of 3, 240 x 200 px, 0.65 µm per px"
    window.panel.step1.channel.setCurrentIndex(1)
    window.wait(lambda: "channel 2 of 3" in words.text())
    window.add_image(stack[0], name="plane")
    assert (field.text(), words.text()) == ("YX", "240 x 200 px")
    window.viewer.layers.clear()
    window.settle()
    assert not field.isVisible()


def test_axes_that_are_typed_are_used_and_remembered(window, stack, field, words, project):
    layer = window.add_image(stack)
    assert words.text().startswith("4 planes")
    type_in(window, field, "cyx")
    assert field.text() == "CYX"
    assert words.text() == "channel 1 of 4, 240 x 200 px"
    labels = window.segment()
    assert labels.data.shape == (200, 240)
    assert labels.get_value((2, 30, 30), world=True)
    window.viewer.layers.remove(labels)
    window.viewer.layers.remove(layer)
    window.settle()
    window.add_image(stack)
    window.settle()
    assert field.text() == "CYX"
    assert window.labels.data.shape == (200, 240)


def test_wrong_axes_are_marked_and_explained_and_those_before_stay(window, stack, field, words):
    window.add_image(stack)
    segment = window.panel.step1.segment
    for text, reason in (
        ("YX", "name 2 axes, but the image has 3"),
        ("ZZX", "twice"),
        ("QYX", "unknown"),
        ("YXZ", "do not end with YX"),
        ("YXS", "use C"),
    ):
        type_in(window, field, text)
        assert reason in words.text()
        assert field.property("error")
        assert words.property("error")
        assert not segment.isEnabled()
        QTest.keyClick(window.hands.canvas, Qt.Key.Key_S, Qt.KeyboardModifier.ShiftModifier)
        assert window.panel.session.run is None
        assert window.panel.canvas.image.grid.axes == "ZYX"
    field.clearFocus()
    window.settle()
    assert field.text() == "YXS"
    type_in(window, field, "TYX")
    assert not field.property("error")
    assert words.text() == "4 frames, 240 x 200 px"
    assert segment.isEnabled()
    assert "Segment" in window.panel.run_bar.hint.text()


def test_a_wrong_text_is_of_its_image_only(window, stack, cells, field):
    window.add_image(stack)
    type_in(window, field, "QYX")
    field.clearFocus()
    window.add_image(cells, name="other")
    window.settle()
    assert field.text() == "YX"
    assert window.panel.step1.segment.isEnabled()


@pytest.mark.parametrize("way", ["escape", "empty"])
def test_escape_or_nothing_goes_back_to_the_guess(window, stack, field, words, way):
    window.add_image(stack)
    type_in(window, field, "TYX")
    assert words.text().startswith("4 frames")
    type_in(window, field, "TY")
    if way == "escape":
        QTest.keyClick(field, Qt.Key.Key_Escape)
    else:
        field.selectAll()
        QTest.keyClick(field, Qt.Key.Key_Backspace)
        assert field.text() == ""
        assert field.placeholderText() == "ZYX"
        QTest.keyClick(field, Qt.Key.Key_Return)
    window.settle()
    assert field.text() == "ZYX"
    assert words.text() == "4 planes, 240 x 200 px"
    assert not field.property("error")
    window.wait(lambda: window.panel.canvas.image.record.context["axes"] == "ZYX")


def test_corrections_of_other_axes_are_put_away_and_come_back(window, stack, field):
    window.add_image(stack)
    window.segment()
    window.paint((10, 60), (10, 100))
    window.wait(lambda: window.panel.canvas.image.counts.changed_cells == 1)
    window.settle()
    painted = window.labels.data.copy()
    type_in(window, field, "CYX")
    window.wait(lambda: window.panel.canvas.image is not None)
    window.settle()
    assert "corrections are kept with the axes ZYX" in window.panel.run_bar.status.text()
    window.wait(lambda: [layer.name for layer in window.viewer.layers] == ["plate"])
    assert window.segment().data.shape == (200, 240)
    QTest.keyClick(field, Qt.Key.Key_Escape)
    canvas = window.panel.canvas
    window.wait(lambda: canvas.image is not None and canvas.image.review is not None)
    window.settle()
    np.testing.assert_array_equal(window.labels.data, painted)
    assert window.panel.canvas.image.counts.changed_cells == 1
    window.wait(lambda: [layer.name for layer in window.viewer.layers] == ["plate", "plate cells"])


def test_depth_or_time_is_another_word_for_the_same_labels(window, stack, field):
    window.add_image(stack)
    labels = window.segment()
    window.paint((10, 60), (10, 100))
    window.wait(lambda: window.panel.canvas.image.counts.changed_cells == 1)
    type_in(window, field, "TYX")
    assert window.labels is labels
    assert (labels.data == 77).any()
    assert window.panel.canvas.image.record.context["axes"] == "TYX"


def test_the_field_is_closed_while_the_image_is_segmented(window, cells, field):
    window.add_image(cells)
    window.use_model("patient")
    window.hands.click(window.panel.step1.segment)
    window.wait(lambda: window.panel.run_bar.status.text() == "waiting")
    assert not field.isEnabled()
    window.hands.click(window.panel.run_bar.cancel)
    window.wait(lambda: window.panel.session.run is None)
    window.settle()
    assert field.isEnabled()


def test_colours_stay_last_where_they_are_shown_as_colours(window, cells, field, words):
    window.add_image(np.stack([cells] * 3, axis=-1), rgb=True)
    assert (field.text(), words.text()) == ("YXS", "colour, 240 x 200 px")
    type_in(window, field, "ZYX")
    assert "do not end with YXS" in words.text()


def test_several_channels_are_combined(window, cells, channels, words):
    one, other, none = cells.copy(), cells.copy(), np.zeros_like(cells)
    one[:, :120], other[:, 120:] = 10, 10
    window.add_image(np.stack([one, other, none + 10]), axis_labels=("c", "y", "x"))
    channel = window.panel.step1.channel
    assert not channels.isVisible()
    channel.setCurrentIndex(channel.findText("Several…"))
    window.settle()
    assert channels.isVisible()
    assert "channels 1, 2 and 3 of 3" in words.text()
    tick(window, channels, 2)
    assert "channels 1 and 2 of 3" in words.text()
    window.segment()
    assert list(window.panel.canvas.image.record.context["channel"]) == [0, 1]
    tick(window, channels, 0)
    tick(window, channels, 1)
    window.wait(lambda: "channel 2 of 3" in words.text())  # the last tick stays


def test_channels_have_the_names_that_the_file_gives_them(window, cells, tmp_path, words):
    path = tmp_path / "stained.ome.tif"
    metadata = {
        "axes": "CYX",
        "Channel": {"Name": ["DAPI", "actin"]},
        "PhysicalSizeX": 0.5,
        "PhysicalSizeY": 0.5,
    }
    tifffile.imwrite(path, np.stack([cells, cells]), ome=True, metadata=metadata)
    window.viewer.open(path, plugin="napari")
    window.wait(lambda: window.panel.canvas.image is not None)
    window.settle()
    channel = window.panel.step1.channel
    names = [channel.itemText(row) for row in range(channel.count())]
    assert names == ["DAPI", "actin", "Several…"]
    assert words.text() == "channel 1 of 2, 240 x 200 px, 0.5 µm per px"
