"""The one way from a plane to its cells, and that its three uses agree."""

from dataclasses import replace

import numpy as np
import pytest

from napari_unet.core.base.arrays import slices
from napari_unet.core.base.errors import InputError
from napari_unet.core.image.blocks import read_boxes, within
from napari_unet.core.image.normalisation import normalise
from napari_unet.core.synthetic.scenes import render_nuclei
from napari_unet.jobs import plane as pipeline
from napari_unet.jobs.doubts import find_doubts
from napari_unet.jobs.lazy_plane import PlaneSlot
from napari_unet.jobs.model_cache import resolve_model
from napari_unet.jobs.plane import OnDisk, segment_plane
from napari_unet.nn import model as network


@pytest.fixture(scope="module")
def scene():
    return render_nuclei((300, 260), objects=60, radius=9.0, seed=1).image


@pytest.fixture
def model(tiny_model):
    return resolve_model(tiny_model)


@pytest.mark.parametrize("scale", [1.0, 0.5, 1.6])
@pytest.mark.parametrize("box", [((80, 200), (60, 190)), ((180, 300), (0, 110)), ((123, 177), (0, 260))])
def test_what_is_seen_has_the_cells_of_the_whole(scene, tiny_model, scale, box):
    model = resolve_model(tiny_model)
    model = replace(model, card=model.card.model_copy(update={"scale": scale, "object_size": 18.0 * scale}))
    plane = scene[..., None]
    whole = model.predict(normalise(plane))
    seen = segment_plane(model, read_boxes(plane), scene.shape, box)
    assert seen.scale == whole.scale == scale
    np.testing.assert_allclose(seen.maps, whole.maps[slices(seen.window)], atol=1e-5)
    inner = within(box, seen.window)
    pairs = np.unique(np.stack([seen.labels[inner], whole.labels[slices(box)]]).reshape(2, -1), axis=1)
    assert len(pairs[0]) == len(np.unique(pairs[0])) == len(np.unique(pairs[1])) > 3


def segment_to_disk(model, scene, folder, **options):
    labels = np.zeros(scene.shape, np.int32)
    slot = PlaneSlot(labels, (slice(None), slice(None)))
    disk = OnDisk(folder, slot, 100)
    return segment_plane(model, read_boxes(scene[..., None]), scene.shape, disk=disk, **options), labels


@pytest.mark.parametrize("views", [1, 3])
@pytest.mark.parametrize("pixels", [0.25, 2.0, None])
def test_the_whole_plane_a_view_of_all_of_it_and_the_disk_agree(
    scene, model, tmp_path, monkeypatch, pixels, views
):
    """The model knows its pixel size: 0.25 µm is near it, 2 µm is not and has to be borne out."""
    monkeypatch.setattr(network, "TILE_AREA", 130 * 130)
    card = model.card.model_copy(update={"pixel_size": 0.3, "object_size": 18.0, "size_range": (12.0, 26.0)})
    model = replace(model, card=card, views=views)
    whole = segment_plane(model, read_boxes(scene[..., None]), scene.shape, pixel_size=pixels)
    expected = model.predict(normalise(scene[..., None]), pixel_size=pixels)
    assert whole.scale == expected.scale
    np.testing.assert_array_equal(whole.labels, expected.labels)
    np.testing.assert_array_equal(whole.maps, expected.maps)
    assert whole.labels.max() > 20
    box = ((0, 300), (0, 260))
    seen = segment_plane(model, read_boxes(scene[..., None]), scene.shape, box, scale=whole.scale)
    np.testing.assert_array_equal(seen.labels, whole.labels)
    told, labels = segment_to_disk(model, scene, tmp_path / "memory", pixel_size=pixels)
    np.testing.assert_array_equal(labels, whole.labels)
    assert (told.scale, told.question) == (whole.scale, whole.question)
    monkeypatch.setattr(pipeline, "_IN_MEMORY", 0)
    told, labels = segment_to_disk(model, scene, tmp_path / "disk", scale=whole.scale)
    np.testing.assert_array_equal(labels, whole.labels)


def test_a_pixel_size_that_the_cells_do_not_bear_out_is_questioned(scene, model):
    card = model.card.model_copy(update={"pixel_size": 0.01, "size_range": (100.0, 120.0)})
    found = segment_plane(
        replace(model, card=card), read_boxes(scene[..., None]), scene.shape, pixel_size=0.05
    )
    assert "check the pixel size" in found.question
    believed = segment_plane(model, read_boxes(scene[..., None]), scene.shape, pixel_size=0.05)
    assert believed.question == ""


@pytest.mark.parametrize("limit", [0, 1 << 20])
def test_a_constant_plane_is_refused_where_it_is_all_there_is(model, tmp_path, monkeypatch, limit):
    monkeypatch.setattr(pipeline, "_IN_MEMORY", limit)
    flat = np.full((80, 90), 7, np.uint16)
    with pytest.raises(InputError, match="constant"):
        segment_to_disk(model, flat, tmp_path / "refused", may_be_blank=False)
    _, labels = segment_to_disk(model, flat, tmp_path / "in a stack")
    assert labels.max() == 0


def test_doubts_lie_where_the_plane_has_them(scene, model):
    whole = segment_plane(model, read_boxes(scene[..., None]), scene.shape)
    seen = segment_plane(model, read_boxes(scene[..., None]), scene.shape, ((120, 200), (110, 190)))
    everywhere = find_doubts(model.card, whole, 3)
    here = find_doubts(model.card, seen)
    assert (everywhere.points[:, 0] == 3).all()
    rows, columns = here.points[:, 1:].T
    (top, bottom), (left, right) = seen.window
    assert top > 0
    assert left > 0
    assert ((rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)).all()
    known = {tuple(point) for point in everywhere.points[:, 1:].tolist()}
    inside = (rows >= 120) & (rows < 200) & (columns >= 110) & (columns < 190)
    assert inside.any()
    assert {tuple(point) for point in here.points[inside, 1:].tolist()} <= known
