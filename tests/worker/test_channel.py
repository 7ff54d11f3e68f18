"""Objects with arrays arrive as they left, only the one with the key may connect, nothing is left behind."""

import os
import pickle
import threading
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import AuthenticationError
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic import BaseModel, ConfigDict

from napari_unet.worker.channel import LARGE, Channel, Endpoint, Packed, connect, pack, remove

NAME = f"unet-test-{os.getpid()}"


@dataclass
class Sample:
    image: np.ndarray
    name: str


class Settings(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    mask: np.ndarray
    size: float


def send(obj):
    packed = pack(obj, NAME)
    try:
        return packed.parcel.open()
    finally:
        packed.release()


def in_shared_memory(packed: Packed) -> bool:
    return packed.parcel.segment is not None


def check_same(left, right):
    assert right.dtype == left.dtype
    assert right.shape == left.shape
    assert np.asarray(right).tobytes() == np.asarray(left).tobytes()


@pytest.mark.parametrize(
    "dtype",
    ["?", "u1", "i4", ">u2", "f2", "f4", "f8", "c8", "M8[s]", "U3", "S5", [("x", "i2"), ("y", "f8")]],
    ids=str,
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_large_array_of_every_dtype_arrives_through_shared_memory(dtype, order):
    raw = np.random.default_rng(0).integers(0, 2, (300, 400)).astype("u1")
    array = np.asarray(np.zeros(raw.shape, dtype), order=order)
    array[raw == 1] = np.ones((), dtype)
    packed = pack(array, NAME)
    assert in_shared_memory(packed)
    assert len(packed.parcel.data) < 1000
    received = packed.parcel.open()
    packed.release()
    check_same(array, received)
    assert received.flags.c_contiguous == (order == "C")
    received[0, 0] = received[1, 1]


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a[::2, ::3],
        lambda a: a[::-1],
        lambda a: a.transpose(1, 0, 2),
        lambda a: a[:, 5:90],
        lambda a: np.broadcast_to(a[:1], a.shape),
    ],
    ids=["strided", "reversed", "transposed", "cropped", "broadcast"],
)
def test_view_that_is_not_contiguous_arrives_through_shared_memory(view):
    array = view(np.arange(200 * 300 * 4).reshape(200, 300, 4))
    packed = pack(array, NAME)
    assert in_shared_memory(packed)
    check_same(array, packed.parcel.open())
    packed.release()


@settings(max_examples=50, deadline=None)
@given(
    hnp.arrays(
        dtype=hnp.scalar_dtypes(),
        shape=hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
        elements=None,
    )
)
def test_small_arrays_arrive_whatever_they_are(array):
    array = array.astype(array.dtype.newbyteorder("="))  # pickle itself makes foreign dates native
    check_same(array, send([array])[0])


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 3 * LARGE), min_size=1, max_size=5))
def test_arrays_of_any_sizes_in_one_parcel_stay_apart(sizes):
    arrays = [np.full(size, number, np.uint8) for number, size in enumerate(sizes)]
    for left, right in zip(arrays, send(arrays), strict=True):
        check_same(left, right)


def test_arrays_are_found_anywhere():
    big = np.arange(100_000)
    obj = {
        "a": [big, (big + 1, {"b": big + 2})],
        "s": Sample(big + 3, "x"),
        "p": Settings(mask=big > 9, size=2),
    }
    packed = pack(obj, NAME)
    assert len(packed.parcel.data) < 2000
    received = packed.parcel.open()
    packed.release()
    check_same(big, received["a"][0])
    check_same(big + 2, received["a"][1][1]["b"])
    check_same(big + 3, received["s"].image)
    check_same(big > 9, received["p"].mask)
    assert received["p"].size == 2


def test_the_same_array_twice_is_one_array():
    big = np.zeros(100_000)
    first, second = send((big, big))
    assert first is second


def test_memory_mapped_file_arrives_as_an_array(tmp_path):
    np.save(tmp_path / "image.npy", np.arange(50_000))
    mapped = np.load(tmp_path / "image.npy", mmap_mode="r")
    packed = pack(mapped, NAME)
    assert in_shared_memory(packed)
    check_same(mapped, packed.parcel.open())
    packed.release()


def test_object_arrays_and_masked_arrays_are_left_to_pickle():
    objects = np.array([{"a": 1}, None] * 10_000, dtype=object)
    masked = np.ma.masked_greater(np.arange(50_000), 9)
    received = send((objects, masked))
    assert received[0][0] == {"a": 1}
    assert received[1].sum() == masked.sum()


def test_without_room_in_shared_memory_the_arrays_still_arrive():
    taken = SharedMemory(NAME, create=True, size=10)
    array = np.arange(100_000)
    packed = pack(array, NAME)
    assert not in_shared_memory(packed)
    check_same(array, packed.parcel.open())
    packed.release()
    taken.close()
    taken.unlink()


def test_object_that_cannot_be_pickled_takes_no_shared_memory():
    with pytest.raises((TypeError, pickle.PicklingError)):
        pack((np.zeros(100_000), threading.Lock()), NAME)
    with pytest.raises(FileNotFoundError):
        SharedMemory(NAME)


def test_release_and_remove_may_be_repeated():
    packed = pack(np.zeros(100_000), NAME)
    remove(NAME)
    remove(NAME)
    packed.release()
    packed.release()
    with pytest.raises(FileNotFoundError):
        packed.parcel.open()


def accept_in_background(endpoint: Endpoint) -> tuple[threading.Thread, list[Channel]]:
    accepted: list[Channel] = []

    def accept():
        with suppress(EOFError):
            accepted.append(endpoint.accept())

    thread = threading.Thread(target=accept)
    thread.start()
    return thread, accepted


def test_wrong_key_is_refused_and_the_right_one_still_gets_in():
    endpoint = Endpoint()
    thread, accepted = accept_in_background(endpoint)
    with pytest.raises(AuthenticationError):
        connect(endpoint.address, b"a guess")
    assert not accepted
    client = connect(endpoint.address, endpoint.key)
    thread.join(20)
    accepted[0].send({"hello": 1})
    assert client.receive() == {"hello": 1}
    client.send("back")
    assert accepted[0].receive() == "back"
    client.close()
    with pytest.raises((EOFError, OSError)):
        accepted[0].receive()
    accepted[0].close()


def test_nobody_else_may_reach_the_endpoint_and_nothing_of_it_stays():
    endpoint = Endpoint()
    folder = Path(endpoint.address).parent
    if folder.is_dir() and endpoint._folder:
        assert folder.stat().st_mode & 0o077 == 0
    thread, accepted = accept_in_background(endpoint)
    endpoint.close()
    thread.join(20)
    assert not thread.is_alive()
    assert not accepted
    if endpoint._folder:
        assert not folder.exists()
    with pytest.raises(OSError):
        connect(endpoint.address, endpoint.key)
