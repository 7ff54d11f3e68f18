"""What was found, and one button that hands it to another program, in a real window."""

import csv
import json

import numpy as np
import pytest
from qtpy.QtWidgets import QFileDialog, QMessageBox

from napari_unet.io.files import read_image
from napari_unet.io.labels import read_labels


@pytest.fixture
def export(window, monkeypatch):
    """Presses Export..., picks a type by its title and types a name."""

    def export(path, title, *, writes=True):
        def ask(_parent, _caption, _start, filters):
            (picked,) = [shown for shown in filters.split(";;") if shown.startswith(title)]
            return str(path), picked

        monkeypatch.setattr(QFileDialog, "getSaveFileName", ask)
        window.panel.column.show_control(window.panel.step4.export)
        session = window.panel.session
        session.runner.say("")
        window.hands.click(window.panel.step4.export)
        if writes:
            window.wait(lambda: session.notice and "Writing" not in session.notice)
        window.settle()

    return export


@pytest.mark.parametrize(
    ("title", "ending"),
    [
        ("ROIs for Fiji", ".zip"),
        ("GeoJSON for QuPath", ".geojson"),
        ("Label image", ".tif"),
        ("OME-Zarr", ".zarr"),
    ],
)
def test_cells_are_exported_as_they_are_seen(window, cells, export, tmp_path, title, ending):
    window.add_image(cells)
    window.segment()
    window.paint((10, 60), (10, 100))
    export(tmp_path / "plate", title)
    path = tmp_path / f"plate{ending}"
    count = np.unique(window.labels.data).size - 1
    assert f"{count} cells written to {path}" in window.panel.run_bar.status.text()
    np.testing.assert_array_equal(read_labels(path, cells.shape).labels, window.labels.data)
    assert (read_labels(path, cells.shape).labels == 77).any()


def test_the_table_measures_brightness_and_lengths(window, stack, export, tmp_path):
    window.add_image(stack, scale=(2, 0.5, 0.5), units=("um",) * 3, axis_labels=("z", "y", "x"))
    window.segment()
    export(tmp_path / "plate", "Table of measurements")
    rows = list(csv.DictReader((tmp_path / "plate.csv").read_text().splitlines()))
    assert {"label", "plane", "area_um2", "mean_intensity"} <= set(rows[0])
    (plane,) = {row["plane"] for row in rows}  # one was segmented
    assert window.labels.data[int(plane)].any()
    assert float(rows[0]["mean_intensity"]) == 200
    export(tmp_path / "plate", "Label image")
    saved = read_image(tmp_path / "plate.tif")
    assert (saved.axes, saved.pixel_size, saved.z_step) == ("ZYX", 0.5, 2.0)


def test_the_name_decides_where_it_has_an_ending(window, cells, export, tmp_path):
    window.add_image(cells)
    window.segment()
    export(tmp_path / "plate.geojson", "ROIs for Fiji")
    assert len(json.loads((tmp_path / "plate.geojson").read_text())["features"]) > 10


def test_what_cannot_be_written_is_one_sentence(window, cells, export, tmp_path):
    window.add_image(cells)
    window.segment()
    export(tmp_path / "nowhere" / "plate", "ROIs for Fiji")
    assert "cannot be written" in window.panel.run_bar.status.text()
    assert window.panel.session.is_error


def test_a_file_that_the_dialog_could_not_know_is_not_replaced_unasked(
    window, cells, export, tmp_path, monkeypatch
):
    window.add_image(cells)
    window.segment()
    (tmp_path / "plate.zip").write_bytes(b"mine")
    monkeypatch.setattr(QMessageBox, "question", lambda *_: QMessageBox.StandardButton.No)
    export(tmp_path / "plate", "ROIs for Fiji", writes=False)
    assert (tmp_path / "plate.zip").read_bytes() == b"mine"


def test_count_and_histogram_follow_the_cells(window, cells):
    step = window.panel.step4
    assert not step.export.isEnabled()
    window.add_image(cells, scale=(0.5, 0.5), units=("um", "um"))
    window.segment()
    count = window.panel.canvas.image.counts.cells
    assert step.count.text() == f"{count} cells, median area 100 µm²."
    assert step.histogram.values.size == count
    before = step.histogram.grab().toImage()
    step.feature.setCurrentIndex(step.feature.findText("Mean intensity"))
    assert set(step.histogram.values) == {200}
    assert step.histogram.grab().toImage() != before
    window.paint((10, 60), (10, 100))
    window.wait(lambda: step.count.text().startswith(f"{count + 1} cells"))


def test_the_table_shows_a_row_for_each_cell(window, cells):
    from napari_builtins._qt.features_table import FeaturesTable

    window.add_image(cells)
    window.segment()
    window.hands.click(window.panel.step4.table)
    window.qtbot.wait(100)
    (table,) = window.panel.window().findChildren(FeaturesTable)
    assert table.isVisible()
