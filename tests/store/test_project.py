"""A project knows its images again, and every correction that was written comes back."""

from __future__ import annotations

import errno
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_unet.core.base.errors import InputError
from napari_unet.core.review.rebasing import rebase
from napari_unet.core.review.review import Review, changed_box, mark, unmark
from napari_unet.io import atomic
from napari_unet.io.hashing import hash_image
from napari_unet.store.journal import Edit, JournalWriter
from napari_unet.store.project import ImageRecord, Project

IMAGE = np.arange(48, dtype=np.uint16).reshape(6, 8)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.open(tmp_path / "project")


@pytest.fixture
def record(project: Project) -> ImageRecord:
    return project.image(IMAGE, name="cells", source="cells.tif")


@pytest.fixture
def review() -> Review:
    return Review.of((IMAGE % 5).astype(np.int32))


def equal(first: Review | None, second: Review) -> bool:
    return first is not None and all(
        np.array_equal(getattr(first, name), getattr(second, name))
        for name in ("prediction", "labels", "marked")
    )


def test_a_project_is_made_where_there_is_none_and_opened_again(tmp_path: Path) -> None:
    project = Project.open(tmp_path / "new" / "project")
    assert project.models_folder.is_dir()
    assert project.runs_folder.is_dir()
    before = (project.folder / "project.json").read_bytes()
    Project.open(project.folder)
    assert (project.folder / "project.json").read_bytes() == before


def test_the_default_project_is_in_the_users_data_folder(own_folders: Path) -> None:
    assert Project.open().folder.is_relative_to(own_folders)


@pytest.mark.parametrize(("content", "message"), [('{"format": 2}', "newer napari-unet"), ("{", "damaged")])
def test_a_project_that_cannot_be_read_is_refused_and_left_alone(
    project: Project, content: str, message: str
) -> None:
    path = project.folder / "project.json"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        Project.open(project.folder)
    assert path.read_text() == content


def test_a_file_is_no_project_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(InputError, match="choose another"):
        Project.open(tmp_path / "file")


@given(hnp.arrays(st.sampled_from([np.uint8, np.uint16, np.float32, np.bool_]), hnp.array_shapes(max_side=5)))
@settings(deadline=None)
def test_the_hash_is_of_the_content_not_of_its_layout(data: np.ndarray) -> None:
    digest = hash_image(data)
    assert hash_image(np.asfortranarray(data)) == digest
    assert hash_image(data.astype(data.dtype.newbyteorder(">"))) == digest
    assert hash_image(data[np.newaxis]) != digest
    assert hash_image(data == 0) != digest


def test_a_large_image_is_hashed_to_its_end() -> None:
    data = np.zeros((9, 2048, 2048), np.uint8)
    digest = hash_image(data)
    data[-1, -1, -1] = 1
    assert hash_image(data) != digest
    assert hash_image(np.repeat(data, 2, axis=2)[:, :, ::2]) == hash_image(data)


def test_what_is_no_image_is_refused(project: Project) -> None:
    for data in (np.array(3), np.array(["a"]), np.array([None])):
        with pytest.raises(InputError, match="no image"):
            project.image(data, name="x")


def test_an_image_is_known_again_under_another_name(
    project: Project, record: ImageRecord, review: Review
) -> None:
    record.begin_review(review.prediction, model="m")
    again = project.image(IMAGE.copy(), name="renamed", context={"axes": "YX"})
    assert again.key == record.key
    assert (again.name, again.source, again.context) == ("renamed", "cells.tif", {"axes": "YX"})
    assert equal(again.load_review(), review)
    [listed] = Project.open(project.folder).images()
    assert (listed.name, listed.source, listed.context) == ("renamed", "cells.tif", {"axes": "YX"})
    assert listed.shape == (6, 8)
    assert listed.model == "m"


def test_images_lists_those_with_a_review(
    project: Project, record: ImageRecord, review: Review, caplog: pytest.LogCaptureFixture
) -> None:
    assert project.images() == []
    assert record.load_review() is None
    other = project.image(IMAGE + 1, name="a second")
    for each in (record, other):
        each.begin_review(review.prediction, model="m")
    assert [each.name for each in project.images()] == ["a second", "cells"]
    (other.folder / "image.json").write_bytes(b"{")
    assert [each.name for each in project.images()] == ["cells"]
    assert project.image(IMAGE + 1, name="a second").load_review() is not None


def test_labels_may_have_another_shape_than_the_image(project: Project, review: Review) -> None:
    record = project.image(np.zeros((6, 8, 3), np.uint8), name="rgb")
    record.begin_review(review.prediction, model="m")
    assert record.shape == (6, 8, 3)
    assert equal(record.load_review(), review)


def test_a_review_that_does_not_fit_together_is_refused_and_the_old_one_stays(
    record: ImageRecord, review: Review
) -> None:
    record.begin_review(review.prediction, model="m")
    with pytest.raises(InputError, match="one shape"):
        record.begin_review(review.prediction, review.labels[:3], model="m")
    assert equal(record.load_review(), review)


def test_corrections_come_back_when_the_image_is_opened_again(
    project: Project, record: ImageRecord, review: Review
) -> None:
    record.begin_review(review.prediction, model="first")
    writer = record.writer()
    review.labels[1:3, 2:5] = 70
    writer.submit(Edit.cut(((1, 3), (2, 5)), labels=review.labels))
    marked = mark(review, ((4, 6), (0, 8)))
    assert marked is not None
    box = marked.box
    writer.submit(Edit.cut(box, marked=review.marked))
    assert writer.close()
    assert equal(project.image(IMAGE, name="cells").load_review(), review)


def test_a_new_prediction_and_the_edits_after_it_go_through_an_open_writer(
    record: ImageRecord, review: Review
) -> None:
    writer = record.writer()
    record.begin_review(review.prediction, review.labels, review.marked, model="first")
    review.labels[0, :4] = 9
    writer.submit(Edit.cut(((0, 1), (0, 4)), labels=review.labels))
    review = rebase(review, np.full((6, 8), 3, np.int32))
    record.begin_review(review.prediction, review.labels, review.marked, model="second")
    review.labels[5, 7] = 11
    writer.submit(Edit.cut(((5, 6), (7, 8)), labels=review.labels))
    assert writer.flush()
    assert equal(record.load_review(), review)
    assert record.model == "second"
    assert writer.close()


def test_an_image_is_corrected_in_one_window_only(
    project: Project, record: ImageRecord, review: Review
) -> None:
    record.begin_review(review.prediction, model="m")
    writer = record.writer()
    other = Project.open(project.folder).image(IMAGE, name="cells")
    with pytest.raises(InputError, match="open in another napari window"):
        other.writer()
    with pytest.raises(InputError, match="open in another napari window"):
        other.begin_review(review.prediction, model="m")
    assert equal(other.load_review(), review)
    assert writer.close()
    assert other.writer().close()


def test_a_full_disk_loses_no_stroke(
    record: ImageRecord, review: Review, monkeypatch: pytest.MonkeyPatch
) -> None:
    record.begin_review(review.prediction, model="m")
    writer = record.writer()
    told: list[str] = []
    writer.failed.connect(told.append)

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(atomic, "write", fail)
        review.labels[2] = 40
        writer.submit(Edit.cut(((2, 3), (0, 8)), labels=review.labels))
        assert not writer.flush(0.2)
        assert len(told) == 1
        assert told[0].startswith("The disk is full")
    assert writer.flush()
    assert writer.close()
    assert equal(record.load_review(), review)


def test_a_prediction_that_finds_no_room_is_told_and_leaves_the_old_review(
    record: ImageRecord, review: Review, monkeypatch: pytest.MonkeyPatch
) -> None:
    record.begin_review(review.prediction, model="m")

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(atomic, "write", fail)
        with pytest.raises(InputError, match="could not be saved"):
            record.begin_review(review.prediction + 1, model="n")
    assert equal(record.load_review(), review)
    assert record.writer().close()


@st.composite
def steps(draw: st.DrawFn) -> list[tuple[str, object]]:
    box = st.tuples(
        st.tuples(st.integers(0, 3), st.integers(4, 6)), st.tuples(st.integers(0, 5), st.integers(6, 8))
    )
    labels = hnp.arrays(np.int32, (6, 8), elements=st.integers(0, 9))
    paint = st.tuples(st.just("paint"), st.tuples(box, st.integers(0, 12)))
    marks = st.tuples(st.sampled_from(["mark", "unmark"]), box)
    rebases = st.tuples(st.just("rebase"), labels)
    reload = st.tuples(st.just("reload"), st.none())
    return draw(st.lists(paint | marks | rebases | reload, max_size=12))


@given(steps())
@settings(max_examples=40, deadline=None)
def test_any_course_of_work_comes_back_as_it_was(course: list[tuple[str, object]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        record = Project.open(Path(folder)).image(IMAGE, name="cells")
        writer = record.writer()
        try:
            review = Review.of((IMAGE % 5).astype(np.int32))
            record.begin_review(review.prediction, model="m")
            for step in course:
                review = carry_out(step, review, record, writer)
            assert writer.flush()
            assert equal(record.load_review(), review)
        finally:
            writer.close()
        assert equal(record.load_review(), review)


def carry_out(step: tuple[str, object], review: Review, record: ImageRecord, writer: JournalWriter) -> Review:
    """Do to `review` in memory and, as the window does, to the record what one step says."""
    match step:
        case "paint", (box, number):
            before = review.labels.copy()
            review.labels[tuple(slice(*side) for side in box)] = number
            changed = changed_box(before, review.labels)
            if changed is not None:
                writer.submit(Edit.cut(changed, labels=review.labels))
        case ("mark" | "unmark") as name, box:
            patch = (mark if name == "mark" else unmark)(review, box)
            changed = patch.box if patch is not None else None
            if changed is not None:
                writer.submit(Edit.cut(changed, marked=review.marked))
        case "rebase", prediction:
            review = rebase(review, prediction)
            record.begin_review(review.prediction, review.labels, review.marked, model="m")
        case "reload", _:
            assert writer.flush()
            loaded = record.load_review()
            assert loaded is not None
            review = loaded
    return review


CHILD = """
import sys, zlib
from pathlib import Path
import numpy as np
from napari_unet.store import review_store as store
from napari_unet.store.journal import Edit
from napari_unet.store.project import Project

store.LARGE_JOURNAL = 3000
record = Project.open(Path(sys.argv[1])).image(np.zeros((64, 64), np.uint8), name="cells")
writer = record.writer()
writer._tidy_after = 0.0
record.begin_review(np.zeros((64, 64), np.int32), model="m")
for number in range(4096):
    row, column = divmod(number, 64)
    writer.submit(Edit(((row, row + 1), (column, column + 1)), np.full((1, 1), number + 1, np.int32)))
    if number % 3 == 0:
        assert writer.flush()
        print(number + 1, flush=True)
sys.stdin.read()  # until it is killed
"""


@pytest.mark.parametrize("delay", [0.0, 0.03, 0.1, 0.25, 0.6])
def test_a_killed_window_loses_nothing_that_was_written(tmp_path: Path, delay: float) -> None:
    command = [sys.executable, "-c", CHILD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        written = int(child.stdout.readline())
        time.sleep(delay)
        with pytest.raises(InputError, match="another napari window"):
            Project.open(tmp_path).images()[0].writer()
        child.kill()
        lines = child.stdout.read().split("\n")[:-1]  # a line that was cut off does not count
        written = max([written, *map(int, lines)])
    [record] = Project.open(tmp_path).images()
    writer = record.writer()
    review = record.load_review()
    assert review is not None
    values = review.labels.ravel()
    there = int(np.count_nonzero(values))
    np.testing.assert_array_equal(values[:there], np.arange(1, there + 1))
    assert written <= there
    writer.submit(Edit(((63, 64), (63, 64)), np.full((1, 1), 5, np.int32)))
    assert writer.close()
    again = record.load_review()
    assert again is not None
    assert again.labels[63, 63] == 5


def test_what_is_stored_with_an_image_is_added_to_what_others_stored(project: Project) -> None:
    first, other = (project.image(IMAGE, name="cells") for _ in range(2))
    first.remember(axes="YX")
    other.remember(used=False)
    first.remember(channel=[0, 2])
    expected = {"axes": "YX", "used": False, "channel": [0, 2]}
    assert project.image(IMAGE, name="cells").context == first.context == expected


def test_a_variant_has_a_context_and_a_review_of_its_own(project: Project, review: Review) -> None:
    record = project.image(IMAGE, name="cells", context={"axes": "YX"})
    record.begin_review(review.prediction, model="nuclei")
    variant = record.variant("0-channels")
    assert not variant.has_review
    variant.remember(axes="CX")
    assert record.variant("0-channels").context == {"axes": "CX"}
    assert project.image(IMAGE, name="cells").context == {"axes": "YX"}
    variant.begin_review(review.prediction[0], model="nuclei")
    assert equal(record.load_review(), review)
    assert {r.key for r in project.images()} == {record.key, f"{record.key}-0-channels"}
