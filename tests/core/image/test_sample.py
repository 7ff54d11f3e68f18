import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_unet.core.base.arrays import slices
from napari_unet.core.image.sample import choose_detailed, list_windows, take_centre


@given(st.tuples(st.integers(1, 3000), st.integers(1, 3000)), st.integers(1, 600))
def test_windows_lie_in_the_plane_and_reach_its_corners(shape, side):
    windows = list_windows(shape, side)
    assert len(windows) <= 9
    assert len(set(windows)) == len(windows)
    for axis in (0, 1):
        spans = [window[axis] for window in windows]
        assert min(start for start, _ in spans) == 0
        assert max(stop for _, stop in spans) == shape[axis]
        assert {stop - start for start, stop in spans} == {min(side, shape[axis])}


def test_the_part_with_cells_is_chosen():
    image = np.random.default_rng(0).normal(0, 0.01, (300, 300, 1)).astype(np.float32)
    image[220:240, 230:250] = image[250:270, 260:280] = 1
    chosen = choose_detailed(image[slices(window)] for window in list_windows((300, 300), 100))
    np.testing.assert_array_equal(chosen, image[200:, 200:])


@pytest.mark.parametrize(
    ("shape", "kept"),
    [((2, 2), [[5, 6], [9, 10]]), ((1, 9), [[4, 5, 6, 7]]), ((9, 9), np.arange(16).reshape(4, 4))],
)
def test_the_centre_is_cut_out(shape, kept):
    np.testing.assert_array_equal(take_centre(np.arange(16).reshape(4, 4), shape), kept)
