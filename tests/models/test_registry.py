import shutil

import pytest

from napari_unet.core.base.errors import InputError
from napari_unet.models.registry import find_model, find_models, models_folder


def test_the_users_models_are_found_by_the_name_of_their_file_and_damaged_files_are_passed_over(
    tiny_model, tmp_path
):
    folder = models_folder()
    assert tmp_path.anchor == folder.anchor
    folder.mkdir(parents=True)
    shutil.copy(tiny_model, folder / "anything.keras")
    (folder / "damaged.keras").write_bytes(b"nothing")
    found = {entry.card.name: entry for entry in find_models()}
    assert found["anything"].path == folder / "anything.keras"
    assert not found["anything"].bundled
    assert found["nuclei"].bundled
    assert find_model("anything") == folder / "anything.keras"


def test_a_projects_models_are_found_in_its_folder(tiny_model):
    assert find_model("bright", [tiny_model.parent]) == tiny_model
    with pytest.raises(InputError, match="no model called 'bright': there are cells"):
        find_model("bright")


def test_the_bundled_model_has_a_complete_card():
    card = next(entry.card for entry in find_models() if entry.card.name == "nuclei")
    assert card.title
    assert "CC0" in card.training["data"]
    assert card.object_size
    assert card.scores["validation"]["objects"] > 1000
    assert {"keras", "napari-unet"} <= set(card.versions)
    assert card.network.classes == len(card.outputs)
