import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

import napari_unet
from napari_unet.bench.methods import load_methods, segment_otsu
from napari_unet.core.base.errors import InputError
from napari_unet.core.cells.metrics import evaluate
from napari_unet.core.synthetic.scenes import render_nuclei
from napari_unet.io.files import ImageFile


def make_file(data, axes):
    return ImageFile(path=Path("image.tif"), data=data, axes=axes)


def test_otsu_finds_bright_nuclei_and_parts_those_that_touch():
    scene = render_nuclei((160, 160), objects=15, radius=11, seed=3)
    scores = evaluate(segment_otsu(scene.image), scene.labels)
    assert scores.ap50 > 0.5
    assert evaluate(segment_otsu(scene.image.max() - scene.image), scene.labels).ap50 < 0.3
    assert not segment_otsu(np.zeros((20, 20), np.uint8)).any()


@pytest.mark.parametrize(
    ("models", "peers", "words"),
    [
        (["nothing"], [], "no model called 'nothing'"),
        ([], ["ilastik:x"], "no peer 'ilastik:x'"),
        ([], ["stardist"], "give otsu, stardist:MODEL"),
        ([], ["otsu", "otsu"], "two methods called otsu"),
    ],
)
def test_methods_that_are_not_there_are_named(models, peers, words):
    with pytest.raises(InputError, match=words):
        load_methods(models, peers)


@pytest.mark.parametrize("peer", ["stardist:2D_versatile_fluo", "cellpose:cpsam"])
def test_a_peer_that_is_not_installed_is_one_sentence(monkeypatch, peer):
    for module in ("stardist", "stardist.models", "cellpose", "cellpose.models"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match="is not installed here"):
        load_methods([], [peer])


@pytest.fixture
def stardist(monkeypatch):
    """A stand-in for StarDist that calls every bright pixel one cell and keeps what it is given."""
    asked = []

    class StarDist2D:
        def __init__(self, config, name, basedir):
            print("Loading network weights")
            self.config = SimpleNamespace(n_channel_in=3 if "he" in name else 1)
            asked.append((name, basedir))

        @classmethod
        def from_pretrained(cls, name):
            if name == "2D_broken":
                raise OSError("no network")
            return cls(None, name, "home") if name.startswith("2D") else None

        def predict_instances(self, pixels):
            asked.append(pixels.shape)
            return (pixels if pixels.ndim == 2 else pixels[..., 0]) > 0.5, {}

    models, utils = ModuleType("stardist.models"), ModuleType("csbdeep.utils")
    models.StarDist2D = StarDist2D
    utils.normalize = lambda pixels, low, high, axis: pixels / np.percentile(pixels, high, axis=axis)
    for name in ("stardist", "csbdeep"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "stardist.models", models)
    monkeypatch.setitem(sys.modules, "csbdeep.utils", utils)
    return asked


def test_stardist_is_run_on_grey_or_colour_as_its_model_wants(stardist, bright_squares, capsys):
    image, labels = bright_squares
    words = ["stardist:2D_versatile_fluo", "stardist:2D_versatile_he"]
    for method in load_methods([], words):
        for file in (make_file(image, "YX"), make_file(np.stack([image] * 3, axis=-1), "YXS")):
            assert np.array_equal(method.segment(file), labels > 0)
    assert [method.name for method in load_methods([], words)] == words
    shapes = [entry for entry in stardist if isinstance(entry[0], int)]
    assert shapes == [(64, 80), (64, 80), (64, 80, 3), (64, 80, 3)]
    assert capsys.readouterr().out == ""


def test_stardist_models_come_by_folder_or_not_at_all(tmp_path, stardist):
    (tmp_path / "mine").mkdir()
    (method,) = load_methods([], [f"stardist:{tmp_path / 'mine'}"])
    assert method.name == "stardist:mine"
    assert stardist == [("mine", str(tmp_path))]
    with pytest.raises(InputError, match="knows no model 'nothing'"):
        load_methods([], ["stardist:nothing"])
    with pytest.raises(InputError, match=r"cannot be loaded \(no network\)"):
        load_methods([], ["stardist:2D_broken"])


def test_cellpose_never_takes_another_model_than_was_asked_for(monkeypatch, bright_squares):
    image, labels = bright_squares
    models = ModuleType("cellpose.models")
    models.MODEL_NAMES = ["cpsam"]
    models.get_user_models = lambda: ["mine"]
    models.CellposeModel = lambda pretrained_model: SimpleNamespace(eval=lambda x: (x > 100, None, None))
    monkeypatch.setitem(sys.modules, "cellpose", ModuleType("cellpose"))
    monkeypatch.setitem(sys.modules, "cellpose.models", models)
    (method,) = load_methods([], ["cellpose:cpsam"])
    assert np.array_equal(method.segment(make_file(image, "YX")), labels > 0)
    with pytest.raises(InputError, match=r"knows no model 'cyto3'.*cpsam, mine"):
        load_methods([], ["cellpose:cyto3"])


def test_otsu_takes_the_first_channel_and_numbers_planes_apart(bright_squares):
    image, _ = bright_squares
    other = np.full_like(image, 7)
    (method,) = load_methods([], ["otsu"])
    found = method.segment(make_file(np.stack([np.stack([image, other])] * 2), "ZCYX"))
    assert found.shape == (2, 64, 80)
    first, second = (set(plane[plane > 0]) for plane in found)
    assert len(first) == len(second) == 3
    assert not first & second


def test_a_model_segments_as_for_a_user_and_tells_what_is_inside(tiny_model, bright_squares):
    image, labels = bright_squares
    (method,) = load_methods([str(tiny_model)], [])
    file = make_file(np.stack([image, image]), "ZYX")
    assert np.array_equal(method.segment(file), napari_unet.segment(file.data, tiny_model, axes="ZYX"))
    interior = method.predict_interior(file)
    assert interior.shape == (2, 64, 80)
    assert np.array_equal(interior[1] > 0.5, labels > 0)
