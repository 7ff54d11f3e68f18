import json
from dataclasses import replace

import dask.array as da
import numpy as np
import pytest
import zarr

from napari_unet.cli.main import main
from napari_unet.core.base.errors import InputError
from napari_unet.core.base.params import SegmentParams
from napari_unet.core.image.axes import plan_planes
from napari_unet.core.image.blocks import Components
from napari_unet.core.synthetic.scenes import render_nuclei
from napari_unet.io.lazy import is_large
from napari_unet.io.zarr_read import read_multiscale
from napari_unet.io.zarr_write import count_cells
from napari_unet.jobs import large, plane
from napari_unet.jobs.batch import plan_batch
from napari_unet.jobs.batch_task import segment_file
from napari_unet.jobs.large import estimate_job, segment_large_job
from napari_unet.jobs.model_cache import resolve_model
from napari_unet.jobs.protocol import EstimateRequest, LargeRequest, Outline
from napari_unet.jobs.segmentation import segment
from napari_unet.nn import model as predictor


@pytest.fixture(autouse=True)
def in_parts(monkeypatch):
    """Small images are segmented in parts too, in several tiles."""
    monkeypatch.setattr(plane, "_IN_MEMORY", 0)
    monkeypatch.setattr(predictor, "TILE_AREA", 130 * 130)


@pytest.fixture(scope="module")
def scene():
    return render_nuclei((210, 190), objects=30, radius=9.0, seed=1).image


@pytest.fixture
def model(tiny_model):
    return resolve_model(tiny_model)


def segment_lazily(image, model, output, **options):
    chunks = tuple(min(50, size) for size in image.shape)
    return segment(da.from_array(image, chunks=chunks), model, output=output, **options)


@pytest.mark.parametrize("scale", [1.0, 0.4, 1.7])
def test_labels_on_disk_are_those_in_memory_whatever_the_blocks(scene, model, tmp_path, scale):
    model = replace(model, card=model.card.model_copy(update={"scale": scale, "object_size": 18.0 * scale}))
    whole = segment(scene, model)
    assert whole.max() > 10
    for block in (32, 57, 128, 4096):
        labels = segment_lazily(scene, model, tmp_path / f"{block}.zarr", block=block)
        assert isinstance(labels, zarr.Array)
        assert labels.dtype == np.int32
        np.testing.assert_array_equal(labels[...], whole)
        assert count_cells(labels) == whole.max()


@pytest.mark.parametrize(
    ("axes", "channel"),
    [
        ("YX", None),
        ("TYX", None),
        ("CYX", 1),
        ("CYX", (0, 1)),
        ("YXC", 0),
        ("ZCYX", (0, 1)),
        ("YXS", None),
        ("XY", None),
    ],
)
def test_any_axes_and_channels(scene, model, tmp_path, axes, channel):
    small = scene[:120, :100]
    sizes = {"T": 2, "Z": 2, "C": 2, "S": 3, "Y": 120, "X": 100}
    order = "TZCSYX"
    image = np.broadcast_to(small, [sizes[a] for a in order if a in axes])
    image = image.transpose([[a for a in order if a in axes].index(a) for a in axes]).copy()
    place = tuple(slice(0, 1) if a in "TZC" else slice(None) for a in axes)
    image[place] //= 2
    whole = segment(image, model, axes=axes, channel=channel)
    labels = segment_lazily(image, model, tmp_path / "labels.zarr", axes=axes, channel=channel, block=64)
    np.testing.assert_array_equal(labels[...], whole)


def test_the_scale_is_sought_once_for_all_blocks(scene, model, tmp_path):
    """By a sample where nothing is known, by pixel sizes where they are."""
    card = model.card.model_copy(update={"size_range": (30.0, 40.0), "object_size": 35.0})
    unknown = replace(model, card=card)
    labels = [
        segment_lazily(scene, unknown, tmp_path / f"{block}.zarr", block=block)[...] for block in (64, 256)
    ]
    assert labels[0].max() > 10
    np.testing.assert_array_equal(*labels)
    known = replace(model, card=card.model_copy(update={"pixel_size": 0.5}))
    labels = segment_lazily(scene, known, tmp_path / "known.zarr", pixel_size=0.25, block=64)
    np.testing.assert_array_equal(labels[...], segment(scene, known, pixel_size=0.25))


def test_it_is_a_label_image_with_its_pixel_size(scene, model, tmp_path):
    output = tmp_path / "labels.zarr"
    said = []
    segment_lazily(scene, model, output, pixel_size=0.5, warn=said.append)
    multiscale = read_multiscale(output)
    assert multiscale.is_labels
    assert (multiscale.axes, multiscale.calibration.pixel_size) == ("YX", 0.5)
    assert "190 x 210 px" in said[0]
    assert "GB of memory" in said[0]


def test_a_run_that_is_stopped_leaves_nothing_behind(scene, model, tmp_path):
    before = set(tmp_path.iterdir())

    def stop(progress):
        if "block 2" in progress.message:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        segment_lazily(scene, model, tmp_path / "labels.zarr", progress=stop)
    assert set(tmp_path.iterdir()) == before


def test_where_memory_does_not_suffice_blocks_are_halved(scene, model, tmp_path, monkeypatch, caplog):
    whole = segment(scene, model)
    add = Components.add

    def add_hungrily(self, mask, box):
        np.empty((min(mask.size // 20_000, 1), 1 << 50))
        return add(self, mask, box)

    monkeypatch.setattr(Components, "add", add_hungrily)
    monkeypatch.setattr(plane, "_SMALLEST_BLOCK", 100)
    labels = segment_lazily(scene, model, tmp_path / "labels.zarr", block=256)
    np.testing.assert_array_equal(labels[...], whole)
    assert "blocks of 256 px" in caplog.text
    monkeypatch.setattr(plane, "_SMALLEST_BLOCK", 200)
    with pytest.raises(InputError, match="not enough memory"):
        segment_lazily(scene, model, tmp_path / "labels.zarr", block=256)
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "labels.zarr" / "0")[...], whole)


def test_a_damaged_chunk_is_told_in_a_sentence(scene, model, tmp_path):
    path = tmp_path / "image.zarr"
    image = zarr.create_array(path, shape=scene.shape, dtype=scene.dtype, chunks=(64, 64))
    image[...] = scene
    (path / "c" / "1" / "1").write_bytes(b"damaged")
    with pytest.raises(InputError, match="damaged"):
        segment(zarr.open_array(path), model, output=tmp_path / "labels.zarr")
    assert not (tmp_path / "labels.zarr").exists()


@pytest.mark.parametrize(
    ("change", "output", "words"),
    [
        (lambda image: image, "labels.tif", "ends in .zarr"),
        (lambda image: image, "nowhere/labels.zarr", "not there"),
        (lambda image: np.zeros_like(image), "labels.zarr", "constant"),
        (lambda image: np.where(image > 0, np.nan, 0.0), "labels.zarr", "NaN"),
        (lambda image: image.astype(np.complex64), "labels.zarr", "complex64"),
    ],
)
def test_what_cannot_be_done_is_explained(scene, model, tmp_path, change, output, words):
    with pytest.raises(InputError, match=words):
        segment_lazily(change(scene), model, tmp_path / output)
    assert not (tmp_path / output).exists()


def test_a_full_drive_is_told_before_the_work(scene, model, tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr(large.shutil, "disk_usage", lambda folder: usage)
    seen = []
    with pytest.raises(InputError, match="make room"):
        segment_lazily(scene, model, tmp_path / "labels.zarr", progress=lambda p: seen.append(p.message))
    assert not any("tile" in message for message in seen)


def test_what_is_large():
    assert is_large(plan_planes((20_000, 20_000), "YX"))
    assert is_large(plan_planes((1000, 1000, 1000), "ZYX"))
    assert not is_large(plan_planes((3, 2048, 2048), "CYX"))


@pytest.fixture
def image_file(scene, tmp_path, write_ome_zarr, monkeypatch):
    monkeypatch.setattr("napari_unet.io.lazy.LARGE", 1000)
    (tmp_path / "images").mkdir()
    return write_ome_zarr(tmp_path / "images" / "mosaic.zarr", scene, "YX")


def test_the_command_line_takes_this_way_by_itself(scene, image_file, tiny_model, tmp_path, capsys):
    words = [image_file, "--output", tmp_path / "out", "--model", tiny_model, "--json"]
    with pytest.raises(SystemExit) as end:
        main(["segment", *map(str, words)])
    assert not end.value.code
    printed = capsys.readouterr()
    [row] = json.loads(printed.out)["segmented"]
    assert row["labels"] == str(tmp_path / "out" / "mosaic.zarr")
    assert "mosaic.zarr: The image (190 x 210 px" in printed.err
    whole = segment(scene, tiny_model)
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "out" / "mosaic.zarr" / "0")[...], whole)
    assert row["cells"] == whole.max()


def test_a_batch_takes_this_way_and_does_not_repeat_it(scene, image_file, tiny_model, tmp_path):
    [task] = plan_batch([image_file], tmp_path / "out", SegmentParams(model=str(tiny_model)))
    assert segment_file(task).status == "done"
    whole = segment(scene, tiny_model)
    np.testing.assert_array_equal(zarr.open_array(task.large_labels / "0")[...], whole)
    again = segment_file(task)
    assert (again.status, again.cells) == ("kept", whole.max())
    (image_file / "s0" / "c" / "0" / "0").write_bytes(b"damaged")
    failed = segment_file(task)
    assert failed.status == "failed"
    assert "damaged" in failed.error


def test_the_jobs_for_all_of_a_large_image(scene, tiny_model, tmp_path):
    image = zarr.create_array(tmp_path / "image.zarr", shape=scene.shape, dtype=scene.dtype, chunks=(64, 64))
    image[...] = scene
    params = SegmentParams(model=str(tiny_model), axes="YX")
    estimated = estimate_job(EstimateRequest(image=Outline.of(image), params=params), print, lambda: False)
    assert "GB of memory" in estimated
    request = LargeRequest(image=image, params=params, output=tmp_path / "cells.zarr")
    result = segment_large_job(request, lambda progress: None, lambda: False)
    assert result.cells == zarr.open_array(request.output / "0")[...].max() > 10


def test_a_stack_is_questioned_only_if_none_of_its_planes_bears_its_pixel_size_out(scene, model, tmp_path):
    card = model.card.model_copy(update={"pixel_size": 0.5, "size_range": (12.0, 26.0), "object_size": 18.0})
    model, said = replace(model, card=card), []
    stack = np.stack([np.zeros_like(scene), scene])
    labels = segment_lazily(
        stack, model, tmp_path / "cells.zarr", axes="ZYX", pixel_size=2.0, warn=said.append
    )
    assert labels[...].max() > 10
    assert not any("check the pixel size" in note for note in said)
