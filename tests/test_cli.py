import json
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_unet.cli.main import main
from napari_unet.io.files import read_labels


def run(*words):
    """Run the command line in this process and return its exit code."""
    with pytest.raises(SystemExit) as exit_info:
        main([str(word) for word in words])
    return exit_info.value.code or 0


@pytest.fixture
def folders(tmp_path, bright_squares):
    image, labels = bright_squares
    for name, content in (("images", image), ("labels", labels.astype(np.uint16))):
        (tmp_path / name).mkdir()
        for index in range(3):
            tifffile.imwrite(tmp_path / name / f"field{index}.tif", np.roll(content, 3 * index, 0))
    return tmp_path


def test_segment_then_evaluate(folders, tiny_model, capsys):
    assert (
        run("segment", folders / "images", "--output", folders / "out", "--model", tiny_model, "--json") == 0
    )
    result = json.loads(capsys.readouterr().out)
    assert [row["cells"] for row in result["segmented"]] == [3, 3, 3]
    written = tifffile.imread(folders / "out" / "field1.tif")
    assert written.shape == (64, 80)
    assert run("evaluate", "--predictions", folders / "out", "--labels", folders / "labels", "--json") == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["ap75"] == 1
    assert scores["objects"] == 9


def test_ome_tiff_images_get_labels_that_match_them(folders, tiny_model, capsys):
    images = folders / "images"
    for path in list(images.iterdir()):
        path.rename(path.with_suffix(".ome.tif"))
    assert run("segment", images, "--output", folders / "out", "--model", tiny_model) == 0
    written = sorted(path.name for path in (folders / "out").glob("*.tif"))
    assert written == [f"field{n}.tif" for n in range(3)]
    assert run("evaluate", "--predictions", folders / "out", "--labels", folders / "labels", "--json") == 0
    words = ["--images", images, "--labels", folders / "out", "--model", tiny_model, "--steps", 1]
    assert run("fine-tune", *words, "--output", folders / "mine.keras") == 0


def test_channels_are_picked_and_combined(folders, tiny_model, bright_squares, capsys):
    image, labels = bright_squares
    background = np.minimum(image, 31)
    parts = [np.where(labels == 1, image, background), background, np.where(labels > 1, image, background)]
    path = folders / "stained.tif"
    tifffile.imwrite(path, np.stack(parts), imagej=True, metadata={"axes": "CYX"})
    for channel, cells in (("1", 1), ("3", 2), ("1,3", 3)):
        words = ["--channel", channel, "--model", tiny_model, "--json"]
        assert run("segment", path, "--output", folders / "out", *words) == 0
        assert json.loads(capsys.readouterr().out)["segmented"][0]["cells"] == cells
    assert run("segment", path, "--output", folders / "out", "--model", tiny_model, "--channel", "1,5") == 1
    assert "has only 3 channels: choose one of them" in capsys.readouterr().err
    for word in ("red", "0"):
        assert run("segment", path, "--output", folders / "out", "--channel", word) == 2
        assert f"'{word}' is no channel" in " ".join(capsys.readouterr().err.split())


def test_a_doubtful_pixel_size_is_told(folders, tiny_model, capsys):
    from napari_unet.nn.model_file import load_network, save_network

    network, card = load_network(tiny_model)
    save_network(network, card.model_copy(update={"pixel_size": 0.5}), tiny_model)
    path = folders / "images" / "field0.tif"
    words = ["--output", folders / "out", "--model", tiny_model, "--json"]
    assert run("segment", path, *words, "--pixel-size", 5) == 0
    told = capsys.readouterr()
    assert "field0.tif: The image's pixels (5 µm) are 10 times larger" in told.err
    assert json.loads(told.out)["segmented"]
    assert run("segment", path, *words, "--pixel-size", 0.6) == 0
    assert "times larger" not in capsys.readouterr().err


def test_labels_never_replace_an_image(folders, tiny_model, capsys):
    images, before = folders / "images", (folders / "images" / "field0.tif").read_bytes()
    assert run("segment", images / "field0.tif", "--output", images, "--model", tiny_model) == 1
    assert "field0.tif would be overwritten by its labels: choose another folder" in capsys.readouterr().err
    assert (images / "field0.tif").read_bytes() == before
    (images / "field0.tif").rename(images / "FIELD1.ome.tif")
    assert run("segment", images, "--output", folders / "out", "--model", tiny_model) == 1
    assert "would both be written to" in capsys.readouterr().err


def test_segment_goes_on_where_it_was_as_batch_does(folders, tiny_model, capsys):
    """The two share one runner: the same labels, records and table, and neither does what is done."""
    words = [folders / "images", "--output", folders / "out", "--model", tiny_model]
    assert run("segment", *words) == 0
    assert "(kept)" not in capsys.readouterr().err
    (folders / "out" / "field1.tif").unlink()
    assert run("segment", *words, "--json") == 0
    told = capsys.readouterr()
    assert [line.endswith(".tif") and "(kept)" in line for line in told.err.splitlines()] == [
        True,
        False,
        True,
    ]
    assert [row["cells"] for row in json.loads(told.out)["segmented"]] == [3, 3, 3]
    assert {path.suffix for path in (folders / "out").iterdir()} == {".tif", ".json", ".csv"}
    assert run("segment", *words, "--channel", "2") == 1
    assert "has no channels" in capsys.readouterr().err


def test_labels_may_lie_beside_images_that_they_do_not_replace(folders, tiny_model, bright_squares):
    Image.fromarray(bright_squares[0]).save(folders / "snap.png")
    assert run("segment", folders / "snap.png", "--output", folders, "--model", tiny_model) == 0
    assert read_labels(folders / "snap.tif").max() == 3


def test_one_bad_file_does_not_stop_the_others(folders, tiny_model, capsys):
    (folders / "images" / "broken.tif").write_bytes(b"no image")
    assert run("segment", folders / "images", "--output", folders / "out", "--model", tiny_model) == 1
    said = capsys.readouterr().err
    assert "broken.tif" in said
    assert "1 of 4 images" in said
    assert len(list((folders / "out").glob("*.tif"))) == 3


def test_fine_tune_writes_a_model_that_segments(folders, tiny_model, capsys):
    output = folders / "mine.keras"
    words = ["--images", folders / "images", "--labels", folders / "labels", "--model", tiny_model]
    assert run("fine-tune", *words, "--output", output, "--steps", 2, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["steps"] == 2
    assert {"before", "after", "accepted", "verdict", "reason", "known"} <= set(result)
    assert run("segment", folders / "images", "--output", folders / "o", "--model", output) == 0
    assert run("models", "show", output, "--json") == 0
    card = json.loads(capsys.readouterr().out)
    assert card["name"] == "mine"
    assert len(card["sha256"]) == len(card["parent"]) == 64


def test_fine_tune_to_cells_of_another_size_writes_a_model_that_segments(folders, tiny_model):
    from napari_unet.nn.model_file import load_network, read_card, save_network

    network, card = load_network(tiny_model)
    save_network(network, card.model_copy(update={"object_size": 6.0}), folders / "small.keras")
    words = [
        "--images",
        folders / "images",
        "--labels",
        folders / "labels",
        "--model",
        folders / "small.keras",
    ]
    assert run("fine-tune", *words, "--output", folders / "mine.keras", "--steps", 2) == 0
    assert read_card(folders / "mine.keras").description == "Fine-tuned from 'bright'."
    assert (
        run("segment", folders / "images", "--output", folders / "o", "--model", folders / "mine.keras") == 0
    )


def test_train_makes_a_model_with_a_complete_card(folders, capsys):
    output = folders / "new.keras"
    words = ["--images", folders / "images", "--labels", folders / "labels", "--output", output]
    limits = ["--preset", "unet-16", "--steps", 2, "--tile", 32, "--batch", 1, "--validate-every", 1]
    code = run("train", *words, *limits, "--title", "Squares", "--data", "drawn, CC0", "--json")
    told = capsys.readouterr()
    score = json.loads(told.out)["validation"]["ap50"]
    assert (code == 0) == (score > 0) == ("finds none of the cells" not in told.err)
    assert run("models", "show", output, "--json") == 0
    card = json.loads(capsys.readouterr().out)
    assert card["title"] == "Squares"
    assert card["training"]["data"] == "drawn, CC0"
    assert card["training"]["images"] == 2
    assert card["object_size"] == pytest.approx(21, abs=3)
    assert "keras" in card["versions"]


@pytest.mark.parametrize("command", ["train", "fine-tune"])
def test_a_place_that_cannot_be_written_is_told_before_anything_is_learnt(
    folders, capsys, command, tiny_model
):
    words = ["--images", folders / "images", "--labels", folders / "labels", "--steps", 100_000]
    assert run(command, *words, "--output", folders / "not there" / "new.keras") != 0
    assert "cannot be written" in capsys.readouterr().err


def test_models_are_listed_and_the_doctor_finds_all_well(capsys):
    assert run("models", "list", "--json") == 0
    names = [card["name"] for card in json.loads(capsys.readouterr().out)["models"]]
    assert "nuclei" in names
    assert run("doctor", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["problems"] == []
    assert found["megapixels_per_second"] > 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (np.zeros((20, 20), np.uint8), "constant"),
        (np.full((20, 20), np.nan, np.float32), "NaN"),
        (None, "check the name"),
        (b"text", "bad.tif"),
    ],
)
def test_bad_images_end_with_one_sentence(tmp_path, tiny_model, capsys, content, words):
    path = tmp_path / "bad.tif"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        tifffile.imwrite(path, content)
    assert run("segment", path, "--output", tmp_path / "out", "--model", tiny_model) == 1
    said = capsys.readouterr()
    assert words in said.err
    assert "Traceback" not in said.err
    assert said.err.strip().count("\n") == 0
    assert said.out == ""


def test_other_bad_input(folders, tiny_model, tmp_path, capsys):
    (tmp_path / "fake.keras").write_bytes(b"nothing")
    image = folders / "images" / "field0.tif"
    assert run("segment", image, "--output", tmp_path / "o", "--model", tmp_path / "fake.keras") == 1
    assert "fake.keras" in capsys.readouterr().err
    words = ["--images", folders / "images", "--labels", folders / "labels"]
    assert run("fine-tune", *words, "--output", tmp_path / "x.h5", "--model", tiny_model) == 1
    assert ".keras" in capsys.readouterr().err
    (folders / "labels" / "field2.tif").unlink()
    assert run("fine-tune", *words, "--output", tmp_path / "x.keras", "--model", tiny_model) == 1
    assert "field2" in capsys.readouterr().err
    assert run("open", tmp_path / "nowhere.tif") == 1
    assert "nowhere.tif" in capsys.readouterr().err
    assert not (tmp_path / "x.keras").exists()


def test_a_full_disk_is_one_sentence_and_the_old_result_stays(folders, tiny_model, capsys, monkeypatch):
    image = folders / "images" / "field0.tif"
    assert run("segment", image, "--output", folders / "out", "--model", tiny_model) == 0
    before = (folders / "out" / "field0.tif").read_bytes()

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("napari_unet.io.atomic.write", full)
    monkeypatch.setattr("napari_unet.io.atomic.sync", full)
    capsys.readouterr()
    assert run("segment", image, "--output", folders / "out", "--model", tiny_model) == 1
    said = capsys.readouterr().err
    assert "space" in said.lower()
    assert "Traceback" not in said
    assert (folders / "out" / "field0.tif").read_bytes() == before


def test_as_a_program_results_and_errors_keep_apart(tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "napari_unet.cli.main",
            "segment",
            str(tmp_path),
            "--output",
            str(tmp_path / "o"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("napari-unet: ")


def test_benchmark_prints_a_table_and_writes_it(folders, tiny_model, capsys):
    (folders / "data" / "squares").mkdir(parents=True)
    (folders / "labels").rename(folders / "masks")
    split = folders / "data" / "squares" / "val"
    split.mkdir()
    for name in ("images", "masks"):
        (folders / name).rename(split / name)
    words = ["benchmark", folders / "data", "--model", tiny_model, "--peer", "otsu", "--set", "squares"]
    assert run(*words, "--output", folders / "table.md") == 0
    said = capsys.readouterr()
    assert said.out.count("| squares |") == 2
    assert (folders / "table.md").read_text() == said.out
    assert "squares, otsu: AP50" in said.err
    assert run(*words, "--json") == 0
    model, otsu = json.loads(capsys.readouterr().out)["results"]
    assert (model["method"], otsu["method"]) == ("bright", "otsu")
    assert model["scores"]["ap75"] == 1
    assert model["images"] == 3
    assert run(*words, "--split", "test") == 1
    assert "test" in capsys.readouterr().err
    assert run(*words, "--output", folders / "table.keras") == 1
    said = capsys.readouterr().err
    assert ".md" in said
    assert said.count("\n") == 1


def test_export_writes_what_other_programs_open(folders, capsys):
    words = ["export", folders / "labels", "--output", folders / "out"]
    assert run(*words, "--format", "csv", "--images", folders / "images", "--json") == 0
    said = capsys.readouterr()
    rows = json.loads(said.out)["exported"]
    assert [(row["cells"], row["error"]) for row in rows] == [(3, None)] * 3
    assert "field0.tif: 3 cells ->" in said.err
    header, *lines = (folders / "out" / "field0.csv").read_text().splitlines()
    assert len(lines) == 3
    assert "mean_intensity" in header
    assert run(*words, "--format", "rois") == 0
    assert len(list((folders / "out").glob("*.zip"))) == 3


def test_export_says_what_is_wrong(folders, capsys):
    words = ["export", folders / "labels", "--output", folders / "out", "--format"]
    assert run(*words, "xls") == 1
    assert "no format 'xls'" in capsys.readouterr().err
    (folders / "labels" / "field1.tif").write_bytes(b"no image")
    assert run(*words, "geojson") == 1
    said = capsys.readouterr().err
    assert "field1.tif is damaged" in said
    assert "1 of 3 label images" in said
    assert len(list((folders / "out").iterdir())) == 2


def test_an_ome_zarr_image_is_segmented_and_gets_its_labels(folders, tiny_model, write_ome_zarr):
    image = tifffile.imread(folders / "images" / "field0.tif")
    path = write_ome_zarr(folders / "zarr" / "field0.zarr", image, "YX")
    assert run("segment", path, "--output", folders / "out", "--model", tiny_model) == 0
    words = ["--output", folders / "zarr", "--format", "zarr"]
    assert run("export", folders / "out" / "field0.tif", *words) == 0
    labels = read_labels(path / "labels" / "cells")
    np.testing.assert_array_equal(labels, tifffile.imread(folders / "out" / "field0.tif"))
    assert labels.max() == 3


def test_models_go_in_and_out_and_away(tiny_model, tmp_path, capsys):
    assert run("models", "import", tiny_model, "--name", "mine") == 0
    assert "'mine'" in capsys.readouterr().err
    assert run("models", "verify", "mine", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)["models"]
    assert (row["model"], row["error"], len(row["sha256"])) == ("mine", None, 64)
    assert run("models", "export", "mine", tmp_path / "shared.keras") == 0
    assert (tmp_path / "shared.keras").read_bytes() == tiny_model.read_bytes()
    capsys.readouterr()
    assert run("models", "import", tiny_model) == 1
    assert "it is the model 'mine'" in capsys.readouterr().err
    assert run("models", "delete", "mine", "--json") == 0
    said = capsys.readouterr()
    assert "Deleted 'mine'" in said.err
    assert json.loads(said.out)["sha256"] == row["sha256"]
    assert run("models", "show", "mine") == 1


def test_verify_says_one_sentence_for_each_bad_file(tiny_model, tmp_path, own_folders, capsys):
    from napari_unet.models.registry import models_folder

    models_folder().mkdir(parents=True)
    (models_folder() / "broken.keras").write_bytes(b"nothing")
    assert run("models", "verify") == 1
    said = capsys.readouterr()
    assert {line.split()[1] for line in said.out.splitlines()} >= {"nuclei", "cells"}
    assert said.err.count("\n") == 1
    assert "broken.keras" in said.err
    assert run("models", "verify", tiny_model, "nobody", tmp_path / "none.keras") == 1
    said = capsys.readouterr()
    assert said.out.split()[1] == "bright"
    assert said.err.count("\n") == 2


def test_a_deleted_parent_is_shown_by_its_hash(folders, tiny_model, capsys):
    assert run("models", "import", tiny_model) == 0
    output = folders / "child.keras"
    words = ["--images", folders / "images", "--labels", folders / "labels", "--model", "bright"]
    assert run("fine-tune", *words, "--output", output, "--steps", 1) == 0
    assert run("models", "import", output) == 0
    capsys.readouterr()
    assert run("models", "show", "child", "--json") == 0
    card = json.loads(capsys.readouterr().out)
    assert card["ancestry"] == [{"name": "bright", "sha256": card["parent"]}]
    assert len(card["training"]["image_sha256"]) == 3
    assert card["versions"]["napari-unet"]
    assert run("models", "delete", "bright") == 0
    assert "child" in capsys.readouterr().err
    assert run("models", "show", "child") == 0
    assert f"ancestry      {card['parent'][:12]}" in capsys.readouterr().out


def test_models_that_ship_cannot_be_deleted(capsys):
    assert run("models", "delete", "nuclei") == 1
    assert "ships with napari-unet" in capsys.readouterr().err
    assert run("models", "delete", "nobody") == 1
    assert "your own are none" in capsys.readouterr().err
    assert run("models", "verify", "nuclei") == 0
