from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_unet.core.axes import guess_axes, plan_planes
from napari_unet.core.errors import InputError


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((64, 80), "YX"),
        ((64, 80, 3), "YXS"),
        ((64, 80, 4), "YXS"),
        ((3, 64, 80), "CYX"),
        ((1, 64, 80), "ZYX"),
        ((40, 64, 80), "ZYX"),
        ((10, 40, 64, 80), "TZYX"),
        ((10, 3, 64, 80), "ZCYX"),
        ((10, 20, 2, 64, 80), "TZCYX"),
        ((10, 2, 20, 64, 80), "TCZYX"),
        ((10, 64, 80, 3), "ZYXS"),
    ],
)
def test_likely_axes(shape, axes):
    assert guess_axes(shape) == axes


@given(st.lists(st.integers(1, 30), min_size=2, max_size=5), st.sampled_from([None, False]))
def test_any_guess_can_be_planned(shape, rgb):
    grid = plan_planes(tuple(shape), rgb=rgb)
    assert len(list(grid.indices())) * grid.channels * int(np.prod(grid.shape)) > 0
    assert len(grid.label_shape) == len(grid.label_axes)


@pytest.mark.parametrize("axes", ["".join(p) for p in permutations("TZCYX")])
def test_every_order_of_axes_yields_its_planes(axes):
    sizes = {"T": 2, "Z": 3, "C": 2, "Y": 5, "X": 7}
    image = np.arange(2 * 3 * 2 * 5 * 7).reshape([sizes[a] for a in axes])
    grid = plan_planes(image.shape, axes)
    rebuilt = np.empty(grid.label_shape, int)
    for index in grid.indices():
        rebuilt[grid.select(index)] = grid.plane(image, index, 1)[..., 0]
    expected = image.take(1, axis=axes.index("C"))
    np.testing.assert_array_equal(rebuilt, expected)
    assert grid.label_axes == axes.replace("C", "")


def test_colour_becomes_grey_and_alpha_is_ignored():
    image = np.random.default_rng(0).integers(0, 255, (8, 9, 4)).astype(np.uint8)
    grid = plan_planes(image.shape, "YXS")
    grey = grid.plane(image, ())
    assert grey.shape == (8, 9, 1)
    np.testing.assert_array_equal(grid.plane(image, (), 2)[..., 0], image[..., 2])
    image[..., 3] = 0
    np.testing.assert_array_equal(grid.plane(image, ()), grey)


@pytest.mark.parametrize(
    ("shape", "axes", "words"),
    [
        ((5, 5), "YQ", "unknown"),
        ((5, 5), "YY", "twice"),
        ((5, 5, 5), "YX", "has 3"),
        ((5, 5), "TZ", "lack"),
        ((5, 5, 3, 3), "YXCS", "both"),
        ((5,), None, "rows and columns"),
        ((2, 2, 2, 2, 5, 5, 5), None, "axes"),
    ],
)
def test_impossible_axes_are_explained(shape, axes, words):
    with pytest.raises(InputError, match=words):
        plan_planes(shape, axes)


def test_a_missing_channel_is_explained():
    grid = plan_planes((3, 5, 5), "CYX")
    with pytest.raises(InputError, match="channels 0 to 2"):
        grid.plane(np.zeros((3, 5, 5)), (), 3)


def test_the_image_is_described_in_words():
    assert plan_planes((10, 1, 2, 400, 512), "TZCYX").describe() == (
        "10 frames x 1 plane, 2 channels, 512 x 400 px"
    )
    assert plan_planes((8, 9, 3), "YXS").describe() == "colour, 9 x 8 px"
