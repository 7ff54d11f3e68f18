import numpy as np
import pytest

from napari_unet.core.base.arrays import as_labels, slices
from napari_unet.core.base.errors import InputError


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.uint32, np.int64, np.uint64])
def test_whole_numbers_become_int32_with_their_values(dtype: type) -> None:
    labels = as_labels(np.array([[0, 1], [1, 0]], dtype))
    assert labels.dtype == np.int32
    assert labels.tolist() == [[0, 1], [1, 0]]


def test_int32_is_not_copied() -> None:
    labels = np.zeros((2, 2), np.int32)
    assert as_labels(labels) is labels


def test_what_does_not_fit_is_refused_in_words() -> None:
    with pytest.raises(InputError, match="whole numbers, not float32: convert"):
        as_labels(np.ones((2, 2), np.float32))
    for number in (2**31, -(2**31) - 1):
        with pytest.raises(InputError, match="too large for 32 bits"):
            as_labels(np.array([[number]]))
    assert as_labels(np.array([[2**31 - 1, -(2**31)]])).tolist() == [[2**31 - 1, -(2**31)]]
    assert as_labels(np.zeros((0, 4), np.int64)).shape == (0, 4)


def test_a_box_is_cut_out_of_an_array_of_any_axes() -> None:
    array = np.arange(60).reshape(3, 4, 5)
    np.testing.assert_array_equal(array[slices(((1, 3), (0, 2), (4, 5)))], array[1:3, 0:2, 4:5])
