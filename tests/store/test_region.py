"""Regions of images that are too large for a review, and what is seen of any image."""

from pathlib import Path

import numpy as np
import pytest
import zarr
from skimage.measure import label

from napari_unet.core.base.errors import InputError
from napari_unet.core.image.axes import PlaneGrid
from napari_unet.core.review.review import Review
from napari_unet.core.synthetic.scenes import render_nuclei
from napari_unet.io.hashing import hash_samples
from napari_unet.io.zarr_read import read_multiscale
from napari_unet.io.zarr_write import fill_label_image
from napari_unet.session.image import open_image
from napari_unet.session.source import Source
from napari_unet.session.training_images import gather_corrections
from napari_unet.store.large_labels import DiskCells
from napari_unet.store.project import Project
from napari_unet.store.region import WIDEST, Region, check_size, find_known


class Counted:
    """A huge array that counts how many bytes are read of it."""

    def __init__(self, shape, dtype=np.uint16):
        self.shape, self.dtype, self.ndim, self.read = shape, np.dtype(dtype), len(shape), 0

    def __getitem__(self, key):
        sizes = [len(range(*part.indices(size))) for part, size in zip(key, self.shape, strict=True)]
        values = np.full(sizes, key[-1].start % 251 + 1, self.dtype)
        self.read += values.nbytes
        return values


@pytest.fixture(scope="module")
def scene():
    return render_nuclei((300, 260), objects=60, radius=9.0, seed=1).image


@pytest.fixture
def project(tmp_path):
    return Project.open(tmp_path / "project")


@pytest.fixture
def opened(project):
    """A function that opens an image and lets go of it at the end."""
    images = []

    def open_one(data, **options):
        images.append(
            open_image(project, Source(**{"id": "1", "name": "plate", "data": data, **options}), {})
        )
        return images[-1]

    yield open_one
    for image in images:
        image.writer.close()


def test_a_large_image_is_known_by_samples_of_it(opened):
    data = Counted((20_000, 20_000))
    image = opened(data)
    assert image.is_large
    assert image.review is None
    assert image.count(None) is None
    assert 0 < data.read < 1e6
    assert opened(Counted((20_000, 20_000)), id="2", path="elsewhere.zarr").key != image.key


def test_a_region_is_all_that_is_read_of_it(opened):
    data = Counted((3, 20_000, 20_000))
    image = opened(data, axes="ZYX")
    before = data.read
    region = Region(image=image.key, plane=(1,), box=((100, 1124), (19_000, 20_000)))
    assert region.cut(data, image.grid.axes).shape == (1, 1024, 1000)
    assert data.read - before == 1024 * 1000 * 2


def test_pixels_in_memory_are_no_large_image(opened, monkeypatch):
    monkeypatch.setattr("napari_unet.io.lazy.LARGE", 1000)
    assert not opened(np.zeros((200, 200), np.uint8)).is_large


def test_samples_tell_images_apart():
    one = np.random.default_rng(0).integers(0, 99, (5000, 6000)).astype(np.uint16)
    same = hash_samples(one, "a.zarr")
    assert same == hash_samples(one.astype(">u2").astype("<u2"), "a.zarr")
    assert same != hash_samples(one, "b.zarr")
    assert same != hash_samples(one + np.uint16(1), "a.zarr")
    assert same != hash_samples(one[:-1], "a.zarr")
    hash_samples(np.zeros((2, 70, 30, 3), np.uint8), None)


def test_what_a_region_is_called_and_what_it_selects():
    region = Region(image="k", plane=(2,), box=((5, 9), (100, 170)))
    assert region.describe() == "[2, 5:9, 100:170]"
    assert region.shape == (4, 70)
    assert region.corner("ZCYX") == (2, 0, 5, 100)
    data = np.arange(4 * 3 * 20 * 200).reshape(4, 3, 20, 200)
    np.testing.assert_array_equal(region.cut(data, "ZCYX"), data[2:3, :, 5:9, 100:170])
    assert Region.model_validate(region.model_dump(mode="json")) == region


def test_a_view_that_is_too_large_says_how_far_to_zoom_in():
    check_size(((0, WIDEST), (10, WIDEST + 10)))
    with pytest.raises(InputError, match="zoom in until it is no more than 4096 x 4096 px"):
        check_size(((0, 100), (0, WIDEST + 1)))


def test_a_region_that_was_cut_before_comes_back_where_most_is_the_same():
    def region(top, left, side=100, **other):
        return Region(**{"image": "k", "plane": (), **other}, box=((top, top + side), (left, left + side)))

    known = [region(0, 0), region(20, 20), region(0, 0, image="other"), region(300, 300, 400)]
    assert find_known(known, region(15, 15)) == known[1]
    assert find_known(known, region(0, 5)) == known[0]
    assert find_known(known, region(60, 60)) is None
    assert find_known(known, region(350, 350, 50)) == known[3]
    assert find_known(known, region(0, 0, plane=(1,))) is None
    assert find_known([], known[0]) is None


GRID = PlaneGrid("ZYX", (2, 200, 240))


@pytest.fixture
def truth():
    rows, columns = np.indices((200, 240))
    flat = label((rows % 40 >= 20) & (columns % 40 >= 20)).astype(np.int32)
    return np.stack([np.zeros_like(flat), flat])


@pytest.fixture
def cells(tmp_path, truth, monkeypatch):
    monkeypatch.setattr("napari_unet.io.zarr_write.WIDE", 64)
    found = DiskCells(tmp_path, "my plate (1)", GRID)
    with fill_label_image(found.path, GRID.label_shape, "ZYX", pixel_size=0.5) as array:
        array[...] = truth
    return found


REGION = Region(image="k", plane=(1,), box=((30, 110), (50, 130)))


def test_labels_that_are_wide_have_coarser_levels(cells, truth):
    assert cells.path.name == "my-plate-1.zarr"
    assert cells.exist
    levels = cells.open_levels()
    assert [level.shape for level in levels] == [(2, 200, 240), (2, 100, 120), (2, 50, 60)]
    np.testing.assert_array_equal(levels[0], truth)
    np.testing.assert_array_equal(levels[1], truth[:, 1::2, 1::2])
    np.testing.assert_array_equal(levels[2], truth[:, 3::4, 3::4])
    steps = [level["coordinateTransformations"][0]["scale"] for level in read_multiscale(cells.path).levels]
    assert steps == [[1, 0.5, 0.5], [1, 1, 1], [1, 2, 2]]


def test_the_cells_of_a_region_go_back_into_all_levels_and_nowhere_else(cells, truth):
    flat = cells.read(REGION)
    np.testing.assert_array_equal(flat, truth[REGION.select("ZYX")])
    corrected = label(flat > 0).astype(np.int32)
    gone = corrected[0, 40, 20]
    corrected[corrected == gone] = 0
    corrected[0, 2:6, 2:6] = 77
    assert cells.write(REGION, corrected) == truth.max() + 1
    after = np.asarray(cells.open_levels()[0])
    expected = truth.copy()
    expected[REGION.select("ZYX")][expected[REGION.select("ZYX")] == truth[1, 70, 70]] = 0
    expected[1, 32:36, 52:56] = truth.max() + 1
    np.testing.assert_array_equal(after, expected)
    for number, level in enumerate(cells.open_levels()):
        step = 2**number
        np.testing.assert_array_equal(level, after[:, step - 1 :: step, step - 1 :: step])
    [note] = cells.folder.glob("cells-*.npz")
    with np.load(note) as noted:
        np.testing.assert_array_equal(noted["before"], truth[REGION.select("ZYX")][0])


def put(cells, side, box):
    """Put one square cell into an otherwise empty box."""
    region = Region(image="k", plane=(1,), box=box)
    square = np.zeros((1, *region.shape), np.int32)
    square[0, 2 : 2 + side, 2 : 2 + side] = 1
    cells.write(region, square)
    return region.select("ZYX")


def contents(cells):
    return [np.asarray(level) for level in cells.open_levels()]


def assert_same(one, other):
    for level, expected in zip(one, other, strict=True):
        np.testing.assert_array_equal(level, expected)


def test_what_was_put_in_is_taken_back_step_by_step(cells):
    states, places = [contents(cells)], []
    for number, box in enumerate([((30, 110), (50, 130)), ((61, 161), (33, 80)), ((30, 110), (50, 130))]):
        places.append(put(cells, 5 + number, box))
        states.append(contents(cells))
    assert cells.list_places() == places
    for before, place in zip(states[-2::-1], places[::-1], strict=True):
        assert (np.asarray(cells.open_levels()[0]) != before[0]).any()
        assert cells.take_back() == place
        assert_same(contents(cells), before)
    assert not cells.steps
    assert [path.name for path in cells.folder.iterdir()] == [cells.path.name]
    with pytest.raises(InputError, match="nothing to take back"):
        cells.take_back()
    put(cells, 5, ((0, 20), (0, 20)))
    cells.take_back()
    assert_same(contents(cells), states[0])


@pytest.mark.parametrize("where", ["before anything", "before the notes go", "between the notes"])
def test_taking_back_that_a_crash_has_cut_short_is_carried_out(cells, monkeypatch, where):
    before = contents(cells)
    put(cells, 5, ((30, 110), (50, 130)))
    put(cells, 6, ((30, 50), (50, 60)))
    second, gone, unlink = contents(cells), [], Path.unlink

    class Crash(BaseException):
        pass

    def crash(*_args, **_options):
        raise Crash

    def unlink_once(path, missing_ok=False):
        if gone or where == "before the notes go":
            raise Crash
        gone.append(path)
        unlink(path)

    with monkeypatch.context() as patched:
        if where == "before anything":
            patched.setattr("napari_unet.store.large_labels.refill_levels", crash)
        else:
            patched.setattr(Path, "unlink", unlink_once)
        with pytest.raises(Crash):
            cells.take_back()
    again = DiskCells(cells.folder, "my plate (1)", GRID)
    assert (contents(again)[0] != second[0]).any()
    assert len(again.steps) == 1
    again.take_back()
    assert_same(contents(again), before)


def test_cells_that_are_others_by_now_are_not_taken_back(cells, truth):
    put(cells, 5, ((30, 110), (50, 130)))
    with fill_label_image(cells.path, GRID.label_shape, "ZYX") as array:
        array[...] = truth
    with pytest.raises(InputError, match="were changed by other means"):
        cells.take_back()
    np.testing.assert_array_equal(cells.open_levels()[0], truth)
    cells.forget_steps()
    assert not cells.steps


def test_what_a_crash_has_cut_short_is_carried_out_when_the_cells_are_read(cells, monkeypatch):
    corrected = np.where(cells.read(REGION) > 0, 5, 0).astype(np.int32)
    with monkeypatch.context() as crash:
        crash.setattr(DiskCells, "_carry_out", lambda self: None)
        cells.write(REGION, corrected)
    before = zarr.open_array(cells.path / "0")[...]
    again = DiskCells(cells.folder, "other name", GRID)
    assert again.path == cells.path
    after = np.asarray(again.open_levels()[0])
    assert (after != before).any()
    np.testing.assert_array_equal(after[REGION.select("ZYX")] > 0, corrected > 0)
    assert not (cells.folder / "cells-pending.npz").exists()


def test_cells_of_an_image_that_is_taken_otherwise_are_left_alone(cells, tmp_path):
    assert not DiskCells(tmp_path, "my plate", PlaneGrid("CYX", (2, 200, 240))).exist
    assert not DiskCells(tmp_path / "nowhere", "my plate", GRID).exist


def test_cells_that_cannot_be_written_are_told(cells, monkeypatch):
    def refuse(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("napari_unet.io.atomic.write_file", refuse)
    with pytest.raises(InputError, match="No space left on device"):
        cells.write(REGION, cells.read(REGION))


def test_what_a_killed_run_left_is_swept_up(cells):
    (cells.folder / f".{cells.path.name}.1a2b.tmp").mkdir()
    cells.sweep()
    assert cells.exist
    assert not list(cells.folder.glob("*.tmp"))


def test_corrections_of_a_region_teach_in_a_later_session(
    opened, project, scene, tmp_path, write_ome_zarr, monkeypatch
):
    monkeypatch.setattr("napari_unet.io.lazy.LARGE", 1000)
    path = write_ome_zarr(tmp_path / "mosaic.zarr", scene, "YX")
    region = Region(image="k", plane=(), box=((40, 140), (30, 150)))
    pixels = region.cut(scene, "YX")
    image = opened(pixels, path=str(path), axes="YX", pixel_size=0.25, region=region)
    review = Review.of(np.zeros(pixels.shape, np.int32))
    review.marked[5:50, 5:50] = True
    image.begin(review, "nuclei")
    image.writer.close()
    taught = {image.record.info.hash}  # it taught the model before, so that it teaches again
    other = opened(scene[:50, :50].copy(), id="2", pixel_size=0.25)
    other.review = Review.of(np.zeros((50, 50), np.int32))
    plane = gather_corrections(project, other, [other], None, taught=taught).planes[0]
    np.testing.assert_array_equal(plane.image, pixels)
    assert plane.reviewed.sum() == 45 * 45
