import numpy as np
import pytest

from napari_unet.core.cells.ids import match_cells, measure_cells, rename_cells


def labels(*rows: list[int]) -> np.ndarray:
    return np.array(rows, np.int32)


@pytest.mark.parametrize("large", [3, 2_000_000_000, -7])
def test_ids_ascend_and_have_their_pixels(large: int) -> None:
    ids, sizes = measure_cells(labels([0, 1, 1], [large, 0, 1], [large, 0, 0]))
    assert dict(zip(ids.tolist(), sizes.tolist(), strict=True)) == {1: 3, large: 2}
    assert ids.tolist() == sorted(ids.tolist())


def test_an_image_without_cells_has_no_ids() -> None:
    for empty in (np.zeros((3, 3), np.int32), np.zeros((0, 3), np.int32)):
        assert [array.tolist() for array in measure_cells(empty)] == [[], []]


def test_names_are_exchanged_at_once() -> None:
    before = labels([1, 2, 5], [0, 2, 1])
    after = rename_cells(before, np.array([1, 2, 5]), np.array([2, 1, 5]))
    assert after.tolist() == [[2, 1, 5], [0, 1, 2]]
    assert before.tolist() == [[1, 2, 5], [0, 2, 1]]
    same = rename_cells(before, np.array([1]), np.array([1]))
    assert same is not before
    assert same.tolist() == before.tolist()


def test_cells_match_where_more_than_half_of_both_is_shared() -> None:
    old = labels([1, 1, 1, 1, 0, 2, 2, 3])
    new = labels([7, 7, 7, 0, 0, 8, 0, 9])
    # 1 and 7 share 3 of 4; 2 and 8 share 1 of 2, no more than half; 3 is not to be kept
    old_ids, new_ids = match_cells(old, np.array([1, 2]), new)
    assert (old_ids.tolist(), new_ids.tolist()) == ([1], [7])
    old_ids, new_ids = match_cells(old, np.array([1, 2, 3]), new)
    assert dict(zip(old_ids.tolist(), new_ids.tolist(), strict=True)) == {1: 7, 3: 9}


def test_any_number_that_fits_may_be_matched() -> None:
    largest, lowest = 2**31 - 1, -(2**31)
    old_ids, new_ids = match_cells(labels([largest, 0]), np.array([largest]), labels([lowest, 0]))
    assert (old_ids.tolist(), new_ids.tolist()) == ([largest], [lowest])
