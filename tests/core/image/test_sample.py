import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_unet.core.image.sample import choose_window, list_windows


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
    assert choose_window(image, 100) == ((200, 300), (200, 300))
