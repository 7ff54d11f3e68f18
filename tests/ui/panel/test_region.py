"""What you see as what is segmented, and regions of images that are too large to be corrected as a whole."""

import itertools
import threading
import time

import dask.array as da
import numpy as np
import pytest
import zarr
from zarr.storage import MemoryStore

from napari_unet.io.files import read_labels
from napari_unet.io.layers import read_layers
from napari_unet.store import region
from napari_unet.store.large_labels import DiskCells
from napari_unet.ui.canvas.layers import METADATA, visible_box


def look_at(window, layer, rows, columns):
    """Let the canvas show just about a box of a layer."""
    window.hands.look_at(layer, (slice(*rows), slice(*columns)))
    window.qtbot.wait(100)


def choose(window, words):
    scope = window.panel.step1.scope
    row = scope.findText(words)
    assert row >= 0, [scope.itemText(n) for n in range(scope.count())]
    scope.setCurrentIndex(row)
    scope.activated.emit(row)


def scopes(window):
    scope = window.panel.step1.scope
    return [scope.itemText(row) for row in range(scope.count())]


def press_segment(window):
    window.hands.click(window.panel.step1.segment)
    window.settle()


def test_only_what_is_seen_is_segmented_and_the_rest_stays(window, cells):
    image = window.add_image(cells, scale=(0.5, 0.5), translate=(7, 9), units=("um", "um"))
    assert scopes(window) == ["Whole image", "What you see"]
    assert window.panel.step1.scope.isVisible()
    choose(window, "What you see")
    look_at(window, image, (30, 130), (30, 130))
    seen = visible_box(window.viewer, image, window.panel.canvas.image.grid)
    labels = window.segment()
    for positions, (start, stop) in zip(np.nonzero(labels.data), seen, strict=True):
        assert start <= positions.min() + 20
        assert positions.max() - 20 < stop
    ids = np.unique(labels.data)
    assert 4 < len(ids) < 25
    assert f"{len(ids) - 1} cells found in view" in window.panel.run_bar.status.text()
    drawn = np.isin(labels.data, ids[1:])
    assert {np.count_nonzero(labels.data == cell) for cell in ids[1:]} == {400}  # no cell is cut
    before = labels.data.copy()
    look_at(window, image, (80, 180), (80, 180))
    press_segment(window)
    np.testing.assert_array_equal(labels.data[drawn], before[drawn])
    assert len(np.unique(labels.data)) > len(ids)
    choose(window, "Whole image")
    press_segment(window)
    assert len(np.unique(labels.data)) == 1 + 30


def test_what_was_reviewed_in_the_view_stays(window, cells):
    image = window.add_image(cells)
    labels = window.segment()
    window.paint((10, 60), (10, 100))
    window.wait(lambda: window.panel.canvas.image.counts.changed_cells == 1)
    painted = labels.data.copy()
    choose(window, "What you see")
    look_at(window, image, (0, 60), (40, 120))
    press_segment(window)
    np.testing.assert_array_equal(labels.data, painted)
    np.testing.assert_array_equal(window.review.labels, painted)


def test_what_is_seen_of_a_plane_of_a_stack(window, stack):
    image = window.add_image(stack)
    assert scopes(window) == ["This plane", "Whole stack", "What you see"]
    choose(window, "What you see")
    window.viewer.dims.set_current_step(0, 2)
    look_at(window, image, (30, 130), (30, 130))
    labels = window.segment()
    assert [bool(plane.any()) for plane in labels.data] == [False, False, True, False]
    assert 4 < len(np.unique(labels.data)) < 25


@pytest.mark.parametrize("what", ["away", "3D"])
def test_where_nothing_can_be_seen_it_says_so(window, cells, what):
    window.add_image(cells)
    choose(window, "What you see")
    if what == "3D":
        window.viewer.dims.ndisplay = 3
    else:
        window.viewer.scene.camera.center = (5000, 5000)
    window.qtbot.wait(50)
    press_segment(window)
    assert window.panel.session.is_error
    assert ("out of view" if what == "away" else "switch to 2D") in window.panel.run_bar.status.text()
    window.viewer.dims.ndisplay = 2


def test_a_fine_tuned_model_segments_what_was_seen(window, cells):
    image = window.add_image(cells)
    choose(window, "What you see")
    look_at(window, image, (30, 130), (30, 130))
    labels = window.segment()
    before = np.unique(labels.data)
    window.hands.click(window.panel.step2.mark)
    window.wait(lambda: window.panel.step3.fine_tune.isEnabled())
    window.hands.click(window.panel.step3.fine_tune)
    window.wait(lambda: window.panel.session.trial is not None)
    window.settle()
    assert window.panel.session.trial.result.asked.next_planes[0] != cells.shape
    assert set(np.unique(labels.data)) == set(before)


@pytest.fixture
def mosaic(cells, monkeypatch):
    """An image of 400 x 480 px that is large here, as dask reads it: 120 squares."""
    monkeypatch.setattr("napari_unet.io.lazy.LARGE", 100_000)
    monkeypatch.setattr(region, "WIDEST", 200)
    monkeypatch.setattr("napari_unet.io.zarr_write.WIDE", 128)
    return np.tile(cells, (2, 2))


@pytest.fixture
def lazy(mosaic):
    return da.from_array(mosaic, chunks=64)


def cut(window, layer, rows=(100, 180), columns=(100, 180)):
    """Press Segment where the canvas shows some of a large image; return the layer of the region."""
    look_at(window, layer, rows, columns)
    press_segment(window)
    canvas = window.panel.canvas
    window.wait(lambda: canvas.image is not None and canvas.image.counts is not None)
    window.settle()
    return window.panel.canvas.layer


def test_a_region_of_a_large_image_lies_over_it_and_is_corrected_like_any_other(window, lazy, mosaic):
    image = window.add_image(lazy, scale=(0.5, 0.5), translate=(3, 4), units=("um", "um"), rotate=0)
    assert window.panel.canvas.image.is_large
    assert scopes(window) == ["What you see", "Whole image"]
    part = cut(window, image)
    known = part.metadata[METADATA]["region"]
    (top, bottom), (left, right) = known.box
    assert part.name == f"plate [{top}:{bottom}, {left}:{right}]"
    np.testing.assert_array_equal(part.data, mosaic[top:bottom, left:right])
    np.testing.assert_allclose(part.data_to_world((0, 0)), image.data_to_world((top, left)))
    assert (part.scale == image.scale).all()
    assert part.units == image.units
    labels = window.labels
    np.testing.assert_array_equal(labels.data > 0, part.data > 100)
    np.testing.assert_allclose(labels.data_to_world((0, 0)), image.data_to_world((top, left)))
    window.paint((5, 5), (5, 30))
    window.wait(lambda: window.panel.canvas.image.counts.changed_cells > 0)
    assert window.panel.step3.fine_tune.isEnabled()
    assert f"A region of '{image.name}'" in window.panel.region.words.text()
    assert not window.panel.region.put_back.isVisible()


def test_the_same_region_comes_back_with_its_corrections(open_window, lazy):
    window = open_window()
    image = window.add_image(lazy)
    first = cut(window, image)
    window.paint((5, 5), (5, 30))
    window.wait(lambda: window.panel.canvas.image.counts.changed_cells > 0)
    box = first.metadata[METADATA]["region"].box
    painted = window.labels.data.copy()
    window.settle()
    window.viewer.close()
    window = open_window()  # another day
    image = window.add_image(lazy)
    again = cut(window, image, (104, 182), (98, 178))
    assert again is not first
    assert again.metadata[METADATA]["region"].box == box
    np.testing.assert_array_equal(window.labels.data, painted)
    assert "are back" in window.panel.run_bar.status.text()
    window.viewer.layers.selection.active = image
    assert cut(window, image) is again  # it is shown already


def test_too_large_a_view_says_how_far_to_zoom_in(window, lazy):
    image = window.add_image(lazy)
    look_at(window, image, (0, 400), (0, 480))
    press_segment(window)
    assert "zoom in until it is no more than 200 x 200 px" in window.panel.run_bar.status.text()
    assert window.panel.run_bar.status.property("error")
    assert len(window.viewer.layers) == 1


def test_a_plane_and_channels_of_a_large_stack(window, mosaic):
    data = da.from_array(np.stack([np.stack([mosaic // 9, mosaic])] * 3), chunks=(1, 1, 64, 64))
    image = window.add_image(data, axis_labels=("z", "c", "y", "x"), scale=(2, 1, 1, 1))
    window.panel.step1.channel.setCurrentIndex(1)
    window.viewer.dims.set_current_step(0, 2)
    part = cut(window, image)
    (top, bottom), (left, right) = part.metadata[METADATA]["region"].box
    assert part.data.shape == (1, 2, bottom - top, right - left)
    np.testing.assert_allclose(part.data_to_world((0, 0, 0, 0)), image.data_to_world((2, 0, top, left)))
    assert window.panel.canvas.image.grid.axes == "ZCYX"
    np.testing.assert_array_equal(np.squeeze(window.labels.data) > 0, part.data[0, 1] > 100)


def segment_all(window, image):
    window.viewer.layers.selection.active = image
    window.settle()
    choose(window, "Whole image")
    window.wait(lambda: "GB of memory" in window.panel.run_bar.status.text())
    press_segment(window)
    return next(layer for layer in window.viewer.layers if "cells" in layer.metadata.get(METADATA, {}))


def test_all_of_a_large_image_goes_to_the_disk_and_is_shown_from_there(window, lazy, mosaic):
    image = window.add_image(lazy, scale=(0.5, 0.5), units=("um", "um"))
    shown = segment_all(window, image)
    status = window.panel.run_bar.status.text()
    path = next(window.panel.canvas.image.record.folder.glob("*.zarr"))
    assert "120 cells found" in status
    assert str(path) in status.replace("\N{ZERO WIDTH SPACE}", "")
    assert shown.multiscale
    assert [level.shape for level in shown.data] == [(400, 480), (200, 240), (100, 120)]
    np.testing.assert_array_equal(np.asarray(shown.data[0]) > 0, mosaic > 100)
    assert (shown.scale == image.scale).all()
    assert window.panel.canvas.image.review is None


def test_the_cells_on_the_disk_are_shown_when_the_image_is_opened_again(window, lazy):
    image = window.add_image(lazy)
    shown = segment_all(window, image)
    window.viewer.layers.remove(shown)
    window.viewer.layers.remove(image)
    window.settle()
    window.add_image(lazy)
    window.wait(lambda: any("cells" in layer.metadata.get(METADATA, {}) for layer in window.viewer.layers))


def test_corrected_cells_of_a_region_go_back_into_the_whole(window, lazy, mosaic):
    image = window.add_image(lazy)
    shown = segment_all(window, image)
    whole = np.asarray(shown.data[0])
    choose(window, "What you see")
    part = cut(window, image)
    (top, bottom), (left, right) = part.metadata[METADATA]["region"].box
    np.testing.assert_array_equal(window.labels.data, whole[top:bottom, left:right])
    window.paint((150 - top, 150 - left), (150 - top, 152 - left), label=0, brush=40)
    window.wait(lambda: window.panel.canvas.image.counts.changed_cells > 0)
    window.hands.click(window.panel.region.put_back)
    window.settle()
    assert "are in those of 'plate' now" in window.panel.run_bar.status.text()
    [shown] = [layer for layer in window.viewer.layers if "cells" in layer.metadata.get(METADATA, {})]
    expected = whole.copy()
    expected[top:bottom, left:right] = window.labels.data
    np.testing.assert_array_equal(np.asarray(shown.data[0]), expected)
    np.testing.assert_array_equal(np.asarray(shown.data[1]), expected[1::2, 1::2])
    assert (expected != whole).any()
    large_image = window.panel.session.images.find(
        next(i.source for i in window.panel.session.images.values() if i.is_large)
    )
    segment_all(window, image)
    again = DiskCells(large_image.record.folder, "plate", large_image.grid).open_levels()[0]
    np.testing.assert_array_equal(np.asarray(again) > 0, expected > 0)


def cells_layer(window):
    [layer] = [layer for layer in window.viewer.layers if "cells" in layer.metadata.get(METADATA, {})]
    return layer


def read_levels(window):
    return [np.asarray(level) for level in cells_layer(window).data]


def put_without(window, part, rows, columns):
    """Erase some of a region and put its cells into the whole image; return how that looks then."""
    (top, _), (left, _) = part.metadata[METADATA]["region"].box
    before = window.labels.data.copy()
    window.paint((rows - top, columns - left), (rows - top, columns + 2 - left), label=0, brush=40)
    window.wait(lambda: (window.review.labels != before).any())
    window.hands.click(window.panel.region.put_back)
    window.settle()
    assert "are in those of 'plate' now" in window.panel.run_bar.status.text()
    return read_levels(window)


def test_what_was_put_into_the_whole_is_taken_back_one_step_at_a_time(window, lazy):
    image = window.add_image(lazy)
    segment_all(window, image)
    bar = window.panel.region
    states = [read_levels(window)]
    assert not bar.take_back.isEnabled()
    choose(window, "What you see")
    part = cut(window, image)
    assert bar.take_back.isVisible()
    assert not bar.take_back.isEnabled()
    states.append(put_without(window, part, 130, 130))
    states.append(put_without(window, part, 150, 150))
    own = window.labels.data.copy()
    for before, after in itertools.pairwise(states[::-1]):
        assert (before[0] != after[0]).any()
        assert bar.take_back.isEnabled()
        window.hands.click(bar.take_back)
        window.settle()
        assert "are as they were before" in window.panel.run_bar.status.text()
        for level, expected in zip(read_levels(window), after, strict=True):
            np.testing.assert_array_equal(level, expected)
    assert not bar.take_back.isEnabled()
    np.testing.assert_array_equal(window.labels.data, own)
    segment_all(window, image)  # what was taken back is not put in again
    np.testing.assert_array_equal(read_levels(window)[0], states[0][0])


def test_a_step_is_taken_back_from_the_whole_and_after_it_was_closed(window, lazy):
    image = window.add_image(lazy)
    segment_all(window, image)
    whole = read_levels(window)
    choose(window, "What you see")
    part = cut(window, image)
    put_without(window, part, 150, 150)
    for layer in (cells_layer(window), image):
        window.viewer.layers.remove(layer)
    window.settle()
    assert not window.panel.region.isVisible()
    image = window.add_image(lazy)
    window.wait(window.panel.region.take_back.isEnabled)
    window.hands.click(window.panel.region.take_back)
    window.settle()
    for level, expected in zip(read_levels(window), whole, strict=True):
        np.testing.assert_array_equal(level, expected)
    assert not window.panel.region.take_back.isEnabled()


def test_the_cells_of_the_whole_go_into_the_ome_zarr_image(window, mosaic, write_ome_zarr, tmp_path):
    path = write_ome_zarr(tmp_path / "plate.zarr", mosaic, "YX", "0.4")
    window.viewer.open(path, plugin="napari-unet")
    window.wait(lambda: window.panel.canvas.image is not None)
    bar, image = window.panel.region, window.panel.canvas.layer
    assert not bar.isVisible()
    segment_all(window, image)
    choose(window, "What you see")
    part = cut(window, image)
    assert not bar.add_to_image.isVisible()
    corrected = put_without(window, part, 150, 150)[0]
    window.viewer.layers.selection.active = image
    window.wait(bar.add_to_image.isVisible)
    for _ in range(2):
        window.hands.click(bar.add_to_image)
        window.settle()
        said = window.panel.run_bar.status.text().replace("\N{ZERO WIDTH SPACE}", "")
        assert said.endswith(f"in the image itself now, as its labels: {path / 'labels' / 'cells'}.")
        np.testing.assert_array_equal(read_labels(path / "labels" / "cells"), corrected)
    _, (_, options, kind) = read_layers(path)
    assert (options["name"], kind) == ("cells", "labels")
    theirs = path / "labels" / "cells" / ".zattrs"
    theirs.write_text("{}")
    window.hands.click(bar.add_to_image)
    window.settle()
    assert window.panel.session.is_error
    assert "that another program wrote" in window.panel.run_bar.status.text()
    assert theirs.read_text() == "{}"


def test_writing_into_the_image_is_stopped_by_cancel(window, mosaic, write_ome_zarr, tmp_path, monkeypatch):
    path = write_ome_zarr(tmp_path / "plate.zarr", mosaic, "YX")
    window.viewer.open(path, plugin="napari-unet")
    window.wait(lambda: window.panel.canvas.image is not None)
    segment_all(window, window.panel.canvas.layer)
    begun = threading.Event()

    def wait_to_be_stopped(path, labels, on_part):
        on_part(0, 2)
        begun.set()
        while True:
            on_part(1, 2)
            time.sleep(0.01)

    monkeypatch.setattr("napari_unet.session.regions.add_labels", wait_to_be_stopped)
    window.hands.click(window.panel.region.add_to_image)
    window.wait(lambda: begun.is_set() and "part 2 of 2" in window.panel.run_bar.status.text())
    assert not window.panel.region.add_to_image.isEnabled()
    window.hands.click(window.panel.run_bar.cancel)
    window.settle()
    assert window.panel.run_bar.status.text() == "Stopped. Everything is as it was before."
    assert window.panel.region.add_to_image.isEnabled()
    assert not (path / "labels").exists()


def test_cancel_leaves_nothing_of_a_large_run(window, lazy):
    image = window.add_image(lazy)
    window.use_model("patient")
    choose(window, "Whole image")
    window.wait(lambda: "GB of memory" in window.panel.run_bar.status.text())
    window.hands.click(window.panel.step1.segment)
    window.wait(lambda: window.panel.run_bar.status.text() == "waiting")
    window.hands.click(window.panel.run_bar.cancel)
    window.settle()
    folder = window.panel.canvas.image.record.folder
    window.wait(lambda: not [path for path in folder.iterdir() if ".zarr" in path.name])
    assert window.viewer.layers[:] == [image]


def test_opening_and_cutting_read_little(window, monkeypatch):
    """Of 20,000 x 20,000 px a few samples, and then the region."""
    monkeypatch.setattr(window.panel.step1, "segment", window.panel.step1.segment)
    read = []

    class Blank:
        shape, dtype, ndim = (20_000, 20_000), np.dtype(np.uint8), 2

        def __getitem__(self, key):
            sizes = [len(range(*part.indices(20_000))) for part in key]
            read.append(int(np.prod(sizes)))
            pixels = np.full(sizes, 10, np.uint8)
            pixels[::2, ::3] = 200
            return pixels

    levels = [da.from_array(Blank(), chunks=512, name=False), da.zeros((1250, 1250), np.uint8, chunks=625)]
    image = window.add_image(levels, multiscale=True, contrast_limits=(0, 255))
    before = sum(read)
    assert before < 16 * 4 * 512**2 + 1
    cut(window, image, (5000, 5400), (6000, 6400))
    assert sum(read) - before < 60 * 512**2


def test_a_large_image_is_not_segmented_as_a_whole_by_surprise(window, lazy):
    window.viewer.add_image(lazy, name="plate")
    window.hands.click(window.panel.step1.segment)  # before it is known how large it is
    window.settle()
    assert "choose what of it to segment" in window.panel.run_bar.status.text()
    assert len(window.viewer.layers) == 1


def test_pixels_that_cannot_be_handed_to_the_worker_are_told(window, lazy):
    image = window.add_image(lazy.map_blocks(lambda block: block, dtype=lazy.dtype))
    choose(window, "Whole image")
    window.wait(lambda: "GB of memory" in window.panel.run_bar.status.text())
    press_segment(window)
    assert "save it as OME-Zarr" in window.panel.run_bar.status.text()
    choose(window, "What you see")
    assert cut(window, image) is not image


def test_a_zarr_array_without_a_pyramid(window, mosaic):
    array = zarr.create_array(MemoryStore(), shape=mosaic.shape, dtype=mosaic.dtype, chunks=(64, 64))
    array[...] = mosaic
    image = window.add_image(array)
    part = cut(window, image)
    (top, bottom), (left, right) = part.metadata[METADATA]["region"].box
    np.testing.assert_array_equal(part.data, mosaic[top:bottom, left:right])
    shown = segment_all(window, image)
    np.testing.assert_array_equal(np.asarray(shown.data[0]) > 0, mosaic > 100)
