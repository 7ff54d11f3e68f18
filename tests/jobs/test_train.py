import numpy as np
import pytest
import tifffile

from napari_unet.core.base.params import NetworkParams, Preset, TrainParams
from napari_unet.core.learning.sampling import TrainingImage
from napari_unet.jobs.train import balance, load_colour_views, load_images, train_from_folders
from napari_unet.nn.model_file import hash_file, load_network, read_card

QUICK = TrainParams(steps=2, tile=32, batch=2, validate_every=2, warm_up=1)


def write_folders(folder, *, count=3, colour=False, side=12, seed=0):
    rng = np.random.default_rng(seed)
    for number in range(count):
        labels = np.zeros((64, 64), np.uint16)
        labels[4 : 4 + side, 6 : 6 + side], labels[40 : 40 + side, 30 : 30 + side] = 1, 2
        image = np.where(labels > 0, 180, 40) + rng.integers(0, 20, labels.shape)
        if colour:
            image = np.stack([image, 255 - image, image // 2], -1)
        for name, array in (("images", image.astype(np.uint8)), ("masks", labels)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(folder / name / f"{number}.tif", array)
    return folder / "images", folder / "masks"


@pytest.fixture(autouse=True)
def tiny_preset(monkeypatch):
    from napari_unet.jobs import train as training

    network = NetworkParams(filters=4, depth=2, classes=3, initializer="he_normal")
    presets = {"tiny": Preset(network, ("foreground", "border", "distance"))}
    monkeypatch.setattr(training, "PRESETS", presets)


def test_a_colour_image_also_teaches_as_each_of_its_channels(tmp_path):
    folders = write_folders(tmp_path, count=2, colour=True)
    luminance, views = load_images(*folders), load_colour_views(*folders)
    assert (len(luminance), len(views)) == (2, 6)
    assert {view.image.shape for view in views} == {(64, 64, 1)}
    bright, dark = views[0], views[1]  # the second channel is the negative of the first
    assert bright.image[bright.labels > 0].mean() > 0.5 > dark.image[dark.labels > 0].mean()
    assert load_colour_views(*write_folders(tmp_path / "grey")) == []


def test_a_large_data_set_does_not_drown_a_small_one():
    def make(cells):
        labels = np.arange(cells + 1, dtype=np.int32).reshape(1, -1)
        return TrainingImage(np.zeros((1, cells + 1, 1), np.float32), labels)

    large, small = [make(100) for _ in range(9)], [make(100)]
    balanced = balance([large, small])
    drawn = [image.share * np.sqrt(image.labels.size) for image in balanced]
    assert sum(drawn[:9]) / drawn[9] == pytest.approx(np.sqrt(9))


def test_training_may_go_on_from_a_model(tmp_path):
    folders = [write_folders(tmp_path / "data")]
    first, second = tmp_path / "first.keras", tmp_path / "second.keras"
    train_from_folders(folders, first, preset="tiny", params=QUICK)
    still = QUICK.model_copy(update={"learning_rate": 1e-9, "steps": 1})
    train_from_folders(folders, second, preset="tiny", start=first, params=still)
    assert read_card(second).parent == hash_file(first)
    assert read_card(second).training["went_on_from"]["recipe"]["steps"] == QUICK.steps
    for before, after in zip(*(load_network(p)[0].get_weights() for p in (first, second)), strict=True):
        np.testing.assert_allclose(before, after, atol=1e-3)


def test_the_network_sees_cells_at_the_size_asked_for(tmp_path):
    folders = [write_folders(tmp_path / "data", side=24)]
    output = tmp_path / "model.keras"
    card, _ = train_from_folders(folders, output, preset="tiny", object_size=12, params=QUICK)
    assert card.scale == pytest.approx(12 / (2 * 24 / np.sqrt(np.pi)), rel=0.01)
    assert card.object_size == pytest.approx(12)
    assert card.size_range[0] < 12 < card.size_range[1]
