import numpy as np
import pytest

from napari_unet.ui.canvas.layers import METADATA


def test_the_labels_lie_over_the_image_and_say_whose_they_are(window, cells):
    image = window.add_image(
        cells, scale=(0.5, 0.5), translate=(3, 4), units=("um", "um"), axis_labels=("y", "x"), rotate=10
    )
    labels = window.segment()
    assert labels.data.dtype == np.int32
    assert labels.name == "plate cells"
    assert labels.metadata[METADATA] == {"image": window.panel.canvas.image.key}
    np.testing.assert_allclose(labels.affine.affine_matrix, image.affine.affine_matrix)
    np.testing.assert_allclose(
        labels.data_to_world((30.0, 50.0)), image.data_to_world((30.0, 50.0)), rtol=1e-6
    )
    assert labels.units == image.units
    assert labels.axis_labels == image.axis_labels
    assert len(labels.features) == 30
    assert labels.features["area_um2"].iloc[0] == pytest.approx(100)
    assert "30 cells" in window.panel.run_bar.status.text()


def test_a_plane_of_a_stack(window, stack):
    window.add_image(stack)
    assert window.panel.step1.scope.isVisible()
    window.viewer.dims.set_current_step(0, 2)
    labels = window.segment()
    found = [bool(plane.any()) for plane in labels.data]
    assert found == [False, False, True, False]


@pytest.mark.parametrize(
    ("axis", "parts"), [("z", ("This plane", "Whole stack")), ("t", ("This frame", "All frames"))]
)
def test_the_parts_of_an_image_have_the_words_of_its_axis(window, stack, axis, parts):
    window.add_image(stack, axis_labels=(axis, "y", "x"))
    scope = window.panel.step1.scope
    window.wait(lambda: scope.count() == 3)
    assert tuple(scope.itemText(row) for row in range(2)) == parts


def test_a_cell_has_one_number_in_all_planes_of_a_stack(window, stack):
    window.add_image(stack)
    window.panel.step1.scope.setCurrentIndex(1)
    labels = window.segment()
    assert len(np.unique(labels.data)) == 1 + 30


def test_the_network_looks_more_often_where_that_is_ticked(window, cells):
    window.add_image(cells)
    said, step1 = window.panel.run_bar.status.text, window.panel.step1
    window.segment()
    assert "Looked" not in said()
    window.hands.click(step1.careful)
    window.segment()
    assert "Looked 8 times." in said()
    step1.scope.setCurrentIndex(1)
    window.segment()
    assert "in view" in said()
    assert "Looked 8 times." in said()
    window.paint((10, 60), (10, 100))
    window.wait(lambda: window.panel.step3.fine_tune.isEnabled())
    trial = window.fine_tune()
    assert len(trial.result.asked.next_planes) == 8  # the time is planned for
    window.hands.click(step1.careful)
    window.segment()
    assert "Looked" not in said()


def test_channels_are_asked_for_where_there_are_any(window, cells):
    window.add_image(cells)
    assert not window.panel.step1.channel.isVisible()
    window.add_image(np.stack([cells, cells // 100], axis=0), axis_labels=("c", "y", "x"), name="two")
    window.wait(lambda: window.panel.step1.channel.isVisible())
    window.panel.step1.channel.setCurrentIndex(1)
    assert window.segment().data.max() == 0
    window.panel.step1.channel.setCurrentIndex(0)
    assert window.segment().data.max() == 30


def test_labels_of_a_channel_stack_show_at_every_channel(window, stack):
    data = np.stack([stack, stack], axis=1)
    window.add_image(data, axis_labels=("z", "c", "y", "x"))
    window.panel.step1.scope.setCurrentIndex(1)
    labels = window.segment()
    for channel in (0, 1):
        window.viewer.dims.set_current_step(1, channel)
        assert labels.get_value((1, channel, 30, 30), world=True)


def test_colours_are_offered_as_channels(window, cells):
    window.add_image(np.stack([cells] * 3, axis=-1), rgb=True)
    channel = window.panel.step1.channel
    assert [channel.itemText(row) for row in range(channel.count())] == [
        "Grey (all colours)",
        "Red",
        "Green",
        "Blue",
        "Several…",
    ]
    assert window.segment().data.shape == cells.shape


def test_segmenting_again_keeps_what_was_reviewed_and_undo_cannot_corrupt_it(window, cells):
    window.add_image(cells)
    first = window.segment()
    window.paint((10, 60), (10, 100))
    window.wait(lambda: window.panel.canvas.image.counts.changed_cells == 1)
    painted = first.data.copy()
    second = window.segment()
    assert [layer.name for layer in window.viewer.layers] == ["plate", "plate cells"]
    assert second.mode == "paint"
    np.testing.assert_array_equal(second.data, painted)
    # There is no history that could bring the old prediction back.
    second.undo()
    np.testing.assert_array_equal(second.data, painted)
    window.paint((10, 140), (10, 180))
    second.undo()
    np.testing.assert_array_equal(second.data, painted)


def test_a_killed_worker_is_told_and_the_next_press_works(window, cells):
    window.add_image(cells)
    window.use_model("deadly")
    window.hands.click(window.panel.step1.segment)
    window.wait(lambda: window.panel.session.run is None)
    window.settle()
    status = window.panel.run_bar.status
    assert "stopped unexpectedly" in status.text()
    assert status.property("error")
    window.use_model("nuclei")
    assert window.segment().data.max() == 30
    assert not status.property("error")


@pytest.mark.parametrize(("model", "sentence"), [("refusing", "constant"), ("failing", "did not expect")])
def test_an_error_is_one_sentence_and_nothing_is_lost(window, cells, model, sentence, caplog):
    window.add_image(cells)
    labels = window.segment()
    window.paint((10, 60), (10, 100))
    window.use_model(model)
    window.hands.click(window.panel.step1.segment)
    window.wait(lambda: window.panel.session.run is None)
    window.settle()
    text = window.panel.run_bar.status.text()
    assert sentence in text
    assert "Traceback" not in text
    assert window.labels is labels
    assert labels.data[10, 80] == 77


def test_cancel_stops_the_run(window, cells):
    window.add_image(cells)
    window.use_model("patient")
    assert not window.panel.run_bar.cancel.isVisible()
    window.hands.click(window.panel.step1.segment)
    window.wait(lambda: window.panel.run_bar.status.text() == "waiting")
    window.hands.click(window.panel.run_bar.cancel)
    window.wait(lambda: window.panel.session.run is None)
    window.settle()
    assert "Stopped" in window.panel.run_bar.status.text()
    assert window.panel.step1.segment.isEnabled()
    assert len(window.viewer.layers) == 1


def test_an_image_that_is_none_is_refused_in_words(window):
    window.viewer.add_image(np.zeros((2, 2, 2, 2, 2, 2), np.uint8))
    window.wait(lambda: window.panel.session.is_error)
    window.settle()
    assert "6 axes" in window.panel.run_bar.status.text()


def test_keys_press_the_buttons(window, cells):
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest

    window.add_image(cells)
    window.hands.canvas.setFocus()
    QTest.keyClick(window.hands.canvas, Qt.Key.Key_S, Qt.KeyboardModifier.ShiftModifier)
    window.wait(lambda: window.panel.canvas.image.counts is not None)
    QTest.keyClick(window.hands.canvas, Qt.Key.Key_R, Qt.KeyboardModifier.ShiftModifier)
    window.wait(lambda: window.panel.canvas.image.counts.reviewed_pixels == cells.size)


def test_the_combo_follows_the_layer_list(window, cells):
    first = window.add_image(cells)
    second = window.add_image(cells + 1, name="other")
    assert window.panel.canvas.layer is second
    window.viewer.layers.selection.active = first
    assert window.panel.canvas.layer is first
    first.name = "renamed"
    assert window.panel.step1.image.currentText() == "renamed"
    window.viewer.layers.remove(first)
    assert window.panel.canvas.layer is second
    window.viewer.layers.clear()
    window.settle()
    assert window.panel.canvas.layer is None
    assert "open an image" in window.panel.run_bar.hint.text()
    assert not window.panel.step1.segment.isEnabled()
