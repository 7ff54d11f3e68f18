import numpy as np
from qtpy.QtCore import QPoint, Qt


def test_without_corrections_there_is_nothing_to_learn_and_the_panel_says_so(window, cells):
    button, reason = window.panel.step3.fine_tune, window.panel.step3.reason
    assert not button.isEnabled()
    assert "Segment" in reason.text()
    window.add_image(cells)
    window.segment()
    assert not button.isEnabled()
    assert "Correct some cells" in reason.text()
    window.hands.click(window.panel.step2.mark)
    window.wait(button.isEnabled)
    assert not reason.isVisible()
    window.hands.click(window.panel.step2.unmark)
    window.wait(lambda: not button.isEnabled())


def test_the_new_model_relabels_what_was_not_reviewed(corrected):
    before = corrected.labels.data.copy()
    trial = corrected.fine_tune()
    after = corrected.labels.data
    assert (after[:4, :4] > 0).all()
    np.testing.assert_array_equal(after[5:], before[5:])
    assert trial.model.stem == "nuclei-1"
    table = corrected.panel.step3.scores
    corrected.wait(table.isVisible)
    assert [table.item(0, column).text() for column in (1, 2)] == ["0.50", "0.90"]
    missed = next(row for row in range(table.rowCount()) if table.item(row, 0).text() == "Missed cells")
    assert all(table.item(missed, column).text().isdigit() for column in (1, 2))
    assert corrected.panel.step2.counts.text().startswith("1 corrected, 0 accepted of ")
    assert len(corrected.panel.step3.plot.points) > 1
    assert corrected.panel.step3.plot.scores[-1] == (20, 1.0)
    corrected.wait(corrected.panel.step3.known.isVisible)  # measured once the labels are there
    said = corrected.panel.step3.known.text()
    assert "AP 0.93 → 0.92" in said
    assert "The old model stays in your list" in said
    assert "better" in corrected.panel.run_bar.status.text()
    assert "Keep or Roll back" in corrected.panel.run_bar.hint.text()


def test_keep_makes_it_the_model_in_use(corrected, project):
    corrected.fine_tune()
    corrected.hands.click(corrected.panel.step3.keep)
    corrected.settle()
    kept = project.models_folder / "nuclei-1.keras"
    assert kept.is_file()
    assert corrected.panel.session.model == kept
    assert corrected.panel.step1.model.currentText() == "Auto - nuclei-1"
    assert not corrected.panel.step3.keep.isVisible()
    assert (corrected.labels.data[:4, :4] > 0).all()
    assert corrected.fine_tune().model.stem == "nuclei-2"


def test_in_a_low_window_the_decision_comes_into_view(corrected):
    corrected.viewer.window._qt_window.resize(1200, 600)
    keep = corrected.panel.step3.keep
    corrected.fine_tune()
    corrected.wait(lambda: not keep.visibleRegion().isEmpty())
    assert keep.visibleRegion().boundingRect().height() == keep.height()


def test_roll_back_restores_labels_and_model_and_keeps_what_was_done_since(corrected, project):
    before = corrected.labels.data.copy()
    parent = corrected.panel.session.model
    trial = corrected.fine_tune()
    corrected.paint((90, 60), (90, 100), label=88)
    during = corrected.labels.data == 88
    corrected.hands.click(corrected.panel.step3.roll_back)
    corrected.settle()
    expected = np.where(during, 88, before)
    np.testing.assert_array_equal(corrected.labels.data, expected)
    corrected.wait(lambda: np.array_equal(corrected.on_disk().labels, expected))
    assert corrected.on_disk().changed()[10, 80]
    assert not corrected.on_disk().reviewed()[:4, :4].any()
    assert corrected.panel.session.model == parent
    assert not trial.model.exists()
    assert [entry.path.stem for entry in corrected.panel.session.models].count("nuclei-1") == 0


def test_a_worse_model_changes_nothing(corrected):
    before = corrected.labels.data.copy()
    corrected.use_model("worse")
    layer = corrected.labels
    corrected.fine_tune()
    assert corrected.labels is layer
    np.testing.assert_array_equal(layer.data, before)
    assert "worse" in corrected.panel.run_bar.status.text()
    assert corrected.panel.step3.keep.text() == "Use it anyway"
    corrected.hands.click(corrected.panel.step3.roll_back)
    corrected.settle()
    assert corrected.panel.session.trial is None
    np.testing.assert_array_equal(corrected.labels.data, before)


def pointed(window):
    """The button that the panel tells the user to press."""
    step3 = window.panel.step3
    buttons = (step3.fine_tune, step3.compare, step3.keep)
    return [button.objectName() for button in buttons if button.property("next")]


def test_a_single_corrected_cell_is_too_few_to_recommend_learning(corrected):
    hint = corrected.panel.run_bar.hint.text
    assert corrected.panel.step3.fine_tune.isEnabled(), "who insists may"
    assert hint() == (
        "Next: correct or accept 3 more cells to have something to compare, then press Fine-tune."
    )
    assert pointed(corrected) == []
    corrected.hands.click(corrected.panel.step2.mark)
    corrected.wait(lambda: pointed(corrected) == ["fine_tune"])
    assert hint() == "All of this image is reviewed. Next: press Fine-tune."


def test_what_could_not_be_measured_is_for_the_user_to_compare(corrected):
    corrected.use_model("untested")
    corrected.fine_tune()
    assert "too few corrections" in corrected.panel.run_bar.status.text()
    assert pointed(corrected) == ["compare"]
    assert not corrected.panel.step3.scores.isVisible()
    corrected.hands.click(corrected.panel.step3.fine_tune)  # who goes on without deciding has not kept it
    corrected.wait(lambda: corrected.panel.session.trial is not None and corrected.panel.session.run is None)
    assert corrected.panel.session.model.stem == "untested"


def test_where_nothing_changed_the_panel_says_so_and_does_not_recommend_to_keep_it(corrected):
    corrected.use_model("unchanged")
    corrected.fine_tune()
    assert "Nothing changed" in corrected.panel.run_bar.status.text()
    assert pointed(corrected) == []


def test_corrections_that_seem_wrong_can_be_learnt_from_anyway(corrected):
    corrected.use_model("doubting")
    step3, session = corrected.panel.step3, corrected.panel.session
    assert not step3.anyway.isVisible()
    corrected.hands.click(step3.fine_tune)
    corrected.wait(lambda: session.run is None)
    corrected.settle()
    assert session.trial is None
    assert "in plate do not lie on edges" in corrected.panel.run_bar.status.text()
    assert step3.anyway.isVisible()
    corrected.hands.click(step3.anyway)
    corrected.wait(lambda: session.trial is not None and session.run is None)
    corrected.settle()
    assert session.trial.accepted
    assert not step3.anyway.isVisible()


def test_cancelling_the_learning_changes_nothing(corrected):
    before = corrected.labels.data.copy()
    corrected.use_model("patient")
    corrected.hands.click(corrected.panel.step3.fine_tune)
    corrected.wait(lambda: corrected.panel.run_bar.status.text() == "waiting")
    corrected.hands.click(corrected.panel.run_bar.cancel)
    corrected.wait(lambda: corrected.panel.session.run is None)
    assert corrected.panel.session.trial is None
    np.testing.assert_array_equal(corrected.labels.data, before)


def test_corrections_of_earlier_images_teach_too(corrected, tmp_path):
    import tifffile

    path = tmp_path / "earlier.tif"
    other = np.flipud(corrected.panel.canvas.layer.data).copy()
    tifffile.imwrite(path, other)
    corrected.viewer.open(path)
    canvas = corrected.panel.canvas
    corrected.wait(lambda: canvas.image is not None and canvas.layer.name == "earlier")
    corrected.segment()
    corrected.paint((5, 60), (5, 100))
    corrected.wait(lambda: corrected.panel.canvas.image.has_corrections)
    for name in ("earlier", "earlier cells"):
        corrected.viewer.layers.remove(name)
    corrected.wait(lambda: len(corrected.panel.session.images) == 1)
    trial = corrected.fine_tune()
    assert len(trial.result.asked.corrections) == 1  # it may show other cells: the user has to tick it
    corrected.hands.click(corrected.panel.step3.roll_back)
    corrected.settle()
    tick(corrected, "earlier")
    corrected.wait(lambda: corrected.panel.step3.images.text().startswith("Learns from 2 images"))
    assert len(corrected.fine_tune().result.asked.corrections) == 2


def test_an_image_that_is_gone_is_left_out_and_that_is_said(corrected, tmp_path):
    import tifffile

    path = tmp_path / "earlier.tif"
    tifffile.imwrite(path, np.flipud(corrected.panel.canvas.layer.data).copy())
    corrected.viewer.open(path)
    canvas = corrected.panel.canvas
    corrected.wait(lambda: canvas.image is not None and canvas.layer.name == "earlier")
    corrected.segment()
    corrected.paint((5, 60), (5, 100))
    corrected.wait(lambda: corrected.panel.canvas.image.has_corrections)
    for name in ("earlier", "earlier cells"):
        corrected.viewer.layers.remove(name)
    corrected.wait(lambda: len(corrected.panel.session.images) == 1)
    corrected.wait(lambda: corrected.panel.step3.images.text().startswith("Learns from 1 of 2 images"))
    tick(corrected, "earlier")
    corrected.wait(lambda: corrected.panel.step3.images.text().startswith("Learns from 2 images"))
    path.unlink()
    assert len(corrected.fine_tune().result.asked.corrections) == 1
    assert "'earlier' is left out" in corrected.panel.run_bar.status.text()


def test_painting_goes_on_while_it_learns(corrected):
    """The stroke is made before the new labels arrive, and is in them."""
    corrected.hands.click(corrected.panel.step3.fine_tune)
    corrected.paint((90, 60), (90, 100), label=88)
    corrected.wait(lambda: corrected.panel.session.trial is not None)
    corrected.settle()
    assert corrected.labels.data[90, 80] == 88
    assert (corrected.labels.data[:4, :4] > 0).all()
    corrected.wait(lambda: corrected.on_disk().labels[90, 80] == 88)


def test_the_effort_is_one_choice_and_says_what_it_takes(corrected):
    step3 = corrected.panel.step3
    assert [step3.effort.itemText(row) for row in range(3)] == [
        "Quick - about 20 s",
        "Normal - about 1 min",
        "Thorough - about 5 min",
    ]
    corrected.wait(lambda: "steps" in step3.estimate.text())  # the worker has measured it
    assert step3.estimate.text() == "about 1 min: ~100 steps on this machine"
    step3.effort.setFocus()
    corrected.qtbot.keyClick(step3.effort, Qt.Key.Key_Up)
    said = "about 20 s: ~20 steps on this machine, too few to learn much: choose Normal"
    assert step3.estimate.text() == said
    trial = corrected.fine_tune()
    assert (trial.result.asked.seconds, trial.result.asked.next_planes) == (20.0, ((200, 240),))
    steps = int(step3.estimate.text().split("~")[1].split()[0])
    assert steps > 500  # of 0.01 s, as the last time


def tick(window, name):
    """Click on the box of an image in the list of those that teach."""
    window.hands.click(window.panel.step3.images)
    listed = window.panel.step3.images.list
    window.wait(listed.isVisible)
    (item,) = listed.findItems(name, Qt.MatchFlag.MatchExactly)
    box = listed.visualItemRect(item)
    window.qtbot.mouseClick(
        listed.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(box.left() + 10, box.center().y())
    )
    window.qtbot.keyClick(listed, Qt.Key.Key_Escape)


def test_images_can_be_excluded_from_learning_and_the_project_remembers(corrected, project):
    images = corrected.panel.step3.images
    corrected.wait(lambda: images.text().startswith("Learns from 1 image "))
    first = corrected.panel.canvas.layer.name
    corrected.add_image(np.flipud(corrected.panel.canvas.layer.data).copy(), name="other")
    corrected.segment()
    assert images.text().startswith("Learns from 1 image ")
    corrected.paint((5, 60), (5, 100))
    corrected.wait(lambda: images.text().startswith("Learns from 2 images"))
    tick(corrected, first)
    corrected.wait(lambda: images.text().startswith("Learns from 1 of 2 images"))
    assert len(corrected.fine_tune().result.asked.corrections) == 1
    corrected.hands.click(corrected.panel.step3.keep)
    corrected.settle()
    assert [record.context.get("teaches", True) for record in project.images()] == [True, False]
    tick(corrected, first)
    corrected.wait(lambda: images.text().startswith("Learns from 2 images"))
    assert len(corrected.fine_tune().result.asked.corrections) == 2
