"""The examples run, and do what they say."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import tifffile
import zarr

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "sample_data"


def run(name: str, *arguments: object) -> str:
    """Run an example in a process of its own and return what it prints."""
    command = [sys.executable, ROOT / "examples" / name, *arguments]
    result = subprocess.run([*map(str, command)], capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_every_example_is_tried_here() -> None:
    tests = Path(__file__).read_text(encoding="utf-8")
    examples = [path.name for path in (ROOT / "examples").glob("*.py")]
    assert len(examples) == 4
    assert [name for name in examples if f'run("{name}"' not in tests] == []


def test_a_folder_is_segmented_and_a_bad_file_is_named(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    tifffile.imwrite(images / "good.tif", tifffile.imread(SAMPLES / "nuclei.tif")[:256, :256])
    tifffile.imwrite(images / "bad.tif", np.full((64, 64), np.nan, np.float32))
    printed = run("segment_folder.py", images, tmp_path / "labels")
    labels = tifffile.imread(tmp_path / "labels" / "good.tif")
    assert labels.shape == (256, 256)
    assert f"good.tif: {labels.max()} cells" in printed
    assert "bad.tif: skipped." in printed


def test_a_model_is_fine_tuned_and_saved(tmp_path: Path) -> None:
    output = tmp_path / "mine.keras"
    printed = run("fine_tune_model.py", SAMPLES / "nuclei.tif", SAMPLES / "nuclei_labels.tif", output, "15")
    assert "AP at IoU 0.5 on held-out cells" in printed
    assert output.is_file() == (f"Saved {output}" in printed)


def test_a_model_is_scored() -> None:
    printed = run("evaluate_model.py", SAMPLES / "nuclei.tif", SAMPLES / "nuclei_labels.tif")
    found, _, total = printed.split(" ")[:3]
    assert 0.5 * int(total) < int(found) <= int(total)


def test_a_large_image_is_segmented_from_disk_to_disk(tmp_path: Path) -> None:
    pixels = tifffile.imread(SAMPLES / "nuclei.tif")[:256, :256]
    zarr.create_array(tmp_path / "image.zarr", data=pixels, chunks=(128, 128))
    run("segment_large_image.py", tmp_path / "image.zarr", tmp_path / "labels.zarr")
    labels = zarr.open_group(tmp_path / "labels.zarr", mode="r")
    finest = labels[next(iter(sorted(labels.array_keys())))]
    assert finest.shape == pixels.shape
    assert np.asarray(finest).max() > 10
