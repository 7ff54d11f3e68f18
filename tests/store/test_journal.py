"""Edits come back from the journal, whatever was left of it, and the writer keeps what it cannot write."""

from __future__ import annotations

import contextlib
import errno
import logging
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_unet.core.base.errors import InputError
from napari_unet.core.review.review import Review
from napari_unet.io import atomic
from napari_unet.store.journal import Edit, Journal, JournalError, JournalWriter, replay
from napari_unet.store.records import decode, encode

SHAPE = (6, 8)


def edit(number: int) -> Edit:
    box = ((number % 4, number % 4 + 2), (number % 5, number % 5 + 3))
    return Edit(box, np.full((2, 3), number + 1, np.int32), np.eye(2, 3, k=number % 2, dtype=bool))


def same(first: Edit, second: Edit) -> bool:
    arrays = [(first.labels, second.labels), (first.marked, second.marked)]
    return first.box == second.box and all(
        a is b if a is None or b is None else a.dtype == b.dtype and np.array_equal(a, b) for a, b in arrays
    )


def read(path: Path) -> list[Edit]:
    return [edit for edit, _ in replay(path, SHAPE)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    Journal.create(tmp_path / "journal-1.bin")
    return tmp_path / "journal-1.bin"


@st.composite
def edits(draw: st.DrawFn) -> tuple[Edit, tuple[int, ...]]:
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=4, max_side=6))
    starts = [draw(st.integers(0, length)) for length in shape]
    box = tuple(
        (start, draw(st.integers(start, length))) for start, length in zip(starts, shape, strict=True)
    )
    size = tuple(stop - start for start, stop in box)
    labels = draw(st.none() | hnp.arrays(np.int32, size))
    marked = draw(st.none() | hnp.arrays(np.bool_, size))
    return Edit(box, labels, marked), shape


@given(edits())
@settings(deadline=None)
def test_an_edit_comes_back_from_its_bytes(case: tuple[Edit, tuple[int, ...]]) -> None:
    written, shape = case
    assert same(decode(encode(written), shape), written)


@given(edits(), st.data())
@settings(deadline=None)
def test_damaged_bytes_are_an_edit_or_a_value_error(
    case: tuple[Edit, tuple[int, ...]], data: st.DataObject
) -> None:
    written, shape = case
    payload = bytearray(encode(written))
    payload[data.draw(st.integers(0, len(payload) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(ValueError):
        assert decode(bytes(payload), shape).fits(shape)


def test_an_edit_is_a_copy_of_its_box() -> None:
    labels = np.arange(48, dtype=np.int32).reshape(SHAPE)
    cut = Edit.cut(((1, 3), (2, 4)), labels=labels, marked=labels > 20)
    labels[...] = 0
    review = Review.of(np.zeros(SHAPE, np.int32))
    cut.apply(review)
    np.testing.assert_array_equal(review.labels[1:3, 2:4], [[10, 11], [18, 19]])
    assert review.labels.sum() == 58
    assert not review.marked.any()


def test_an_edit_whose_arrays_do_not_fit_its_box_is_refused() -> None:
    with pytest.raises(InputError, match="cut it first"):
        Edit(((0, 2), (0, 2)), np.zeros((2, 3), np.int32))


def test_appended_edits_are_replayed_in_order(path: Path) -> None:
    journal = Journal(path, SHAPE)
    journal.append([edit(0), edit(1)])
    journal.close()
    journal.append([edit(2)])
    journal.close()
    assert all(map(same, read(path), map(edit, range(3))))
    assert len(read(path)) == 3


def test_a_journal_cut_anywhere_gives_a_prefix_and_takes_new_edits(path: Path) -> None:
    journal = Journal(path, SHAPE)
    ends = []
    for number in range(4):
        journal.append([edit(number)])
        ends.append(journal.size)
    journal.close()
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        if size < 12:
            with pytest.raises(JournalError):
                read(path)
            continue
        expected = sum(end <= size for end in ends)
        assert len(read(path)) == expected
        again = Journal(path, SHAPE)
        again.append([edit(9)])
        again.close()
        got = read(path)
        assert len(got) == expected + 1
        assert all(map(same, got, [*map(edit, range(expected)), edit(9)]))


def test_a_flipped_bit_anywhere_gives_a_prefix(path: Path) -> None:
    journal = Journal(path, SHAPE)
    journal.append([edit(0), edit(1), edit(2)])
    journal.close()
    whole = path.read_bytes()
    for position in range(12, len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(bytes(damaged))
        got = read(path)
        assert len(got) < 3
        assert all(map(same, got, map(edit, range(3))))


def test_zeros_at_the_end_as_a_power_cut_leaves_them_are_no_edits(path: Path) -> None:
    journal = Journal(path, SHAPE)
    journal.append([edit(0)])
    journal.close()
    with path.open("ab") as stream:
        stream.write(bytes(4096))
    assert len(read(path)) == 1


def test_what_is_cut_off_is_kept_beside_the_journal(path: Path) -> None:
    journal = Journal(path, SHAPE)
    journal.append([edit(0)])
    keep = journal.size
    journal.append([edit(1)])
    journal.close()
    damaged = bytearray(path.read_bytes())
    damaged[keep + 20] ^= 1
    path.write_bytes(bytes(damaged))
    Journal(path, SHAPE)
    [torn] = path.parent.glob("*.torn")
    assert torn.read_bytes() == bytes(damaged[keep:])


def test_another_file_is_no_journal(path: Path) -> None:
    path.write_bytes(b"NUNETJRN\x02\x00\x00\x00")
    with pytest.raises(JournalError):
        Journal(path, SHAPE)
    assert path.read_bytes() == b"NUNETJRN\x02\x00\x00\x00"


def test_a_journal_of_another_shape_gives_nothing(path: Path) -> None:
    journal = Journal(path, SHAPE)
    journal.append([edit(3)])
    journal.close()
    assert list(replay(path, (6, 8, 1))) == []
    assert list(replay(path, (3, 3))) == []


@pytest.mark.parametrize("step", ["write", "sync"])
@pytest.mark.parametrize("written", [0, 1, 40])
def test_a_failed_append_leaves_the_journal_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch, step: str, written: int
) -> None:
    journal = Journal(path, SHAPE)
    journal.append([edit(0)])

    def fail(stream: object, *args: bytes) -> None:
        if args:
            stream.write(args[0][:written])  # type: ignore[attr-defined]
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(atomic, step, fail)
        with pytest.raises(OSError):
            journal.append([edit(1)])
    assert same(read(path)[0], edit(0))
    journal.append([edit(2)])
    journal.close()
    assert [int(got.labels[0, 0]) for got in read(path) if got.labels is not None] == [1, 3]


class Memory:
    """A store that fails or waits when it is told to."""

    def __init__(self) -> None:
        self.shape: tuple[int, ...] | None = SHAPE
        self.log: list[object] = []
        self.error: Exception | None = None
        self.go = threading.Event()
        self.go.set()
        self.tidied = threading.Event()
        self.closed = False

    def append(self, edits: Sequence[Edit]) -> None:
        self.go.wait(30)
        if self.error:
            raise self.error
        self.log += [int(edit.labels[0, 0]) for edit in edits if edit.labels is not None]

    def begin(self, review: Review, model: str) -> None:
        self.log.append(model)

    def tidy(self) -> None:
        self.tidied.set()
        raise OSError("never mind")

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def writer(memory: Memory) -> Iterator[JournalWriter]:
    writer = JournalWriter(memory, retry_after=0.05, tidy_after=0.1)
    yield writer
    memory.error = None
    memory.go.set()
    writer.close()


def test_edits_and_reviews_are_written_in_the_order_given(writer: JournalWriter, memory: Memory) -> None:
    memory.go.clear()
    for number in range(3):
        writer.submit(edit(number))
    writer.begin(Review.of(np.zeros((9, 9), np.int32)), model="m")
    writer.submit(Edit(((8, 9), (8, 9)), np.full((1, 1), 77, np.int32)))
    assert writer.pending == 5
    assert not writer.flush(0.05)
    memory.go.set()
    assert writer.flush()
    assert memory.log == [1, 2, 3, "m", 77]
    assert writer.pending == 0


def test_a_full_disk_is_told_once_and_nothing_is_lost(writer: JournalWriter, memory: Memory) -> None:
    told: list[str] = []
    written = threading.Event()
    writer.failed.connect(told.append)
    writer.written.connect(written.set)
    memory.error = OSError(errno.ENOSPC, "No space left on device")
    writer.submit(edit(0))
    assert not writer.flush(0.3)
    writer.submit(edit(1))
    assert not writer.flush(0.3)
    assert len(told) == 1
    assert "disk is full" in told[0]
    assert "kept" in told[0]
    assert not written.is_set()
    memory.error = None
    assert writer.flush()
    assert written.wait(10)
    assert memory.log == [1, 2]


def test_the_thread_outlives_every_error(writer: JournalWriter, memory: Memory) -> None:
    told: list[str] = []
    writer.failed.connect(told.append)
    memory.error = MemoryError()
    writer.submit(edit(0))
    assert not writer.flush(0.2)
    memory.error = None
    assert writer.flush()
    assert len(told) == 1
    assert memory.log == [1]


def test_a_listener_that_fails_stops_nothing(
    writer: JournalWriter, memory: Memory, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("listener")

    writer.written.connect(fail)
    for number in range(2):
        writer.submit(edit(number))
        assert writer.flush()
    assert memory.log == [1, 2]


def test_the_store_is_tidied_in_a_pause_after_edits(
    writer: JournalWriter, memory: Memory, caplog: pytest.LogCaptureFixture
) -> None:
    assert not memory.tidied.wait(0.3)
    with caplog.at_level(logging.ERROR):
        writer.submit(edit(0))
        assert memory.tidied.wait(10)
        writer.submit(edit(1))
        assert writer.flush()
    assert memory.log == [1, 2]


def test_edits_that_fit_no_review_are_refused_at_once(writer: JournalWriter, memory: Memory) -> None:
    with pytest.raises(InputError, match="outside"):
        writer.submit(Edit(((0, 7), (0, 1)), np.zeros((7, 1), np.int32)))
    memory.shape = None
    empty = JournalWriter(memory)
    with pytest.raises(InputError, match="press Segment"):
        empty.submit(edit(0))
    assert empty.close()


def test_close_writes_what_is_left_and_takes_no_more(writer: JournalWriter, memory: Memory) -> None:
    writer.submit(edit(0))
    assert writer.close()
    assert memory.log == [1]
    assert memory.closed
    with pytest.raises(InputError, match="closed"):
        writer.submit(edit(1))
    assert writer.close()


def test_close_tells_when_something_could_not_be_written(writer: JournalWriter, memory: Memory) -> None:
    memory.error = OSError(errno.EIO, "Input/output error")
    writer.submit(edit(0))
    assert not writer.close(0.2)
    assert memory.closed
