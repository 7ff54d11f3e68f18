from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from skimage.transform import downscale_local_mean

import napari_unet
from napari_unet.core.base.errors import InputError
from napari_unet.core.base.params import SegmentParams
from napari_unet.core.base.progress import Cancelled
from napari_unet.core.synthetic.scenes import render_nuclei
from napari_unet.io.hashing import hash_image
from napari_unet.jobs.model_cache import resolve_model
from napari_unet.jobs.protocol import (
    Correction,
    ExamineRequest,
    FineTuned,
    FineTuneRequest,
    Known,
    LargeRequest,
    PrepareRequest,
    SegmentRequest,
    VerifyRequest,
    ViewRequest,
    WarmUpRequest,
)
from napari_unet.jobs.table import JOBS
from napari_unet.nn.model import Model


def do(request, report=lambda progress: None):
    """Return what the worker's process would."""
    return JOBS[type(request)](request, report, lambda: False)


def test_segment_finds_the_cells(tiny_model, bright_squares):
    image, labels = bright_squares
    found = napari_unet.segment(image, tiny_model)
    assert found.dtype == np.int32
    assert napari_unet.evaluate(found, labels).ap75 == 1


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int64", "float32", "float64", "bool"])
def test_every_type_of_pixel_is_segmented(tiny_model, bright_squares, dtype):
    image, labels = bright_squares
    pixels = image > 100 if dtype == "bool" else image.astype(dtype)
    assert napari_unet.evaluate(napari_unet.segment(pixels, tiny_model), labels).ap75 == 1


def test_colour_and_alpha_are_segmented_as_grey(tiny_model, bright_squares):
    image, labels = bright_squares
    rgba = np.stack([image] * 3 + [np.full_like(image, 255)], -1)
    assert napari_unet.evaluate(napari_unet.segment(rgba, tiny_model), labels).ap75 == 1
    only_red = np.zeros((*image.shape, 3), np.uint8)
    only_red[..., 0] = image
    assert napari_unet.evaluate(napari_unet.segment(only_red, tiny_model, channel=0), labels).ap75 == 1


@pytest.mark.parametrize("axes", ["TYX", "CYX", "YXC", "TZYX", "ZCYX", "XYZ"])
def test_labels_have_the_images_spatial_and_time_axes(tiny_model, bright_squares, axes):
    image, labels = bright_squares
    sizes = {"T": 2, "Z": 3, "C": 2}
    order = [axes.index(a) for a in axes if a not in "YX"]
    stack = image if axes.index("Y") < axes.index("X") else image.T
    for position in sorted(order):
        stack = np.stack([stack] * sizes[axes[position]], position)
    found = napari_unet.segment(stack, tiny_model, axes=axes, channel=1 if "C" in axes else None)
    expected = [n for n, a in zip(stack.shape, axes, strict=True) if a != "C"]
    assert list(found.shape) == expected
    spatial = [a for a in axes if a != "C"]
    plane = found[tuple(slice(None) if a in "YX" else -1 for a in spatial)]
    truth = labels if spatial.index("Y") < spatial.index("X") else labels.T
    assert napari_unet.evaluate(plane, truth).ap75 == 1


SIZES = [{"T": 1, "Z": 3, "C": 2}, {"T": 3, "Z": 2, "C": 1}, {"T": 2, "Z": 1, "C": 3}]


@pytest.mark.parametrize("sizes", SIZES, ids=["T1Z3C2", "T3Z2C1", "T2Z1C3"])
@pytest.mark.parametrize("others", ["", "T", "Z", "C", "TZ", "TC", "ZC", "TZC"])
def test_any_order_of_axes_of_any_length_gives_labels_of_the_right_shape(
    bright, bright_squares, others, sizes
):
    image, truth = (array[::2, ::2] for array in bright_squares)
    lengths = {**sizes, "Y": image.shape[0], "X": image.shape[1]}
    for axes in map("".join, permutations("YX" + others)):
        upright = axes.index("Y") < axes.index("X")
        slots = tuple(slice(None) if a in "YX" else None for a in axes)
        plane = (image if upright else image.T)[slots]
        found = napari_unet.segment(np.broadcast_to(plane, [lengths[a] for a in axes]), bright, axes=axes)
        spatial = axes.replace("C", "")
        assert found.shape == tuple(lengths[a] for a in spatial), axes
        last = found[tuple(slice(None) if a in "YX" else -1 for a in spatial)]
        assert len(np.unique((last if upright else last.T)[truth > 0])) == 3, axes


@pytest.fixture
def bright(tiny_model):
    return napari_unet.load_model(tiny_model)


def test_channels_are_combined_where_no_single_one_shows_all(tiny_model, bright_squares):
    image, labels = bright_squares
    background = np.minimum(image, 31)
    one = np.where(labels == 1, image, background)
    others = 10 * np.where(labels > 1, image.astype(np.uint16), background)
    stack = np.stack([one, background, others])
    found = napari_unet.segment(stack, tiny_model, axes="CYX", channel=(0, 2))
    assert found.max() == 3
    assert napari_unet.segment(stack, tiny_model, axes="CYX", channel=[2]).max() == 2
    colours = np.stack([one, background, np.where(labels > 1, image, background)], -1)
    assert napari_unet.segment(colours, tiny_model, axes="YXS", channel=(0, 2)).max() == 3


def test_several_channels_teach_what_they_show_together(tiny_model, bright_squares):
    image, labels = bright_squares
    stack = np.stack([image, np.zeros_like(image), image])
    result = napari_unet.fine_tune(tiny_model, stack, labels, axes="CYX", channel=(0, 2), steps=1)
    assert len(result.history) == 1
    with pytest.raises(InputError, match="has only 3 channels"):
        napari_unet.fine_tune(tiny_model, stack, labels, axes="CYX", channel=(0, 3), steps=1)


@pytest.mark.parametrize(
    ("sizes", "pixel_size", "warned"),
    [
        (None, 0.5, False),
        (None, 1.4, False),
        (None, None, False),
        (None, 2.0, True),
        (None, 0.1, True),
        ((10.0, 60.0), 2.0, False),
        ((200.0, 900.0), 2.0, True),
    ],
)
def test_a_pixel_size_that_nothing_bears_out_is_warned_of(
    bright, bright_squares, tmp_path, sizes, pixel_size, warned
):
    known = {"pixel_size": 0.5, "size_range": sizes, "object_size": 20.0}
    model = replace(bright, card=bright.card.model_copy(update=known))
    notes = []
    napari_unet.segment(bright_squares[0], model, pixel_size=pixel_size, warn=notes.append)
    assert len(notes) == warned
    model.save(tmp_path / "own.keras")
    params = SegmentParams(model=str(tmp_path / "own.keras"), axes="YX", pixel_size=pixel_size)
    request = SegmentRequest(image=bright_squares[0], params=params)
    assert do(request).notes == tuple(notes)
    if pixel_size == 2.0 and warned:
        assert "4 times larger" in notes[0]
        assert "check the pixel size" in notes[0]


def test_one_plane_that_bears_the_pixel_size_out_is_enough(bright, bright_squares):
    known = {"pixel_size": 0.5, "size_range": (10.0, 60.0), "object_size": 20.0}
    model = replace(bright, card=bright.card.model_copy(update=known))
    image, notes = bright_squares[0], []
    stack = np.stack([np.zeros_like(image), image])
    napari_unet.segment(stack, model, axes="ZYX", pixel_size=2.0, warn=notes.append)
    assert notes == []


@pytest.mark.parametrize(
    ("side", "objects", "radius", "own"),
    [(768, 24, 28.0, None), (768, 24, 28.0, 0.5), (768, 60, 28.0, None), (768, 120, 20.0, None)],
    ids=["model without pixel size", "model of 0.5 µm", "dense", "dense and small"],
)
def test_the_same_scene_has_as_many_cells_at_every_pixel_size(side, objects, radius, own):
    scene = render_nuclei((side, side), objects=objects, radius=radius, seed=0)
    model = napari_unet.load_model("nuclei")
    model = replace(model, card=model.card.model_copy(update={"pixel_size": own}))
    counts = {}
    for pixel_size, factor in ((0.25, 1), (0.5, 2), (1.0, 4)):
        image = downscale_local_mean(scene.image, (factor, factor)).astype(np.uint16)
        counts[pixel_size] = napari_unet.segment(image, model, pixel_size=pixel_size).max()
        if own is None:  # nothing to compare the pixel size with
            assert napari_unet.segment(image, model).max() == counts[pixel_size]
    for count in counts.values():
        assert abs(count - counts[0.5]) <= 0.05 * counts[0.5]


def test_a_cell_has_one_number_in_all_its_planes(tiny_model, bright_squares):
    image, labels = bright_squares
    stack = np.stack([image, image, np.where(labels == 1, 200, 20).astype(np.uint8), image])
    found = napari_unet.segment(stack, tiny_model, axes="ZYX")
    numbers = [set(plane[plane > 0]) for plane in found]
    assert numbers == [{1, 2, 3}, {1, 2, 3}, {1}, {1, 2, 3}]
    np.testing.assert_array_equal(found[0], found[3])


def test_cells_over_one_another_have_different_numbers(tiny_model, bright_squares):
    image, labels = bright_squares
    dark = np.where(labels > 3, 200, 20).astype(np.uint8)
    dark[0, 0] = 200
    found = napari_unet.segment(np.stack([image, image, dark, dark, image, image]), tiny_model, axes="ZYX")
    assert [set(found[plane][labels > 0]) for plane in (1, 2, 4)] == [{1, 2, 3}, {0}, {4, 5, 6}]


@pytest.mark.parametrize("axes", ["TYX", "YXT", "TZYX", "ZTYX"])
def test_a_cell_that_moves_keeps_its_number_over_time(tiny_model, bright_squares, axes):
    image, _ = bright_squares
    frames = np.stack([np.roll(image, 3 * frame, 1) for frame in range(4)])
    stack = np.stack([frames] * 3, 1) if "Z" in axes else frames
    order = ["TZYX".replace("Z" if "Z" not in axes else " ", "").index(axis) for axis in axes]
    found = napari_unet.segment(stack.transpose(order), tiny_model, axes=axes).transpose(np.argsort(order))
    assert found.max() == 3
    for frame in range(4):
        np.testing.assert_array_equal(np.roll(found[0], 3 * frame, -1), found[frame])


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((0, 10)), "empty"),
        (np.full((32, 32), 7), "constant"),
        (np.full((32, 32), np.nan), "NaN"),
        (np.zeros(10), "axes"),
        (np.zeros((8, 8), complex), "numbers"),
    ],
)
def test_bad_images_are_explained(tiny_model, image, words):
    with pytest.raises(InputError, match=words):
        napari_unet.segment(image, tiny_model)


def test_unknown_models_are_explained(tmp_path):
    with pytest.raises(InputError, match="no model called 'unknown'"):
        napari_unet.segment(np.eye(8), "unknown")
    with pytest.raises(InputError, match="no model file"):
        napari_unet.load_model(tmp_path / "missing.keras")


def test_fine_tuning_accepts_single_arrays_and_names_misfits(tiny_model, bright_squares):
    image, labels = bright_squares
    result = napari_unet.fine_tune(tiny_model, image, labels, steps=2)
    assert len(result.history) == 2
    assert np.isfinite(result.history[-1]["loss"])
    with pytest.raises(InputError, match="need the shape"):
        napari_unet.fine_tune(tiny_model, image, labels[:-1], steps=2)
    with pytest.raises(InputError, match="one of each"):
        napari_unet.fine_tune(tiny_model, [image, image], [labels], steps=2)
    with pytest.raises(InputError, match="Nothing has been reviewed"):
        napari_unet.fine_tune(tiny_model, image, labels, reviewed=np.zeros_like(labels), steps=2)
    with pytest.raises(InputError, match="whole numbers"):
        napari_unet.fine_tune(tiny_model, image, labels * 0.5, steps=2)


def test_the_worker_s_jobs_segment_and_fine_tune(tiny_model, bright_squares, tmp_path):
    image, labels = bright_squares
    assert do(WarmUpRequest(tiny_model)).backend == "tensorflow"
    request = SegmentRequest(image=image, params=SegmentParams(model=str(tiny_model), axes="YX"))
    assert do(request).labels.max() == 3
    reports = []
    output = tmp_path / "child.keras"
    plane = Correction(image=image, axes="YX", labels=labels, reviewed=labels >= 0, hash="ab")
    request = FineTuneRequest(model=tiny_model, output=output, corrections=(plane,), steps=3)
    result = do(request, reports.append)
    assert isinstance(result, FineTuned)
    assert len(result.history) == 3
    assert do(PrepareRequest(tiny_model)) is None
    known = do(ExamineRequest(parent=tiny_model, child=output))
    assert known == Known(None, None)  # it finds what is bright, no nuclei
    assert "known" not in napari_unet.load_model(output).card.scores
    assert [p.values["step"] for p in reports if "loss" in p.values] == [1, 2, 3]
    assert napari_unet.load_model(output).card.parent == napari_unet.load_model(tiny_model).sha256


@pytest.mark.parametrize("kind", [SegmentRequest, ViewRequest, LargeRequest])
def test_a_job_looks_as_often_as_it_is_asked_to(kind, tiny_model, bright_squares, tmp_path, monkeypatch):
    looked, predict = [], Model.read_maps

    def note(model, *told, **options):
        looked.append(model.views)
        return predict(model, *told, **options)

    monkeypatch.setattr(Model, "read_maps", note)
    params = SegmentParams(model=str(tiny_model), axes="YX", views=2)
    told = {"image": bright_squares[0], "params": params}
    told |= {"box": ((0, 9), (0, 9)), "scale": 1.0} if kind is ViewRequest else {}
    told |= {"output": tmp_path / "cells.zarr"} if kind is LargeRequest else {}
    do(kind(**told))
    assert looked
    assert set(looked) == {2}


def test_a_model_that_looks_several_times_is_made_once(tiny_model):
    careful = resolve_model(tiny_model, 8)
    assert careful.views == 8
    assert resolve_model(tiny_model, 8) is careful
    assert resolve_model(tiny_model).views == 1


def test_a_cancelled_job_stops(tiny_model, bright_squares):
    image, _ = bright_squares
    request = SegmentRequest(image=image, params=SegmentParams(model=str(tiny_model), axes="YX"))
    with pytest.raises(Cancelled):
        JOBS[SegmentRequest](request, lambda progress: None, lambda: True)


def test_a_fine_tuned_model_s_card_says_when_from_what_and_by_what_it_was_made(tiny_model, bright_squares):
    image, labels = bright_squares
    parent = napari_unet.load_model(tiny_model)
    old = replace(parent, card=parent.card.model_copy(update={"created": "2020-01-01T00:00:00+00:00"}))
    other = np.roll(image, 3, 0)
    words = {"labels": [labels, np.roll(labels, 3, 0)], "steps": 1}
    card = napari_unet.fine_tune(old, [image, other], **words).model.card
    assert card.parent == parent.sha256
    assert card.created > "2026"
    assert set(card.training["image_sha256"]) == {hash_image(image), hash_image(other)}
    assert card.training["fine_tuned_on"]["reviewed_pixels"] == 2 * image.size
    assert card.training["fine_tuned_on"]["reviewed_cells"] == 6
    assert {"napari-unet", "keras", "numpy"} <= set(card.versions)
    card = napari_unet.fine_tune(old, [image, other], **words, hashes=["ab", "ab"]).model.card
    assert card.training["image_sha256"] == ["ab"]


def test_a_model_file_is_verified_by_a_job(tiny_model, tmp_path):
    assert do(VerifyRequest(tiny_model)) == napari_unet.load_model(tiny_model).sha256
    (tmp_path / "bad.keras").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"bad\.keras"):
        do(VerifyRequest(tmp_path / "bad.keras"))


def test_the_job_for_what_is_seen(tiny_model):
    scene = render_nuclei((300, 260), objects=60, radius=9.0, seed=1).image
    params = SegmentParams(model=str(tiny_model), axes="CZYX", channel=1)
    said = []
    request = ViewRequest(
        image=np.stack([scene // 3, scene])[:, None], params=params, box=((100, 200), (100, 200))
    )
    result = do(request, lambda progress: said.append(progress.message))
    (top, bottom), (left, right) = result.window
    assert result.labels.shape == (bottom - top, right - left)
    rows, columns = result.doubts.points[:, 1:].T
    assert ((rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)).all()
    assert rows.max() > bottom - top
    assert result.scales == (1.0,)
    assert "tile" in said[-1]
