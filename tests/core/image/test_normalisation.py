import numpy as np
import pytest

from napari_unet.core.base.errors import InputError
from napari_unet.core.image.normalisation import check_pixels, normalise


def scene(seed=0):
    return np.random.default_rng(seed).gamma(2.0, 1.0, (64, 64, 1))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.int16, np.float32, np.float64])
def test_gain_and_offset_do_not_matter(dtype):
    image = np.rint(scene() * 10)
    moved = (image * 2 + 40).astype(dtype)
    np.testing.assert_allclose(normalise(moved), normalise(image), atol=1e-4)


def test_a_large_offset_does_not_swallow_the_signal():
    image = np.rint(scene() * 100)
    np.testing.assert_allclose(normalise((image + 2**31).astype(np.uint32)), normalise(image), atol=1e-4)


def test_most_pixels_lie_between_zero_and_one_and_outliers_are_clipped():
    image = scene()
    image[0, 0] = 1e9
    result = normalise(image)
    assert result.dtype == np.float32
    assert np.mean((result >= 0) & (result <= 1)) > 0.97
    assert result.max() == 3


def test_booleans_and_constant_channels_are_no_trouble():
    mask = scene() > 2
    assert set(np.unique(normalise(mask))) == {0.0, 1.0}
    assert not normalise(np.full((4, 4, 2), 7)).any()


def test_sparse_signal_survives_percentiles_that_coincide():
    image = np.zeros((200, 200, 1), np.uint16)
    image[10:14, 10:14] = 500
    assert normalise(image)[12, 12, 0] == 1


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((0, 5)), "empty"),
        (np.full((5, 5), 3), "constant"),
        (np.array([[1.0, np.nan], [2.0, np.inf]]), "2 pixels"),
        (np.ones((4, 4), complex), "numbers"),
        (np.array([["a", "b"]]), "numbers"),
    ],
)
def test_unusable_pixels_are_explained(image, words):
    with pytest.raises(InputError, match=words):
        check_pixels(image)
