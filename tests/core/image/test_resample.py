import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_unet.core.image.blocks import read_boxes
from napari_unet.core.image.resample import resampled
from napari_unet.core.learning.sampling import resize_image

SHAPES = [
    ((61, 90), (18, 27)),
    ((61, 90), (152, 225)),
    ((100, 7), (35, 2)),
    ((1, 50), (1, 18)),
    ((9, 9), (9, 9)),
]


@pytest.mark.parametrize(("shape", "new_shape"), SHAPES)
def test_it_is_resizing_with_anti_aliasing(shape, new_shape):
    image = np.random.default_rng(0).random((*shape, 2), np.float32)
    read = resampled(read_boxes(image), shape, new_shape)
    resized = read(((0, new_shape[0]), (0, new_shape[1])))
    assert resized.dtype == np.float32
    np.testing.assert_allclose(resized, resize_image(image, new_shape), atol=1e-6)


@given(top=st.integers(0, 40), left=st.integers(0, 40), side=st.integers(1, 40), scale=st.floats(0.13, 4))
def test_a_pixel_is_the_same_in_every_window(top, left, side, scale):
    image = np.random.default_rng(0).random((83, 71, 1), np.float32)
    new = (round(83 * scale), round(71 * scale))
    read = resampled(read_boxes(image), (83, 71), new)
    top, left = min(top, new[0] - 1), min(left, new[1] - 1)
    bottom, right = min(top + side, new[0]), min(left + side, new[1])
    whole = read(((0, new[0]), (0, new[1])))
    np.testing.assert_array_equal(read(((top, bottom), (left, right))), whole[top:bottom, left:right])
