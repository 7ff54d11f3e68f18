"""The session without a window: what is posted is called by the test, on its own thread."""

import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import dask.array as da
import numpy as np
import pytest

from napari_unet.core.base import AUTO
from napari_unet.core.base.errors import InputError
from napari_unet.core.image.axes import PlaneGrid
from napari_unet.core.review.merge import merge_labels, restore_review
from napari_unet.core.review.review import Review
from napari_unet.models import registry as models
from napari_unet.session.image import OpenImage
from napari_unet.session.scope import WHOLE, Planes
from napari_unet.session.session import Session
from napari_unet.session.source import Source, name_axes
from napari_unet.store.project import Project
from napari_unet.worker.worker import Worker

UI_TESTS = Path(__file__).parents[1] / "ui"


@pytest.fixture
def session(tmp_path, loop, monkeypatch):
    monkeypatch.setattr(models, "BUNDLED", tmp_path / "nothing ships here")
    project = Project.open(tmp_path / "project")
    write_model(project.models_folder / "nuclei.keras")
    session = Session(
        project, Worker("window_jobs", tmp_path / "log", paths=[UI_TESTS], grace=1.0), loop.calls.put
    )
    yield session
    session.close()


def write_model(path):
    import zipfile

    from napari_unet.core.base.card import ModelCard
    from napari_unet.core.base.params import NetworkParams

    card = ModelCard(name=path.stem, network=NetworkParams(), outputs=("foreground",))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("card.json", card.model_dump_json())
        archive.writestr("model.weights.h5", b"")


@pytest.fixture
def source():
    data = np.full((60, 80), 10, np.uint8)
    data[10:30, 10:30] = data[40:50, 40:70] = 200
    return Source(id="1", name="plate", data=data)


def segment(session, loop, source, **options):
    session.segment(source, **options)
    loop.run_until(lambda: session.run is None)
    return session.images.find(source)


def test_segmenting_makes_a_review_on_the_disk(session, loop, source):
    shown = []
    session.images.labels_replaced.connect(lambda key, labels: shown.append((key, labels)))
    image = segment(session, loop, source)
    assert [key for key, _ in shown] == [image.key]
    labels = shown[0][1]
    assert labels.dtype == np.int32
    assert labels is not image.review.labels
    assert len(np.unique(labels)) == 3
    image.writer.flush()
    np.testing.assert_array_equal(image.record.load_review().labels, labels)


def test_an_edit_becomes_a_record_of_its_box_only(session, loop, source):
    image = segment(session, loop, source)
    labels = image.review.labels.copy()
    labels[2:4, 5:9] = 9
    boxes = []
    session.images.reviewed.connect(lambda _, box: boxes.append(box))
    session.images.note_edit(image.key, labels)
    session.images.note_edit(image.key, labels)
    assert boxes == [((2, 4), (5, 9))]
    loop.run_until(lambda: image.counts is not None and image.counts.reviewed_pixels == 8)
    assert image.writer.flush()
    np.testing.assert_array_equal(image.record.load_review().labels, labels)


def test_edits_on_one_plane_are_found_on_that_plane_only(session, loop):
    stack = Source(id="2", name="stack", data=np.full((3, 20, 30), 10, np.uint8) + np.uint8(5), axes="ZYX")
    stack.data[:, 5:9, 5:9] = 200
    image = segment(session, loop, stack)
    labels = image.review.labels.copy()
    labels[:, 0, 0] = 50
    session.images.note_edit(image.key, labels, (1,))
    assert image.review.changed()[:, 0, 0].tolist() == [False, True, False]
    session.images.note_edit(image.key, labels)
    assert image.review.changed()[:, 0, 0].all()


def test_the_same_content_in_two_layers_is_one_image(session, loop, source):
    image = segment(session, loop, source)
    twin = Source(id="2", name="twin", data=source.data.copy())
    session.images.open(twin)
    loop.run_until(lambda: session.images.find(twin) is not None)
    assert session.images.find(twin) is image


def test_an_image_open_in_another_window_is_refused(session, loop, source, tmp_path):
    session.images.open(source)
    loop.run_until(lambda: session.images.find(source) is not None)
    other_loop = type(loop)()
    other = Session(session.project, Worker("window_jobs", tmp_path / "log2"), other_loop.calls.put)
    try:
        other.images.open(source)
        other_loop.run_until(lambda: other.is_error)
        assert "another napari window" in other.notice
    finally:
        other.close()


def test_a_stroke_made_while_the_new_labels_are_merged_is_kept(session, loop, source):
    image = segment(session, loop, source)
    painted = image.review.labels.copy()
    painted[0, :5] = 33

    def paint_late():
        session.images.note_edit(image.key, painted)

    session.segment(source)
    loop.run_until(lambda: image.replacing)
    paint_late()
    shown = []
    session.images.labels_replaced.connect(lambda _, labels: shown.append(labels))
    loop.run_until(lambda: session.run is None)
    assert (shown[0][0, :5] == 33).all()
    assert image.review.reviewed()[0, :5].all()
    assert image.writer.flush()
    assert (image.record.load_review().labels[0, :5] == 33).all()


@pytest.fixture
def slowly(monkeypatch):
    """Stops what puts new labels on the disk before and after it has: `slowly.before`, `slowly.after`."""
    points = SimpleNamespace(before=threading.Event(), after=threading.Event(), written=threading.Event())
    begin = OpenImage.begin

    def wait_and_begin(image, review, model):
        points.before.wait(60)
        begin(image, review, model)
        assert image.writer.flush()
        points.written.set()
        points.after.wait(60)

    monkeypatch.setattr(OpenImage, "begin", wait_and_begin)
    yield points
    points.before.set()
    points.after.set()


def paint(session, image, value, where=np.s_[0, :5]):
    labels = image.review.labels.copy()
    labels[where] = value
    session.images.note_edit(image.key, labels)


def read_disk(image):
    assert image.writer.flush()
    assert image.unsaved == 0
    return image.record.load_review()


def test_a_stroke_is_on_the_disk_at_every_moment_of_a_replacement(session, loop, source, slowly):
    slowly.before.set()
    slowly.after.set()
    image = segment(session, loop, source)
    for event in (slowly.before, slowly.after, slowly.written):
        event.clear()
    session.segment(source)
    loop.run_until(lambda: image.replacing)
    paint(session, image, 33)
    assert (read_disk(image).labels[0, :5] == 33).all(), "while the new labels are not there yet"
    slowly.before.set()
    loop.run_until(slowly.written.is_set)
    assert (read_disk(image).labels[0, :5] == 33).all(), "when they have just been written"
    paint(session, image, 34, np.s_[1, :5])
    assert (read_disk(image).labels[:2, :5] == [[33], [34]]).all(), "before the window shows them"
    slowly.after.set()
    loop.run_until(lambda: session.run is None)
    found = read_disk(image)
    np.testing.assert_array_equal(found.labels, image.review.labels)
    np.testing.assert_array_equal(found.marked, image.review.marked)
    assert (found.labels[:2, :5] == [[33], [34]]).all()
    assert found.reviewed()[:2, :5].all()


def test_a_stroke_that_was_taken_back_leaves_the_new_labels_whole(session, loop, source, slowly):
    slowly.before.set()
    slowly.after.set()
    image = segment(session, loop, source)
    slowly.before.clear()
    before = image.review.labels[10:30, 10:30].copy()
    session.segment(source)
    loop.run_until(lambda: image.replacing)
    paint(session, image, 33, np.s_[10:30, 10:30])
    paint(session, image, before, np.s_[10:30, 10:30])
    slowly.before.set()
    loop.run_until(lambda: session.run is None)
    np.testing.assert_array_equal(read_disk(image).labels, image.review.labels)
    np.testing.assert_array_equal(read_disk(image).prediction, image.review.prediction)


def test_an_image_that_is_closed_while_labels_are_replaced_keeps_its_strokes(session, loop, source, slowly):
    slowly.before.set()
    slowly.after.set()
    image = segment(session, loop, source)
    slowly.before.clear()
    session.segment(source)
    loop.run_until(lambda: image.replacing)
    paint(session, image, 33)
    session.images.close(image.key)
    slowly.before.set()
    loop.run_until(lambda: session.run is None)
    session.images.open(source)
    loop.run_until(lambda: session.images.find(source) not in (None, image))
    assert (session.images.find(source).review.labels[0, :5] == 33).all()


def test_labels_that_cannot_be_put_in_cost_no_stroke(session, loop, source, monkeypatch):
    image = segment(session, loop, source)

    def fail(*_):
        paint(session, image, 33)
        raise MemoryError

    monkeypatch.setattr(OpenImage, "begin", fail)
    session.segment(source)
    loop.run_until(lambda: session.run is None)
    assert session.is_error
    assert not image.replacing
    paint(session, image, 34, np.s_[1, :5])
    assert (read_disk(image).labels[:2, :5] == [[33], [34]]).all()


def test_no_array_that_the_user_edits_is_counted_or_ranked(session, loop, source, monkeypatch):
    image = segment(session, loop, source)
    loop.run_until(lambda: not session.images.counting)
    seen, shared = [], []

    def watch(review):
        seen.append(review)
        live = image.review
        shared.extend(
            np.shares_memory(a, b) for a in (review.labels, review.marked) for b in (live.labels, live.marked)
        )

    count = Review.counts
    monkeypatch.setattr(Review, "counts", lambda review: (watch(review), count(review))[1])
    monkeypatch.setattr("napari_unet.session.images.rank_places", lambda review, *_: watch(review) or [])
    session.images.mark_reviewed(image.key, ((0, 2), (0, 5)))
    session.images.visit_next(image.key)
    loop.run_until(lambda: image.tour is not None and not session.images.counting)
    assert len(seen) >= 2
    assert not any(shared)


def test_marks_made_while_cells_are_counted_are_counted_after(session, loop, source, monkeypatch):
    image = segment(session, loop, source)
    loop.run_until(lambda: not session.images.counting)
    started, goes_on = threading.Event(), threading.Event()
    count = Review.counts

    def wait_and_count(review):
        started.set()
        goes_on.wait(60)
        return count(review)

    monkeypatch.setattr(Review, "counts", wait_and_count)
    counted = []
    session.images.measured.connect(lambda _: counted.append(image.counts.reviewed_pixels))
    session.images.mark_reviewed(image.key, ((0, 1), (0, 5)))
    loop.run_until(started.is_set)
    for row in range(1, 4):
        session.images.mark_reviewed(image.key, ((row, row + 1), (0, 5)))
    goes_on.set()
    loop.run_until(lambda: not session.images.counting)
    assert counted == [5, 20]


def test_without_a_model_segment_says_so(session, loop, source):
    (session.project.models_folder / "nuclei.keras").unlink()
    session.refresh_models()
    session.segment(source)
    loop.run_until(lambda: session.run is None)
    assert session.is_error
    assert "model" in session.notice


def test_closing_twice_is_closing_once(session):
    session.close()
    session.close()
    assert not session.worker.alive


def test_new_labels_of_one_plane_leave_the_others_alone():
    grid = PlaneGrid("ZYX", (3, 4, 5))
    review = Review.of(np.zeros((3, 4, 5), np.int32))
    review.labels[0] = 7
    new = np.zeros((4, 5), np.int32)
    new[1, 1] = 1
    merged = merge_labels(grid, review, new, [(2,)])
    assert (merged.labels[0] == 7).all()
    assert merged.labels[2, 1, 1] == 8
    assert np.count_nonzero(merged.labels[1:]) == 1
    assert merged.changed()[0].all()


def test_rolling_back_keeps_what_was_done_during_the_trial():
    before = Review.of(np.ones((4, 5), np.int32))
    before.labels[0, 0] = 2
    start = Review.of(np.full((4, 5), 3, np.int32))
    now = Review(start.prediction, start.labels.copy(), start.marked.copy())
    now.labels[1, 1], now.marked[2, 2] = 9, True
    back = restore_review(before, start, now)
    expected = before.labels.copy()
    expected[1, 1] = 9
    np.testing.assert_array_equal(back.labels, expected)
    reviewed = np.zeros((4, 5), bool)
    reviewed[[0, 1, 2], [0, 1, 2]] = True
    np.testing.assert_array_equal(back.reviewed(), reviewed)


def test_axes_without_names():
    assert name_axes(2, rgb=False) == "YX"
    assert name_axes(4, rgb=True) == "ZYXS"
    assert name_axes(4, rgb=False) == "TZYX"
    with pytest.raises(InputError, match="7 axes"):
        name_axes(7, rgb=False)


def test_the_model_in_use_and_that_of_each_image_are_remembered(session, loop, source, tmp_path):
    write_model(session.project.models_folder / "membranes.keras")
    session.refresh_models()
    assert session.chosen == AUTO
    session.choose(session.project.models_folder / "membranes.keras")
    image = segment(session, loop, source)
    session.close()
    again = Session(
        Project.open(session.project.folder),
        Worker("window_jobs", tmp_path / "log", paths=[UI_TESTS], grace=1.0),
        loop.calls.put,
    )
    try:
        assert again.model.stem == "membranes"
        assert again.chosen == again.model
        again.choose(AUTO)
        again.images.open(source)
        loop.run_until(lambda: again.images.find(source) is not None)
        assert again.images[image.key].model.stem == "membranes", "Auto takes it again for this image"
        loop.run_until(lambda: again.project.model == AUTO)
    finally:
        again.close()


def test_the_planes_that_the_user_chose_are_remembered_until_all_are_segmented(session, loop):
    data = np.full((3, 60, 80), 10, np.uint8)
    data[0, 10:30, 10:30] = data[2, 40:50, 40:70] = 200
    source = Source(id="1", name="stack", data=data, axes="ZYX")
    image = segment(session, loop, source, scope=Planes(((2,),)))
    assert [bool(plane.any()) for plane in image.review.labels] == [False, False, True]
    assert image.next_scope == Planes(((2,),))
    segment(session, loop, source, scope=Planes(((0,),)))
    assert image.next_scope == Planes(((0,), (2,)))
    segment(session, loop, source)
    assert image.next_scope == WHOLE  # though one of its planes is empty


def test_of_a_large_image_something_has_to_be_chosen(session, loop, source, monkeypatch):
    monkeypatch.setattr("napari_unet.io.lazy.LARGE", 1000)
    lazy = replace(source, data=da.from_array(source.data, chunks=20), axes="YX")
    for scope in (None, Planes(((),))):
        segment(session, loop, lazy, scope=scope)
        assert session.is_error
        assert "choose what of it" in session.notice
