from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_unet.core.base.errors import InputError
from napari_unet.core.image.axes import default_axes, guess_axes, iterate_planes, parse_channels, plan_planes


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
    with pytest.raises(InputError, match="has only 3 channels"):
        grid.plane(np.zeros((3, 5, 5)), (), 3)


def test_channels_are_counted_from_one():
    assert parse_channels(" ") is None
    assert parse_channels("1") == 0
    assert parse_channels("1, 3") == (0, 2)
    for text in ("0", "a", "1,", "-1", "²"):
        with pytest.raises(InputError, match="is no channel"):
            parse_channels(text)


def test_several_channels_count_the_same_however_bright_they_are():
    rng = np.random.default_rng(0)
    faint, bright, other = rng.normal(10, 1, (20, 30)), rng.normal(0, 500, (20, 30)), np.zeros((20, 30))
    faint[2:9, 3:9] += 50
    bright[11:18, 10:20] += 25000
    image = np.stack([faint, other, bright])
    combined = plan_planes(image.shape, "CYX").plane(image, (), (0, 2))
    assert combined.shape == (20, 30, 1)
    assert combined[3:8, 4:8].mean() == pytest.approx(combined[12:17, 12:18].mean(), rel=0.1)
    assert combined[3:8, 4:8].min() > 3 * combined[:2].max()
    colours = np.moveaxis(image, 0, -1)
    np.testing.assert_array_equal(plan_planes(colours.shape, "YXS").plane(colours, (), [2, 0]), combined)


@pytest.mark.parametrize(
    ("axes", "channel", "words"),
    [("CYX", (0, 3), "only 3"), ("YX", 1, "no channels"), ("CYX", (), "at least one")],
)
def test_channels_that_cannot_be_combined_are_explained(axes, channel, words):
    with pytest.raises(InputError, match=words):
        plan_planes((3, 5, 5)[-len(axes) :], axes).plane(np.zeros((3, 5, 5)[-len(axes) :]), (), channel)


def test_a_channel_of_an_image_without_channels_is_explained():
    grid = plan_planes((5, 8, 8), "ZYX")
    assert grid.plane(np.zeros((5, 8, 8)), (1,), 0).shape == (8, 8, 1)
    with pytest.raises(InputError, match="call it C"):
        grid.plane(np.zeros((5, 8, 8)), (1,), 2)


def test_the_image_is_described_in_words():
    assert plan_planes((10, 1, 2, 400, 512), "TZCYX").describe() == (
        "10 frames x 1 plane, 2 channels, 512 x 400 px"
    )
    assert plan_planes((8, 9, 3), "YXS").describe() == "colour, 9 x 8 px"
    grid = plan_planes((10, 1, 3, 400, 512), "TZCYX")
    assert grid.describe(1, 0.65) == "10 frames x 1 plane, channel 2 of 3, 512 x 400 px, 0.65 µm per px"
    assert "channels 1 and 3 of 3" in grid.describe((0, 2))
    assert "channels 1, 2 and 3 of 3" in grid.describe((0, 1, 2))
    assert plan_planes((8, 9, 3), "YXS").describe(0) == "colour, channel 1 of 3, 9 x 8 px"
    assert plan_planes((8, 9), "YX").describe(0) == "9 x 8 px"


@pytest.mark.parametrize("axes", ["".join(order) for order in permutations("TZCYX")])
def test_every_order_of_the_axes_gives_the_same_planes(axes: str) -> None:
    sizes = {"T": 2, "Z": 3, "C": 2, "Y": 4, "X": 5}
    whole = np.arange(2 * 3 * 2 * 4 * 5).reshape(tuple(sizes.values()))
    array = whole.transpose(["TZCYX".index(axis) for axis in axes])
    found = {(place["T"], place["Z"]): plane for place, plane in iterate_planes(array, axes)}
    assert len(found) == 6
    for (frame, depth), plane in found.items():
        np.testing.assert_array_equal(plane, np.moveaxis(whole[frame, depth], 0, -1))


def test_planes_are_views() -> None:
    labels = np.zeros((2, 3, 4))
    for place, plane in iterate_planes(labels, "XTY"):
        plane[...] = place["T"] + 1
    assert labels[:, :, 0].tolist() == [[1, 2, 3]] * 2


def test_axes_that_do_not_fit_are_refused() -> None:
    assert default_axes(3) == "ZYX"
    with pytest.raises(InputError):
        list(iterate_planes(np.zeros((2, 3)), "ZYX"))
