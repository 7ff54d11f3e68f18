"""Models leave for other programs and come back, and nothing else comes in."""

import hashlib
import io
import sys
import zipfile

import numpy as np
import pytest
import yaml

from napari_unet.cli.main import main
from napari_unet.core.base.card import ModelCard
from napari_unet.core.base.errors import InputError
from napari_unet.core.base.params import CLIP, NetworkParams
from napari_unet.core.image.normalisation import normalise
from napari_unet.models.exchange import export_onnx, export_package, import_package
from napari_unet.models.registry import read_entry
from napari_unet.nn.model_file import load_network, save_network
from napari_unet.nn.unet import build_network


@pytest.fixture
def model(tmp_path):
    network = NetworkParams(filters=4, depth=2, classes=3, initializer="he_normal")
    card = ModelCard(
        name="mine", title="My cells", network=network, outputs=("foreground", "border", "distance")
    )
    save_network(build_network(network), card, tmp_path / "mine.keras")
    return tmp_path / "mine.keras"


def read_parts(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_package_has_what_it_says_with_the_right_hashes(model, tmp_path):
    path = export_package(
        model, tmp_path / "mine.zip", license_id="CC-BY-4.0", authors=["Me"], with_onnx=False
    )
    parts = read_parts(path)
    said = yaml.safe_load(parts["rdf.yaml"])
    files = [
        said["documentation"],
        *said["covers"],
        said["inputs"][0]["test_tensor"],
        said["outputs"][0]["test_tensor"],
        *said["weights"].values(),
    ]
    assert {file["source"] for file in files} == set(parts) - {"rdf.yaml"}
    for file in files:
        assert hashlib.sha256(parts[file["source"]]).hexdigest() == file["sha256"]
    assert (said["type"], said["license"], said["authors"]) == ("model", "CC-BY-4.0", [{"name": "Me"}])
    assert said["cite"][0]["doi"]
    assert parts["cover.png"].startswith(b"\x89PNG")
    assert "My cells" in parts["README.md"].decode()


def test_the_example_in_a_package_is_what_the_network_computes(model, tmp_path):
    parts = read_parts(export_package(model, tmp_path / "mine.zip", with_onnx=False))
    said = yaml.safe_load(parts["rdf.yaml"])
    raw, maps = (np.load(io.BytesIO(parts[f"test_{name}.npy"])) for name in ("input", "output"))
    scale, clip = said["inputs"][0]["preprocessing"]
    low, high = np.percentile(raw, [scale["kwargs"][f"{end}_percentile"] for end in ("min", "max")])
    seen = np.clip(
        (raw - low) / (high - low + scale["kwargs"]["eps"]), clip["kwargs"]["min"], clip["kwargs"]["max"]
    )
    np.testing.assert_allclose(seen[0], normalise(raw[0]), atol=1e-4)
    assert (clip["kwargs"]["min"], clip["kwargs"]["max"]) == CLIP
    network, _ = load_network(model)
    np.testing.assert_allclose(np.asarray(network(seen.astype(np.float32))), maps, atol=1e-3)


def test_a_package_comes_back_as_the_model_that_it_was(model, tmp_path):
    package = export_package(model, tmp_path / "shared.zip", with_onnx=False)
    mine = import_package(package, folder=tmp_path / "library")
    assert mine == tmp_path / "library" / "shared.keras"
    assert mine.read_bytes() == model.read_bytes()
    assert read_entry(mine).card.title == "My cells"


def rewrite(path, change):
    parts = change(read_parts(path))
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda parts: {"rdf.yaml": b"type: model", "weights.pt": b"x"}, "another architecture"),
        (lambda parts: {"model.keras": parts["model.keras"]}, "no package of bioimage.io"),
        (lambda parts: parts | {"model.keras": b"PK"}, "damaged"),
        (lambda parts: parts | {"model.keras": parts["model.keras"][:-500]}, "damaged"),
    ],
)
def test_a_package_of_another_kind_is_one_sentence_and_changes_nothing(model, tmp_path, change, sentence):
    package = rewrite(export_package(model, tmp_path / "a.zip", with_onnx=False), change)
    with pytest.raises(InputError, match=rf"^[^\n]*{sentence}[^\n]*$"):
        import_package(package, folder=tmp_path / "library")
    assert not (tmp_path / "library").exists()


def test_a_foreign_keras_model_in_a_package_is_refused(model, tmp_path):
    foreign = tmp_path / "foreign.keras"
    build_network(NetworkParams(filters=2, depth=1)).save(foreign)
    package = export_package(model, tmp_path / "a.zip", with_onnx=False)
    rewrite(package, lambda parts: parts | {"model.keras": foreign.read_bytes()})
    with pytest.raises(InputError, match="not a model of napari-unet"):
        import_package(package, folder=tmp_path / "library")


def test_what_is_no_package_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="There is no file"):
        import_package(tmp_path / "a.zip")
    (tmp_path / "a.zip").write_bytes(b"no zip")
    with pytest.raises(InputError, match="damaged or no package"):
        import_package(tmp_path / "a.zip")


def test_unpadded_networks_have_no_package(tmp_path):
    network = NetworkParams(filters=2, depth=1, padding="valid")
    card = ModelCard(name="a", network=network, outputs=("foreground",))
    save_network(build_network(network), card, tmp_path / "a.keras")
    with pytest.raises(InputError, match="unpadded"):
        export_package(tmp_path / "a.keras", tmp_path / "a.zip")
    with pytest.raises(InputError, match=r"ends in \.zip"):
        export_package(tmp_path / "a.keras", tmp_path / "a.tar")


def test_the_command_line_writes_packages(model, tmp_path):
    with pytest.raises(SystemExit) as ended:
        main(
            ["models", "export", str(model), str(tmp_path / "mine.zip"), "--license", "MIT", "--author", "Me"]
        )
    assert ended.value.code == 0
    assert yaml.safe_load(read_parts(tmp_path / "mine.zip")["rdf.yaml"])["license"] == "MIT"


# ONNX


def test_onnx_computes_the_same_at_any_size(model, tmp_path):
    import onnxruntime

    path = export_onnx(model, tmp_path / "mine.onnx")
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    network, _ = load_network(model)
    for shape in ((1, 64, 96, 1), (2, 32, 32, 1)):
        tiles = np.random.default_rng(0).normal(0.5, 0.3, shape).astype(np.float32)
        (found,) = session.run(None, {session.get_inputs()[0].name: tiles})
        np.testing.assert_allclose(found, np.asarray(network(tiles)), atol=1e-3)


def test_a_package_holds_onnx_too(model, tmp_path):
    parts = read_parts(export_package(model, tmp_path / "mine.zip"))
    said = yaml.safe_load(parts["rdf.yaml"])["weights"]["onnx"]
    assert (said["source"], said["parent"]) == ("model.onnx", "keras_v3")
    assert said["opset_version"] >= 7


def test_without_the_packages_onnx_says_what_to_install(model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(InputError, match=r"pip install 'napari-unet\[exchange\]'"):
        export_onnx(model, tmp_path / "mine.onnx")
    assert not (tmp_path / "mine.onnx").exists()
