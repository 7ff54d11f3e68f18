import errno
import json
import os
import shutil
import zipfile

import numpy as np
import pytest

from napari_unet.core.base.errors import InputError
from napari_unet.io import atomic
from napari_unet.models import library
from napari_unet.models import registry as models
from napari_unet.models.library import (
    check_name,
    delete_model,
    export_model,
    find_versions,
    free_name,
    hash_model,
    import_model,
    rename_model,
    verify_model,
)
from napari_unet.models.registry import find_model, models_folder, read_entry


def rewrite(path, change):
    """Rewrite an archive through ``change(name, bytes) -> bytes``."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, change(name, content))


def change_card(path, **values):
    rewrite(path, lambda n, c: json.dumps(json.loads(c) | values).encode() if n == "card.json" else c)
    return path


def test_a_good_model_is_verified_to_its_hash(tiny_model):
    assert verify_model(tiny_model) == hash_model(tiny_model)


def test_weights_that_are_no_numbers_are_refused(tiny_model):
    from napari_unet.nn.model_file import load_network, save_network

    network, card = load_network(tiny_model)
    network.set_weights([np.full_like(weight, np.nan) for weight in network.get_weights()])
    save_network(network, card, tiny_model)
    with pytest.raises(InputError, match="no numbers"):
        verify_model(tiny_model)


def test_a_card_about_other_maps_is_refused(tiny_model):
    with pytest.raises(InputError, match="draws 1 maps, but 3 are named"):
        verify_model(change_card(tiny_model, outputs=["foreground", "border", "distance"]))


def test_a_damaged_card_in_a_sound_archive_is_one_sentence_and_hides_no_other_model(tiny_model):
    folder = models_folder()
    folder.mkdir(parents=True)
    content = tiny_model.read_bytes()
    with zipfile.ZipFile(tiny_model) as archive:
        start = archive.getinfo("card.json").header_offset + 60
    damaged = content[:start] + bytes(255 - b for b in content[start : start + 40]) + content[start + 40 :]
    (folder / "a.keras").write_bytes(damaged)
    shutil.copy(tiny_model, folder / "b.keras")
    with pytest.raises(InputError, match=r"a\.keras"):
        verify_model(folder / "a.keras")
    assert find_model("b") == folder / "b.keras"


def test_import_copies_to_the_users_models(tiny_model):
    path = import_model(tiny_model)
    assert path == models_folder() / "bright.keras"
    assert hash_model(path) == hash_model(tiny_model)
    assert [file.name for file in models_folder().iterdir()] == ["bright.keras"]


def test_the_same_model_is_not_imported_twice(tiny_model):
    import_model(tiny_model, "mine")
    with pytest.raises(InputError, match="it is the model 'mine'"):
        import_model(tiny_model, "other")


def test_import_never_replaces_a_model(tiny_model, monkeypatch):
    path = import_model(tiny_model)
    before = path.read_bytes()
    change_card(tiny_model, title="Another")
    for name in (None, "BRIGHT", "nuclei"):
        with pytest.raises(InputError, match="choose another name"):
            import_model(tiny_model, name)
    # Another window is quicker by a moment.
    monkeypatch.setattr(library, "check_name", lambda name, *_: name)
    with pytest.raises(InputError, match="already"):
        import_model(tiny_model)
    assert path.read_bytes() == before
    assert [file.name for file in models_folder().iterdir()] == ["bright.keras"]


def test_a_drive_without_hard_links_is_no_obstacle_and_no_danger(tiny_model, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    path = import_model(tiny_model)
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        atomic.create_file(path, b"other")
    assert path.read_bytes() == before
    assert [file.name for file in models_folder().iterdir()] == ["bright.keras"]


def test_a_full_disk_leaves_nothing(tiny_model, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(atomic, "write", full)
    with pytest.raises(InputError, match="No space left"):
        import_model(tiny_model)
    assert list(models_folder().iterdir()) == []


def test_bad_files_are_not_imported(tmp_path):
    path = tmp_path / "bad.keras"
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"bad\.keras"):
        import_model(path)
    assert not models_folder().exists()


def test_an_exported_model_is_the_same_file(tiny_model, tmp_path):
    path = export_model(find_model("nuclei"), tmp_path)
    assert path == tmp_path / "nuclei.keras"
    assert hash_model(path) == hash_model(find_model("nuclei"))
    assert export_model(tiny_model, path) == path
    assert hash_model(path) == hash_model(tiny_model)
    with pytest.raises(InputError, match=r"ends in \.keras"):
        export_model(tiny_model, tmp_path / "model.h5")
    with pytest.raises(InputError, match="cannot be written"):
        export_model(tiny_model, tmp_path / "nowhere" / "model.keras")


def test_a_new_name_leaves_the_hash_and_so_the_family(tiny_model):
    from napari_unet.models.lineage import trace_ancestry

    parent = import_model(tiny_model, "parent")
    change_card(tiny_model, parent=hash_model(parent))
    import_model(tiny_model, "child")
    renamed = rename_model(read_entry(parent), " elder ")
    assert renamed == models_folder() / "elder.keras"
    assert find_model("elder") == renamed
    with pytest.raises(InputError, match="no model called 'parent'"):
        find_model("parent")
    versions = find_versions()
    child = next(v for v in versions if v.card.name == "child")
    assert [a.name for a in trace_ancestry(child.card, versions)] == ["elder"]
    assert rename_model(read_entry(renamed), "Elder").name == "Elder.keras"
    with pytest.raises(InputError, match="already"):
        rename_model(child.entry, "elder")
    delete_model(next(v.entry for v in find_versions() if v.card.name == "Elder"))
    (gone,) = trace_ancestry(child.card, find_versions())
    assert gone.name is None


def test_what_ships_stays_as_it_is():
    entry = read_entry(find_model("nuclei"))
    for change in (delete_model, lambda e: rename_model(e, "mine")):
        with pytest.raises(InputError, match="ships with napari-unet"):
            change(entry)
    assert entry.path.is_file()


@pytest.mark.parametrize(
    "name", ["", " ", "a/b", "..", ".hidden", "con", "LPT1.x", "a\nb", "x" * 81, "-x", "a."]
)
def test_names_that_no_file_can_have_are_refused(name):
    with pytest.raises(InputError, match="cannot be the name"):
        check_name(name)


@pytest.mark.parametrize("name", ["yeast", "Hefe 2 (neu)", "зёрна-1", "a", "v1.2"])
def test_other_names_are_fine(name):
    assert check_name(f" {name}.keras") == name


def test_a_free_name_has_the_next_number(tiny_model):
    assert free_name("bright") == "bright"
    import_model(tiny_model)
    assert free_name("Bright") == "Bright-2"


def test_models_kept_in_a_window_are_found_everywhere(tiny_model):
    kept = models.models_folder().parent / "default" / "models"
    kept.mkdir(parents=True)
    shutil.copy(tiny_model, kept / "nuclei-1.keras")
    assert find_model("nuclei-1") == kept / "nuclei-1.keras"
    with pytest.raises(InputError, match="already"):
        check_name("nuclei-1")
