import itertools

import numpy as np
import pytest
from scipy import ndimage

from napari_unet.core.base.arrays import slices
from napari_unet.core.review.grow import grow_at
from napari_unet.core.review.rays import ANGLES, STEPS, find_path

SHAPE = (120, 140)


def disc(row: float, column: float, radius: float) -> np.ndarray:
    rows, columns = np.indices(SHAPE)
    return np.hypot(rows - row, columns - column) < radius


def draw(cells: list[np.ndarray], *, background: float = 50, foreground: float = 150, noise: float = 10):
    """An image of some cells, and labels of all of them but the first."""
    image = np.full(SHAPE, float(background))
    image[np.any(cells, axis=0)] = foreground
    image += np.random.default_rng(0).normal(0, noise, SHAPE)
    labels = np.zeros(SHAPE, np.int32)
    for number, cell in enumerate(cells[1:], start=1):
        labels[cell & (labels == 0)] = number
    return image, labels


def grow(image: np.ndarray, labels: np.ndarray, point: tuple[float, float]) -> np.ndarray | None:
    """The labels after a click at a point, None where nothing was found; only a window is read."""
    pixels = image if image.ndim == 3 else image[..., None]
    change = grow_at(labels, lambda box: pixels[slices(box)], point, itertools.count(100))
    if change is None:
        return None
    grown = labels.copy()
    change.apply(grown)
    return grown


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    return np.count_nonzero(first & second) / np.count_nonzero(first | second)


@pytest.mark.parametrize(("background", "foreground"), [(50, 150), (150, 50)], ids=["bright", "dark"])
@pytest.mark.parametrize("point", [(60, 60), (52, 67)], ids=["middle", "off the middle"])
def test_a_cell_is_drawn_where_it_is_seen(background, foreground, point):
    cell = disc(60, 60, 15)
    cells = [cell, disc(60, 110, 14), disc(20, 20, 14)]
    image, labels = draw(cells, background=background, foreground=foreground)
    grown = grow(image, labels, point)
    assert overlap(grown == 100, cell) > 0.9
    np.testing.assert_array_equal(grown[grown != 100], labels[grown != 100])


def test_the_size_need_not_be_known():
    for radius in (8, 15, 35):
        image, labels = draw([disc(60, 60, radius)])
        assert overlap(grow(image, labels, (60, 60)) == 100, disc(60, 60, radius)) > 0.85


def test_colours_of_one_brightness_are_told_apart():
    cell, other = disc(60, 60, 15), disc(60, 110, 14)
    image, labels = draw([cell, other])
    pixels = np.stack([image, 200 - image], axis=-1)
    assert overlap(grow(pixels, labels, (60, 60)) == 100, cell) > 0.9


def test_a_neighbour_that_is_touched_keeps_its_pixels():
    cell, neighbour = disc(60, 60, 15), disc(60, 84, 15)
    image, labels = draw([cell, neighbour])
    grown = grow(image, labels, (60, 56))
    np.testing.assert_array_equal(grown == 1, labels == 1)
    assert overlap(grown == 100, cell & ~neighbour) > 0.9


@pytest.mark.parametrize("centre", [(3, 60), (118, 138), (0, 0)])
def test_a_cell_at_the_edge_of_the_image(centre):
    cell = disc(*centre, 15)
    image, labels = draw([cell, disc(60, 60, 14)])
    assert overlap(grow(image, labels, np.clip(centre, 1, 118)) == 100, cell) > 0.8


def test_a_cell_in_a_crowd_is_one_piece_without_holes():
    others = [disc(60, 86, 14), disc(34, 60, 14), disc(86, 60, 14), disc(60, 34, 14)]
    cell = disc(60, 60, 15) & ~np.any(others, axis=0)
    image, labels = draw([cell, *others])
    image[58:62, 58:62] = 50  # a nucleolus
    grown = grow(image, labels, (60, 52)) == 100
    assert ndimage.label(grown)[1] == 1
    assert grown[60, 60]
    assert overlap(grown, cell) > 0.9


@pytest.mark.parametrize("known", [True, False], ids=["size known", "size not known"])
def test_nothing_is_drawn_where_there_is_none(known):
    rng = np.random.default_rng(1)
    labels = np.zeros(SHAPE, np.int32)
    labels[:20, :20] = known
    found = [grow(rng.normal(100, 10, SHAPE), labels, (70, 80)) for _ in range(10)]
    assert sum(one is not None for one in found) <= 1
    assert grow(np.full(SHAPE, 7.0), labels, (70, 80)) is None
    assert grow(np.full(SHAPE, 7.0), labels, (-5, 80)) is None


def test_pixels_that_are_no_numbers_do_no_harm():
    cell = disc(60, 60, 15)
    image, labels = draw([cell, disc(60, 110, 14)])
    image[50:52, 100:102] = np.nan
    assert overlap(grow(image, labels, (60, 60)) == 100, cell) > 0.9


@pytest.mark.parametrize("change", ["shifted", "small", "large"])
def test_a_wrong_outline_is_drawn_anew_and_the_id_stays(change):
    cell = disc(60, 60, 15)
    image, labels = draw([cell, disc(60, 110, 14)])
    wrong = {"shifted": disc(63, 64, 15), "small": disc(60, 60, 11), "large": disc(60, 60, 19)}[change]
    labels[wrong] = 7
    grown = grow(image, labels, (61, 62))
    assert set(np.unique(grown)) == {0, 1, 7}
    assert overlap(grown == 7, cell) > 0.93 > overlap(wrong, cell)


def test_an_outline_that_the_image_confirms_is_replaced_by_a_wider_one():
    cell = disc(60, 60, 16)
    dim = cell & (np.indices(SHAPE)[1] > 62)
    image, labels = draw([cell, disc(60, 110, 14)], background=20, foreground=200, noise=1)
    image[dim] = 80
    labels[cell & ~dim] = 7
    assert overlap(grow(image, labels, (60, 52)) == 7, cell) > 0.9


def test_any_number_may_be_an_id():
    cell = disc(60, 60, 15)
    image, labels = draw([cell, disc(60, 110, 14)])
    labels[labels == 1] = np.iinfo(np.int32).max
    assert overlap(grow(image, labels, (60, 60)) == 100, cell) > 0.9


def test_only_the_surroundings_are_read():
    image, labels = draw([disc(60, 60, 8), disc(60, 110, 8)])
    seen = []

    def read(box):
        seen.append(box)
        return image[slices(box)][..., None]

    grow_at(labels, read, (60, 60), itertools.count(100))
    ((rows, columns),) = seen
    assert rows[1] - rows[0] < 60
    assert columns[1] - columns[0] < 60


def test_the_cheapest_path_is_closed_and_swings_little():
    cost = np.ones((ANGLES, STEPS))
    wave = np.round(20 + 6 * np.sin(np.arange(ANGLES) * 2 * np.pi / ANGLES)).astype(int)
    cost[np.arange(ANGLES), wave] = 0
    cost[7, wave[7]] = 1
    cost[7, 40] = 0  # too far away
    assert np.abs(find_path(cost) - wave).max() <= 1
