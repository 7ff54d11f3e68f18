"""The recipe on real images: `pytest tests/test_from_scratch.py --data FOLDER` (`make test-training`)."""

import json
from pathlib import Path

import pytest

from napari_unet.cli.main import main

STEPS = 600


@pytest.mark.timeout(3600)
def test_a_few_minutes_of_training_from_scratch_beat_otsu(request, tmp_path, capsys):
    data = request.config.getoption("--data")
    if data is None:
        pytest.skip("needs images: give the folder that holds dsb2018_fluo by --data")
    folder, model = Path(data) / "dsb2018_fluo", tmp_path / "scratch.keras"
    train = ["train", "--preset", "unet-16", "--output", model, "--steps", STEPS, "--validate-every", STEPS]
    pairs = ["--images", folder / "train" / "images", "--labels", folder / "train" / "masks"]
    run([*train, *pairs])
    capsys.readouterr()
    run(["benchmark", data, "--set", "dsb2018_fluo", "--model", model, "--peer", "otsu", "--json"])
    ours, otsu = json.loads(capsys.readouterr().out)["results"]
    assert ours["scores"]["ap50"] > otsu["scores"]["ap50"]
    assert ours["scores"]["mean_ap"] > otsu["scores"]["mean_ap"]


def run(words: list[object]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    assert ended.value.code == 0
