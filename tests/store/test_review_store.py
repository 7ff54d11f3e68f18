"""A review on disk survives errors, power cuts and damage: it is always a state the user has seen."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path

import numpy as np
import pytest

from napari_unet.core.base.errors import InputError
from napari_unet.core.review.review import Review
from napari_unet.io import atomic
from napari_unet.store.records import Edit
from napari_unet.store.review_store import ReviewStore

SHAPE = (5, 7)
STEPS = ("write", "sync", "truncate", "replace", "sync_folder")


class PowerCut(BaseException):
    """Nothing of this process happens any more."""


class Disk:
    """Counts the steps that reach the disk, fails one of them, and remembers what is certainly on it.

    Certain is the content of a file at its last sync, and the names in a folder at its last sync.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps = 0
        self.fail_at = 0
        self.fail: Callable[[], BaseException] = PowerCut
        self.torn = 0
        self.dead = False
        self.contents: dict[int, bytes] = {}
        self.names: dict[str, int] = {}
        for name in STEPS:
            monkeypatch.setattr(atomic, name, self._watch(name, getattr(atomic, name)))

    def _watch(self, name: str, step: Callable[..., None]) -> Callable[..., None]:
        def watched(*args: object) -> None:
            self.steps += 1
            if self.dead or self.steps == self.fail_at:
                self._break(name, *args)
            if name in ("write", "truncate", "replace"):
                step(*args)
            if name == "sync":
                number = args[0].fileno()  # type: ignore[attr-defined]
                size = os.fstat(number).st_size
                with FileIO(args[0].name, "r") as stream:  # type: ignore[attr-defined]
                    self.contents[os.fstat(number).st_ino] = stream.read(size)
            if name == "sync_folder":
                self.names = {path.name: path.stat().st_ino for path in args[0].iterdir()}  # type: ignore[attr-defined]

        return watched

    def _break(self, name: str, *args: object) -> None:
        error = self.fail()
        self.dead = isinstance(error, PowerCut)
        if name == "write" and not (self.dead and self.steps > self.fail_at):
            args[0].write(args[1][: self.torn])  # type: ignore[attr-defined,index]
        raise error

    def after_power_cut(self, folder: Path, target: Path, *, names_too: bool) -> None:
        """Make `target` what may be found: synced contents only, under the present or the synced names."""
        target.mkdir()
        names = self.names if names_too else {path.name: path.stat().st_ino for path in folder.iterdir()}
        for name, inode in names.items():
            (target / name).write_bytes(self.contents.get(inode, b""))


def states() -> list[Review]:
    """The reviews that a user goes through: three of one prediction, three of the next."""
    rng = np.random.default_rng(3)
    made = []
    for _ in range(2):
        review = Review.of(rng.integers(0, 9, SHAPE, dtype=np.int32))
        made.append(review)
        for _ in range(2):
            labels, marked = made[-1].labels.copy(), made[-1].marked.copy()
            row, column = rng.integers(0, 3, 2)
            labels[row : row + 2, column : column + 4] = rng.integers(0, 9, (2, 4))
            marked[row : row + 2, column : column + 4] ^= True
            made.append(Review(review.prediction, labels, marked))
    return made


STATES = states()


def whole(review: Review) -> Edit:
    return Edit(tuple((0, length) for length in SHAPE), review.labels.copy(), review.marked.copy())


def play(store: ReviewStore, done: list[int]) -> None:
    """Go through STATES, with a new snapshot in the midst of each review; `done` has what became durable."""
    for number, review in enumerate(STATES):
        if number % 3 == 0:
            persist(lambda review=review: store.begin(review, "m"))  # type: ignore[misc]
        else:
            persist(lambda review=review: store.append([whole(review)]))  # type: ignore[misc]
        done.append(number)
        if number % 3 == 1:
            with contextlib.suppress(OSError):
                store.tidy()


def persist(step: Callable[[], None]) -> None:
    """Do as the writer does: try again after an error."""
    try:
        step()
    except OSError:
        step()


def index(review: Review | None) -> int:
    """Which of STATES this is, -1 for none."""
    if review is None:
        return -1
    [found] = [
        number
        for number, state in enumerate(STATES)
        if all(
            np.array_equal(getattr(state, name), getattr(review, name))
            for name in ("prediction", "labels", "marked")
        )
    ]
    return found


@pytest.fixture(autouse=True)
def tidy_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_unet.store.review_store.LARGE_JOURNAL", 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "image").mkdir()
    return tmp_path / "image"


@pytest.fixture
def store(folder: Path) -> Iterator[ReviewStore]:
    store = ReviewStore(folder, "cells")
    store.acquire()
    yield store
    store.close()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def count_steps(folder: Path, disk: Disk) -> int:
    store = ReviewStore(folder, "cells")
    store.acquire()
    done: list[int] = []
    play(store, done)
    store.close()
    assert index(store.load()) == 5
    shutil.rmtree(folder)
    folder.mkdir()
    steps, disk.steps = disk.steps, 0
    return steps


@pytest.mark.parametrize("torn", [0, 30])
def test_any_step_may_fail_once(folder: Path, disk: Disk, tmp_path: Path, torn: int) -> None:
    disk.fail, disk.torn = lambda: OSError(errno.ENOSPC, "full"), torn
    for step in range(1, count_steps(folder, disk) + 1):
        disk.steps, disk.fail_at = 0, step
        disk.contents, disk.names = {}, {}
        store = ReviewStore(folder, "cells")
        store.acquire()
        done: list[int] = []
        play(store, done)
        store.close()
        for names_too in (True, False):
            disk.after_power_cut(folder, tmp_path / "cut", names_too=names_too)
            assert index(ReviewStore(tmp_path / "cut", "cells").load()) == 5
            shutil.rmtree(tmp_path / "cut")
        store.acquire()
        assert index(store.load()) == 5
        store.close()
        assert len(list(folder.iterdir())) == 4, "only the current generation is left"
        shutil.rmtree(folder)
        folder.mkdir()


@pytest.mark.parametrize("torn", [0, 30])
def test_a_power_cut_at_any_step_loses_nothing_that_was_durable(
    folder: Path, disk: Disk, tmp_path: Path, torn: int
) -> None:
    disk.torn = torn
    for step in range(1, count_steps(folder, disk) + 1):
        disk.steps, disk.fail_at, disk.dead = 0, step, False
        disk.contents, disk.names = {}, {}
        store = ReviewStore(folder, "cells")
        store.acquire()
        done: list[int] = []
        with pytest.raises(PowerCut):
            play(store, done)
        store.close()
        disk.dead, disk.fail_at = False, 0
        last = max(done, default=-1)
        found = [folder, tmp_path / "names", tmp_path / "contents"]
        disk.after_power_cut(folder, found[1], names_too=True)
        disk.after_power_cut(folder, found[2], names_too=False)
        for place in found:
            check_and_go_on(place, last)
            shutil.rmtree(place)
        folder.mkdir()


def check_and_go_on(folder: Path, last: int) -> None:
    """The review is the last durable state or the one under way, and takes new edits."""
    store = ReviewStore(folder, "cells")
    store.acquire()
    state = index(store.load())
    assert last <= state <= last + 1
    if state >= 0:
        following = STATES[3 * (state // 3) + 2]
        store.append([whole(following)])
        assert np.array_equal(store.load().labels, following.labels)  # type: ignore[union-attr]
    store.begin(STATES[0], "m")
    store.close()
    assert index(ReviewStore(folder, "cells").load()) == 0


def test_a_large_journal_becomes_a_new_snapshot(store: ReviewStore, folder: Path) -> None:
    store.begin(STATES[0], "m")
    store.append([whole(STATES[1])])
    store.tidy()
    assert sorted(path.name for path in folder.iterdir()) == [
        "journal-2.bin",
        "lock",
        "review-2.npz",
        "review.json",
    ]
    assert index(store.load()) == 1
    store.append([whole(STATES[2])])
    assert index(store.load()) == 2


def test_a_small_journal_is_left_alone(
    store: ReviewStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_unet.store.review_store.LARGE_JOURNAL", 64 << 20)
    store.begin(STATES[0], "m")
    store.append([whole(STATES[1])])
    store.tidy()
    assert (folder / "review-1.npz").exists()


def test_the_snapshot_is_an_ordinary_npz_file(store: ReviewStore, folder: Path) -> None:
    store.begin(STATES[1], "m")
    with np.load(folder / "review-1.npz") as archive:
        np.testing.assert_array_equal(archive["labels"], STATES[1].labels)
        np.testing.assert_array_equal(archive["marked"], STATES[1].marked)


def load(store: ReviewStore) -> tuple[Review | None, str]:
    """The review, or None and what the user is told."""
    try:
        return store.load(), ""
    except InputError as error:
        return None, str(error)


@pytest.mark.parametrize("name", ["review.json", "review-1.npz"])
def test_a_damaged_file_is_told_or_harmless_and_never_deleted(
    store: ReviewStore, folder: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    store.begin(STATES[0], "m")
    store.append([whole(STATES[1])])
    kept = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "lock"}
    told = 0
    for position in range(0, len(kept[name]), 3):
        damaged = bytearray(kept[name])
        damaged[position] ^= 1 << position % 8
        (folder / name).write_bytes(bytes(damaged))
        expected = {**kept, name: bytes(damaged)}
        review, message = load(store)
        told += bool(message)
        if review is not None:
            assert index(review) == 1
        elif "newer" not in message:
            [aside] = folder.glob("damaged-*")
            assert str(aside) in message
            assert {path.name: path.read_bytes() for path in aside.iterdir()} == expected
            assert store.load() is None
            for path in aside.iterdir():
                path.rename(folder / path.name)
            aside.rmdir()
    assert told > len(kept[name]) // 12


def test_a_damaged_review_does_not_stop_a_new_one(
    store: ReviewStore, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store.begin(STATES[0], "m")
    (folder / "review.json").write_bytes(b"{")
    assert store.shape is None
    store.begin(STATES[3], "m")
    assert index(store.load()) == 3
    [aside] = folder.glob("damaged-*")
    assert (aside / "review-1.npz").exists()


def test_a_lost_journal_is_damage(store: ReviewStore, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    store.begin(STATES[0], "m")
    store.close()
    (folder / "journal-1.bin").unlink()
    with pytest.raises(InputError, match="set aside"):
        ReviewStore(folder, "cells").load()
    assert len(list(folder.glob("damaged-*/review-1.npz"))) == 1


def test_a_review_of_a_newer_version_is_neither_read_nor_replaced(store: ReviewStore, folder: Path) -> None:
    store.begin(STATES[0], "m")
    path = folder / "review.json"
    path.write_bytes(path.read_bytes().replace(b'"format": 1', b'"format": 2'))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for action in (store.load, lambda: store.shape, lambda: store.begin(STATES[3], "m")):
        with pytest.raises(InputError, match="newer napari-unet"):
            action()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_reading_goes_on_with_the_new_generation_where_the_old_one_goes(
    store: ReviewStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.begin(STATES[0], "m")
    reader = ReviewStore(folder, "cells")
    read = ReviewStore._read
    calls: list[int] = []

    def read_late(self: ReviewStore, state: object) -> Review:
        if not calls:
            calls.append(1)
            store.begin(STATES[3], "m")
        return read(self, state)  # type: ignore[arg-type]

    monkeypatch.setattr(ReviewStore, "_read", read_late)
    assert index(reader.load()) == 3


def test_only_one_may_write(store: ReviewStore, folder: Path) -> None:
    store.begin(STATES[0], "m")
    other = ReviewStore(folder, "cells")
    with pytest.raises(InputError, match="open in another napari window"):
        other.acquire()
    assert index(other.load()) == 0
    store.close()
    other.acquire()
    other.close()


def test_leftovers_of_a_crash_are_deleted_when_the_image_is_opened(store: ReviewStore, folder: Path) -> None:
    store.begin(STATES[0], "m")
    store.close()
    for name in ("review-2.npz", "journal-2.bin", ".review-2.npz.0a1b2c3d.tmp"):
        (folder / name).write_bytes(b"half")
    store.acquire()
    assert sorted(path.name for path in folder.iterdir()) == [
        "journal-1.bin",
        "lock",
        "review-1.npz",
        "review.json",
    ]
