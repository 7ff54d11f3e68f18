"""The batch without a window: what is posted is called by the test, on its own thread."""

import sys
from pathlib import Path

import numpy as np
import pytest

from napari_unet.core.base.params import SegmentParams
from napari_unet.io.files import write_image, write_labels
from napari_unet.io.layers import read_result
from napari_unet.jobs.batch import Order
from napari_unet.jobs.batch_task import Outcome
from napari_unet.session.batch import BatchSession, Throughput, describe_end
from napari_unet.worker.worker import Worker


@pytest.fixture
def session(tmp_path, loop):
    worker = Worker(
        "sample_batches", tmp_path / "log", paths=[Path(__file__).parents[1] / "worker"], grace=1.0
    )
    session = BatchSession(loop.calls.put, worker)
    yield session
    session.close()


@pytest.fixture
def order(tmp_path):
    return Order(tmp_path / "out", SegmentParams(model=str(tmp_path / "model.keras")))


@pytest.fixture
def add(session, loop, tmp_path):
    """A function that puts images of these names on the list and returns their files."""

    def put(*names):
        files = [tmp_path / "images" / f"{name}.tif" for name in names]
        files[0].parent.mkdir(exist_ok=True)
        for file in files:
            file.write_bytes(b"some pixels")
        session.add(files)
        loop.run_until(lambda: set(files) <= set(session.outcomes))
        return files

    return put


def statuses(session):
    return [outcome.status for outcome in session.outcomes.values()]


def test_files_and_folders_are_gathered_and_what_is_none_is_said(session, add, loop, tmp_path):
    first, second = add("a", "b")
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "c.png").write_bytes(b"x")
    session.add([tmp_path / "notes.txt", tmp_path / "nowhere", second.parent, tmp_path / "more"])
    loop.run_until(lambda: session.is_error)
    assert list(session.outcomes) == [first, second, tmp_path / "more" / "c.png"]
    assert "notes.txt cannot be read" in session.notice
    assert "1 more" in session.notice
    session.remove([second])
    assert list(session.outcomes) == [first, tmp_path / "more" / "c.png"]
    assert not session.is_error


def test_every_outcome_arrives_however_fast_they_come(session, add, loop, order):
    files = add(*(f"f{number:03}" for number in range(300)), "endless")
    heard = []
    session.told.connect(lambda outcomes: heard.extend(outcome.file for outcome in outcomes))
    session.start(order)
    assert session.running
    loop.run_until(lambda: statuses(session).count("done") == 300)
    assert heard == files[:-1]
    assert session.progress.fraction == pytest.approx(300 / 301)
    assert session.notice.startswith("300 of 301 images, about ")
    session.cancel()
    loop.run_until(lambda: not session.running)
    assert session.notice == "Stopped: 300 of 301 images are finished. Start goes on from there."
    assert not session.worker.alive


def test_a_batch_ends_with_a_sentence_that_names_what_failed(session, add, loop, order):
    files = add("a", "broken", "c")
    session.start(order)
    loop.run_until(lambda: not session.running)
    assert statuses(session) == ["done", "failed", "done"]
    assert session.is_error
    assert session.notice.startswith("1 of 3 images failed: broken.tif is damaged.")
    assert str(order.output) in session.notice
    session.remove([files[1]])
    session.start(order)
    assert statuses(session) == ["waiting", "waiting"]
    loop.run_until(lambda: not session.running)
    assert not session.is_error
    assert session.notice.startswith("2 images segmented, 6 cells.")


@pytest.mark.parametrize(
    ("name", "said"), [("refused", "choose another folder"), ("deadly", "stopped unexpectedly")]
)
def test_after_a_refusal_or_a_crash_start_works_again(session, add, loop, order, name, said):
    (bad,) = add(name)
    session.start(order)
    loop.run_until(lambda: not session.running)
    assert session.is_error
    assert said in session.notice
    session.remove([bad])
    add("good")
    session.start(order)
    loop.run_until(lambda: not session.running)
    assert statuses(session) == ["done"]


def test_nothing_starts_without_images_and_nothing_is_added_meanwhile(session, add, loop, order, tmp_path):
    session.start(order)
    assert not session.running
    assert "There are no images yet" in session.notice
    add("endless")
    session.start(order)
    session.add([tmp_path])
    session.remove(list(session.outcomes))
    loop.run_until(lambda: session.is_error)
    assert "A batch is under way" in session.notice
    assert len(session.outcomes) == 1


def test_a_missing_extra_is_said_at_once(loop, order, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    session = BatchSession(loop.calls.put)
    assert session.is_error
    assert "pip install 'napari-unet[cluster]'" in session.notice
    session.start(order)
    assert not session.running
    session.close()


def test_the_time_left_is_told_by_the_pace_of_the_images():
    now = 100.0
    throughput = Throughput(lambda: now)
    throughput.count([Outcome(Path("kept"), 1, 1, "a", "kept"), Outcome(Path("bad"), status="failed")])
    assert throughput.describe(100) == ""
    now = 130.0
    throughput.count([Outcome(Path("0"), 1, 30.0, "a", "done")])
    assert throughput.describe(100) == ", about 48 min left"  # 97 of 30 s, as long as nothing else is known
    now = 132.0
    throughput.count([Outcome(Path("1"), 1, 2.0, "a", "done")])
    assert throughput.describe(100) == ", about 3 min left"  # 96 of 2 s
    assert throughput.describe(10) == ", about 12 s left"
    assert throughput.describe(4) == ""


def test_the_end_is_told_in_a_sentence():
    done = [Outcome(Path(f"{n}.tif"), 10, 1, "a", "kept" if n else "done") for n in range(3)]
    failed = [Outcome(Path(f"bad{n}.tif"), status="failed", error="No cells.") for n in range(5)]
    where = "The labels and the table results.csv are in out."
    assert describe_end(done, Path("out")) == (
        f"3 images segmented (2 of them before), 30 cells. {where}",
        False,
    )
    sentence, is_error = describe_end([*done, *failed], Path("out"))
    assert is_error
    assert "5 of 8 images failed: bad0.tif, bad1.tif, bad2.tif and 2 more" in sentence
    assert "The other 3 are done" in sentence
    odd = [Outcome(Path(f"{n}.tif"), 1, 1, "a", "done", notes="It is odd.") for n in range(5)]
    assert describe_end([*done, *odd], Path("out"))[0].endswith(
        f"{where} A note on 0.tif, 1.tif, 2.tif and 2 more: It is odd."
    )
    other = Outcome(Path("x.tif"), 1, 1, "a", "done", notes="It is large.")
    assert describe_end([*done, *odd, other], Path("out"))[0].endswith(
        "There are notes on 6 images: select one in the list to read its own."
    )
    assert describe_end(failed[:1], Path("out")) == ("1 of 1 image failed: bad0.tif: No cells.", True)


def test_a_result_lies_over_its_image_whatever_its_pixel_size_was_said_to_be(tmp_path):
    image, labels = tmp_path / "a.tif", tmp_path / "labels.tif"
    write_image(image, np.zeros((3, 2, 8, 9), np.uint8), axes="ZCYX", pixel_size=0.5, z_step=2.0)
    write_labels(labels, np.ones((3, 8, 9), np.int32), axes="ZYX", pixel_size=0.3)
    (_, options, kind), (data, over, labels_kind) = read_result(image, labels)
    assert (kind, labels_kind) == ("image", "labels")
    assert (data.dtype, data.shape) == (np.int32, (3, 8, 9))
    assert over["scale"] == options["scale"]
    assert over["name"] == "a cells"
    assert len(read_result(image, None)) == 1
