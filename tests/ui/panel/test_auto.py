from qtpy.QtCore import Qt

from ..conftest import write_model


def test_the_model_that_fits_is_taken_and_named_with_the_reason(open_window, project, cells):
    for stem in ("anything", "zebras"):
        write_model(project.models_folder / f"{stem}.keras")
    window = open_window()
    model = window.panel.step1.model
    assert model.currentText() == "Auto - the one that fits best"
    window.add_image(cells)
    window.segment()
    assert model.currentText() == "Auto - anything"
    assert "anything, which fits this image best of " in window.panel.run_bar.status.text()
    model.setFocus()
    window.qtbot.keyClick(model, Qt.Key.Key_End)
    window.qtbot.keyClick(model, Qt.Key.Key_Return)
    window.segment()
    assert window.panel.session.model.stem == "zebras"
    assert "fits" not in window.panel.run_bar.status.text()
