import json
import os
import tracemalloc
import zipfile

import h5py
import keras
import numpy as np
import pytest

from napari_unet.core.base.errors import InputError
from napari_unet.nn.model_file import (
    CARD,
    WEIGHTS,
    load_network,
    read_card,
    replace_card,
    save_network,
)
from napari_unet.nn.unet import build_network

from .conftest import TINY


@pytest.fixture
def model_file(tmp_path, tiny_card):
    path = tmp_path / "tiny.keras"
    save_network(build_network(TINY), tiny_card, path)
    return path


def rewrite(path, change):
    """Rewrite an archive through ``change(name, bytes) -> bytes or None``."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            if (kept := change(name, content)) is not None:
                archive.writestr(name, kept)


def test_a_network_comes_back_as_it_was(tmp_path, tiny_card):
    network = build_network(TINY)
    tile = np.random.default_rng(0).random((1, 32, 32, 1), np.float32)
    save_network(network, tiny_card, tmp_path / "exact.keras", compact=False)
    loaded, card = load_network(tmp_path / "exact.keras", dtype="float32")
    np.testing.assert_array_equal(loaded.predict_on_batch(tile), network.predict_on_batch(tile))
    assert card == tiny_card == read_card(tmp_path / "exact.keras")
    assert [path.name for path in tmp_path.iterdir()] == ["exact.keras"]


def test_a_compact_file_is_half_the_size_and_as_good(tmp_path, tiny_card):
    params = TINY.model_copy(update={"filters": 24})
    network, card = build_network(params), tiny_card.model_copy(update={"network": params})
    tile = np.random.default_rng(0).random((1, 32, 32, 1), np.float32)
    before = network.predict_on_batch(tile)
    for compact in (True, False):
        save_network(network, card, tmp_path / f"{compact}.keras", compact=compact)
    np.testing.assert_array_equal(network.predict_on_batch(tile), before)
    sizes = [(tmp_path / f"{compact}.keras").stat().st_size for compact in (True, False)]
    assert sizes[0] < 0.75 * sizes[1]
    loaded, _ = load_network(tmp_path / "True.keras", dtype="float32")
    np.testing.assert_allclose(loaded.predict_on_batch(tile), before, atol=5e-3)


def test_what_an_optimizer_remembers_is_not_written(tmp_path, tiny_card):
    """A network fresh from training is three times as large with the state of Adam."""
    params = TINY.model_copy(update={"filters": 48})
    network, card = build_network(params), tiny_card.model_copy(update={"network": params})
    network.compile("adam", "mse", jit_compile=False)
    network.train_on_batch(np.ones((1, 16, 16, 1), np.float32), np.ones((1, 16, 16, 3), np.float32))
    save_network(network, card, tmp_path / "trained.keras")
    loaded, _ = load_network(tmp_path / "trained.keras")
    for first, second in zip(network.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_allclose(first, second, atol=1e-3)


def test_of_a_file_of_several_networks_the_last_one_is_read_and_the_card_says_so(tmp_path, tiny_card):
    """Files of earlier versions, in which a network was kept for every kind of cells."""
    network, old = build_network(TINY), build_network(TINY)
    path, tile = tmp_path / "two.keras", np.random.default_rng(0).random((1, 32, 32, 1), np.float32)
    save_network(network, tiny_card, path, compact=False)
    save_network(old, tiny_card, tmp_path / "old.keras", compact=False)
    kind = {"scale": 0.5, "object_size": 20.0, "reserve": 0.1}
    with zipfile.ZipFile(tmp_path / "old.keras") as source:
        weights = source.read("model.weights.h5")
    rewrite(path, lambda name, content: _add_kind(content, kind) if name == "card.json" else content)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("earlier-1.weights.h5", weights)
    loaded, card = load_network(path, dtype="float32")
    np.testing.assert_array_equal(loaded.predict_on_batch(tile), network.predict_on_batch(tile))
    assert card.scale == tiny_card.scale
    assert "1 earlier network" in card.description
    save_network(loaded, card, tmp_path / "again.keras")
    with zipfile.ZipFile(tmp_path / "again.keras") as archive:
        assert "earlier-1.weights.h5" not in archive.namelist()


def _add_kind(card, kind):
    return json.dumps({**json.loads(card), "earlier": [kind], "reserve": 0.2}).encode()


def test_keras_itself_can_open_the_file(model_file):
    assert keras.saving.load_model(model_file).count_params() == TINY.count_parameters()


def test_code_in_a_configuration_is_never_run(model_file, tmp_path):
    """Two ways in: a Lambda layer with code, and a class named by an import path."""
    trap = tmp_path / "sprung"
    evil = {
        "module": "builtins",
        "class_name": "exec",
        "config": {"source": f"open({str(trap)!r}, 'w').close()"},
        "registered_name": "exec",
    }
    rewrite(model_file, lambda name, content: json.dumps(evil).encode() if name == "config.json" else content)
    network, _ = load_network(model_file)
    assert network.name == "unet"
    assert not trap.exists()
    layer = keras.layers.Lambda(lambda x: x)
    inputs = keras.Input((8, 8, 1))
    keras.Model(inputs, layer(inputs)).save(tmp_path / "lambda.keras")
    with pytest.raises(InputError, match="no card"):
        load_network(tmp_path / "lambda.keras")


@pytest.mark.parametrize("content", [b"", b"not a model", b"PK\x03\x04broken"])
def test_a_file_that_is_no_model_is_refused(tmp_path, content):
    path = tmp_path / "fake.keras"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"fake\.keras"):
        load_network(path)


def test_missing_files_and_other_endings_are_explained(tmp_path):
    with pytest.raises(InputError, match="There is no model file"):
        read_card(tmp_path / "none.keras")
    with pytest.raises(InputError, match=r"not a \.keras"):
        read_card(tmp_path / "model.h5")


def test_foreign_members_are_refused(model_file):
    with zipfile.ZipFile(model_file, "a") as archive:
        archive.writestr("../escape.py", "boom")
    with pytest.raises(InputError, match=r"escape\.py"):
        load_network(model_file)


def test_a_card_that_asks_for_another_network_is_refused(model_file):
    def widen(name, content):
        if name != CARD:
            return content
        card = json.loads(content)
        card["network"]["filters"] = 128
        return json.dumps(card).encode()

    rewrite(model_file, widen)
    with pytest.raises(InputError, match="do not fit"):
        load_network(model_file)


@pytest.mark.parametrize("card", [b"{", b"[]", b'{"name": ""}', b"\xff"])
def test_a_broken_card_is_refused(model_file, card):
    rewrite(model_file, lambda name, content: card if name == CARD else content)
    with pytest.raises(InputError, match="card"):
        read_card(model_file)


@pytest.mark.parametrize("kind", ["soft", "external", "outside", "virtual"])
def test_weights_that_point_elsewhere_are_refused(model_file, tmp_path, kind):
    other = tmp_path / "secret.h5"
    with h5py.File(other, "w") as file:
        file["data"] = np.zeros(4, np.float32)

    def plant(file):
        if kind == "soft":
            file["planted"] = h5py.SoftLink("/layers")
        elif kind == "external":
            file["planted"] = h5py.ExternalLink(str(other), "/data")
        elif kind == "outside":
            file.create_dataset("planted", (4,), np.float32, external=[(str(other), 0, 16)])
        else:
            layout = h5py.VirtualLayout((4,), np.float32)
            layout[:] = h5py.VirtualSource(str(other), "data", (4,))
            file.create_virtual_dataset("planted", layout)

    def change(name, content):
        if name != WEIGHTS:
            return content
        path = tmp_path / "weights.h5"
        path.write_bytes(content)
        with h5py.File(path, "a") as file:
            plant(file)
        return path.read_bytes()

    rewrite(model_file, change)
    with pytest.raises(InputError, match="refused"):
        load_network(model_file)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda content: content[:-2000], "do not fit|damaged"),
        (lambda content: bytes(512) + content[512:], "damaged"),
    ],
)
def test_damaged_weights_are_refused(model_file, damage, words):
    rewrite(model_file, lambda name, content: damage(content) if name == WEIGHTS else content)
    with pytest.raises(InputError, match=words):
        load_network(model_file)


def test_a_failed_save_leaves_the_old_file(model_file, tiny_card, monkeypatch):
    before = model_file.read_bytes()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    with pytest.raises(OSError, match="No space"):
        save_network(build_network(TINY), tiny_card, model_file)
    assert model_file.read_bytes() == before
    assert [path.name for path in model_file.parent.iterdir()] == [model_file.name]


def test_another_card_leaves_the_network_as_it_is(model_file):
    network, card = load_network(model_file)
    replace_card(model_file, card.model_copy(update={"scores": {"known": {"before": 0.9, "after": 0.8}}}))
    again, read = load_network(model_file)
    assert read.scores == {"known": {"before": 0.9, "after": 0.8}}
    assert read.name == card.name
    for one, other in zip(network.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def write_card(source, target, **changes):
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == CARD:
                content = json.dumps(json.loads(content) | changes)
            new.writestr(name, content)
    return target


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 2}, "was written by a newer napari-unet: update"),
        ({"scale": 1000}, "scale"),
        ({"scale": float("inf")}, "scale"),
        ({"scale": float("nan")}, "scale"),
        ({"size_range": [float("nan"), 20.0]}, "size_range"),
        ({"size_range": [20.0, 10.0]}, "no range of lengths"),
        ({"object_size": float("inf")}, "object_size"),
        ({"pixel_size": float("nan")}, "pixel_size"),
        ({"outputs": ["foreground", "border", "hue"]}, "output maps foreground, border, hue are not known"),
        ({"outputs": ["foreground", "border"]}, "draws 3 maps, but 2 are named"),
        ({"outputs": ["border", "distance", "background"]}, "are not known"),
    ],
)
def test_a_card_that_would_break_later_is_refused_where_it_is_read(model_file, tmp_path, changes, words):
    path = write_card(model_file, tmp_path / "odd.keras", **changes)
    for read in (read_card, load_network):
        with pytest.raises(InputError, match=words):
            read(path)


def test_weights_that_are_no_numbers_are_refused(tmp_path, tiny_card):
    network = build_network(tiny_card.network)
    weights = network.get_weights()
    weights[0][0] = np.nan
    network.set_weights(weights)
    save_network(network, tiny_card, tmp_path / "a.keras")
    with pytest.raises(InputError, match="some of its weights are no numbers"):
        load_network(tmp_path / "a.keras")


def test_a_part_that_lies_about_its_size_is_not_unpacked(tmp_path, model_file):
    """It says 100 bytes and would be 300 MB."""
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(model_file) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if name != CARD:
                new.writestr(name, old.read(name))
        new.writestr(CARD, bytes(300 << 20))
        new.getinfo(CARD).file_size = 100
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"bomb\.keras"):
            read_card(path)
        assert tracemalloc.get_traced_memory()[1] < 30 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such files")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.keras")
    with pytest.raises(InputError, match="is not a file"):
        read_card(tmp_path / "x.keras")
