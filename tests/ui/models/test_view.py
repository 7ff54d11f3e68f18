"""The Models view under a user's hands."""

import shutil
import zipfile
from pathlib import Path

import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QFileDialog, QPushButton, QTableWidget, QTreeWidget

from napari_unet.core.base.card import ModelCard
from napari_unet.core.base.params import NetworkParams
from napari_unet.models.library import hash_model

from ...patience import PATIENCE

HERE = Path(__file__).parents[1]
OTHERS = {"missed": 3, "false": 2, "split": 1, "merged": 0}
BASE = {"mean_iou": 0.5, "dice": 0.6, "objects": 9, "matched": 5, **OTHERS}


def write_version(path, parent=None, before=0.5, after=0.8):
    """Write a model file as fine-tuning does, without weights."""
    scores = {"before": {**BASE, "ap": {"0.50": before}}, "after": {**BASE, "ap": {"0.50": after}}}
    card = ModelCard(
        name=path.stem,
        title="Yeast",
        network=NetworkParams(),
        outputs=("foreground",),
        parent=hash_model(parent) if parent else None,
        training={"fine_tuned_on": {"images": 1, "reviewed_cells": 31, "reviewed_pixels": 4096}},
        scores={"held_out": scores},
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("card.json", card.model_dump_json())
        archive.writestr("model.weights.h5", b"")
    return path


@pytest.fixture
def family(project):
    """Three generations of models in the project, besides those that are there."""
    folder = project.models_folder
    first = write_version(folder / "yeast.keras")
    second = write_version(folder / "yeast-1.keras", first)
    write_version(folder / "yeast-2.keras", second, before=0.8, after=0.91)
    return folder


class Hands:
    """A user's mouse and keyboard in the Models view."""

    def __init__(self, window, view):
        self.window, self.view = window, view

    def find(self, name):
        return self.view.findChild(QPushButton, name)

    @property
    def names(self):
        return {version.card.name for version in self.view.versions}

    @property
    def said(self):
        return self.view.status.text()

    def press(self, name):
        button = self.find(name)
        assert button.isEnabled()
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)

    def select(self, *names):
        """Click on models in the list, on all but the first with Ctrl."""
        keys = Qt.KeyboardModifier.NoModifier
        for name in names:
            item = next(
                i
                for i in self.view.tree.findItems(
                    name, Qt.MatchFlag.MatchExactly | Qt.MatchFlag.MatchRecursive
                )
            )
            self.view.tree.scrollToItem(item)
            where = self.view.tree.visualItemRect(item).topLeft() + QPoint(30, 8)
            QTest.mouseClick(self.view.tree.viewport(), Qt.MouseButton.LeftButton, keys, where)
            keys = Qt.KeyboardModifier.ControlModifier

    def type(self, text):
        """Type over the name that is being changed."""
        editor = self.view.tree.viewport().focusWidget() or self.view.window().focusWidget()
        editor.selectAll()
        QTest.keyClicks(editor, text)
        QTest.keyClick(editor, Qt.Key.Key_Return)


def open_view(window, expected):
    from napari_unet.ui.models.view import ModelsView

    view = ModelsView(window.viewer)
    window.viewer.window.add_dock_widget(view, name="U-Net: models", area="left")
    hands = Hands(window, view)
    window.wait(lambda: hands.names == expected)
    return hands


@pytest.fixture
def models(family, window):
    return open_view(window, {path.stem for path in family.glob("*.keras")})


def test_the_view_lists_the_family_tree(models):
    tree = models.view.findChild(QTreeWidget, "model_list")
    root = next(
        tree.topLevelItem(i)
        for i in range(tree.topLevelItemCount())
        if tree.topLevelItem(i).text(0) == "yeast"
    )
    child = root.child(0)
    assert child.text(0) == "yeast-1"
    grandchild = child.child(0)
    shown = [grandchild.text(column) for column in range(tree.columnCount())]
    assert shown[:3] == ["yeast-2", "0.80 → 0.91", "31"]
    assert shown[4:] == ["Yeast", "yeast-1"]
    assert "Select a model" in models.said


def test_two_selected_models_are_compared(models):
    table = models.view.findChild(QTableWidget, "comparison")
    assert not table.isVisible()
    models.select("yeast-1", "yeast-2")
    assert table.isVisible()
    assert [table.horizontalHeaderItem(c).text() for c in (1, 2)] == ["yeast-1", "yeast-2"]
    rows = {
        table.item(r, 0).text(): [table.item(r, c).text() for c in (1, 2)] for r in range(table.rowCount())
    }
    assert rows["Found (AP at IoU 0.5)"] == ["0.50 → 0.80", "0.80 → 0.91"]
    assert rows["Parent"] == ["yeast", "yeast-1"]
    assert rows["Cells learnt from"] == ["31", "31"]
    models.select("yeast-1")
    assert table.columnCount() == 2


def test_rename_is_on_disk_in_the_panel_and_in_the_family(models, family):
    models.window.use_model("yeast-1")
    models.select("yeast-1")
    models.press("rename_model")
    models.type("better yeast")
    models.window.wait(lambda: "better yeast" in models.names)
    assert not (family / "yeast-1.keras").exists()
    assert (family / "better yeast.keras").is_file()
    assert "is called 'better yeast' now" in models.said
    combo = models.window.panel.step1.model
    models.window.wait(lambda: combo.currentData() == family / "better yeast.keras")
    assert models.view.tree.selected == [family / "better yeast.keras"]
    parents = {v.card.name: v.card.parent for v in models.view.versions}
    assert parents["yeast-2"] == hash_model(family / "better yeast.keras")


def test_a_name_that_is_taken_is_refused_and_the_old_one_stays(models, family):
    models.select("yeast-1")
    QTest.keyClick(models.view.tree, Qt.Key.Key_F2)
    models.type("nuclei")
    models.window.wait(lambda: "already" in models.said)
    assert models.view.status.property("error")
    assert (family / "yeast-1.keras").is_file()
    assert models.view.tree.find_item(family / "yeast-1.keras").text(0) == "yeast-1"


def test_delete_takes_two_presses_and_sticks(models, family, project):
    models.select("yeast-1")
    models.press("delete_model")
    assert (family / "yeast-1.keras").is_file()
    assert "Press again to delete 'yeast-1'" in models.said
    models.select("yeast")
    models.press("delete_model")
    assert (family / "yeast.keras").is_file()
    models.select("yeast-1")
    models.press("delete_model")
    models.press("delete_model")
    models.window.wait(lambda: "yeast-1" not in models.names)
    assert "Fine-tuned from it and still there: yeast-2" in models.said
    combo = models.window.panel.step1.model
    models.window.wait(lambda: all("yeast-1" not in combo.itemText(row) for row in range(combo.count())))
    orphan = models.view.tree.find_item(family / "yeast-2.keras")
    assert orphan.parent() is None
    assert orphan.text(5).endswith("…")
    models.view.refresh()
    models.window.qtbot.wait(100)
    assert not (family / "yeast-1.keras").exists()
    assert "yeast-1" not in models.names


def test_import_checks_the_file_first_and_finds_a_free_name(models, family, tmp_path, monkeypatch):
    source = write_version(tmp_path / "yeast.keras", after=0.99)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(source), ""))
    models.press("import_model")
    assert not models.find("import_model").isEnabled()
    assert "Checking yeast.keras" in models.said
    models.window.wait(lambda: "yeast-3" in models.names)
    (path,) = models.view.tree.selected
    assert path.stem == "yeast-3"
    assert path.read_bytes() == source.read_bytes()
    assert f"'{path.stem}' is imported" in models.said
    combo = models.window.panel.step1.model
    models.window.wait(lambda: any(combo.itemData(row) == path for row in range(combo.count())))
    models.press("import_model")
    models.window.wait(lambda: "here already" in models.said)
    assert models.find("import_model").isEnabled()


@pytest.mark.parametrize("stem", ["refusing", "failing", "deadly"])
def test_a_bad_file_is_a_sentence_and_not_imported(models, family, tmp_path, monkeypatch, stem):
    source = write_version(tmp_path / f"{stem}.keras", after=0.99)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(source), ""))
    before = sorted(family.iterdir())
    models.press("import_model")
    models.window.wait(lambda: models.find("import_model").isEnabled())
    assert models.view.status.property("error")
    assert "Checking" not in models.said
    assert sorted(family.iterdir()) == before


def test_export_writes_one_file_with_its_ending(models, family, tmp_path, monkeypatch):
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "shared v1.2"), ""))
    models.press("export_model")
    assert "Select one model" in models.said
    models.select("yeast")
    models.press("export_model")
    written = tmp_path / "shared v1.2.keras"
    models.window.wait(lambda: "is written to" in models.said)
    assert hash_model(written) == hash_model(family / "yeast.keras")
    (tmp_path / "shared v1.2.keras").unlink()
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "no" / "x.keras"), ""))
    models.press("export_model")
    models.window.wait(lambda: "cannot be written" in models.said)


def test_what_ships_is_neither_renamed_nor_deleted(family, window, tmp_path):
    expected = {path.stem for path in family.glob("*.keras")}
    bundled = tmp_path / "nothing ships here"
    bundled.mkdir()
    shutil.move(family / "nuclei.keras", bundled / "nuclei.keras")
    models = open_view(window, expected)
    models.select("nuclei")
    models.press("delete_model")
    assert "ships with napari-unet and cannot be deleted" in models.said
    models.press("rename_model")
    assert "ships with napari-unet and cannot be renamed" in models.said
    assert (bundled / "nuclei.keras").is_file()


def test_a_model_at_work_is_left_alone(models, family, cells):
    window = models.window
    window.add_image(cells)
    window.use_model("patient")
    window.hands.click(window.panel.step1.segment)
    window.wait(lambda: window.panel.run_bar.status.text() == "waiting")
    models.select("patient")
    models.press("delete_model")
    models.press("delete_model")
    assert "at work" in models.said
    assert (family / "patient.keras").is_file()
    window.hands.click(window.panel.run_bar.cancel)
    window.wait(lambda: window.panel.session.run is None)


def test_both_follow_what_others_do_in_the_folder(models, family):
    write_version(family / "fresh.keras")
    models.window.wait(lambda: "fresh" in models.names)
    combo = models.window.panel.step1.model
    models.window.wait(lambda: any("fresh" in combo.itemText(row) for row in range(combo.count())))
    (family / "fresh.keras").unlink()
    models.window.wait(lambda: "fresh" not in models.names)


def test_the_view_opens_from_the_plugin_menu_without_a_panel(
    make_napari_viewer, project, monkeypatch, tmp_path, qtbot
):
    from napari_unet.models import registry
    from napari_unet.ui.models import view as module
    from napari_unet.worker.worker import Worker

    monkeypatch.setattr(registry, "BUNDLED", tmp_path / "nothing ships here")
    monkeypatch.setattr(module.Project, "open", lambda: project)
    monkeypatch.setattr(module, "Worker", lambda: Worker("window_jobs", tmp_path / "log", paths=[HERE]))
    viewer = make_napari_viewer(show=True)
    _, view = viewer.window.add_plugin_dock_widget("napari-unet", "U-Net: models")
    assert isinstance(view, module.ModelsView)
    qtbot.waitUntil(lambda: {v.card.name for v in view.versions} >= {"nuclei", "worse"})
    source = write_version(tmp_path / "new.keras")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(source), ""))
    QTest.mouseClick(view.import_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "new" in {v.card.name for v in view.versions}, timeout=round(1000 * PATIENCE))
    assert (project.models_folder / "new.keras").is_file()
