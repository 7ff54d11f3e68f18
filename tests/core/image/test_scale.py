import numpy as np
import pytest

from napari_unet.core.image.scale import (
    measure_object_size,
    measure_size_range,
    measure_typical_size,
)


def draw_squares(side, count, size=400):
    labels = np.zeros((size, size), np.int32)
    per_row = size // (side + 2)
    for number in range(count):
        row, column = (place * (side + 2) for place in divmod(number, per_row))
        labels[row : row + side, column : column + side] = number + 1
    return labels


def diameter(side):
    return 2 * side / np.sqrt(np.pi)


def test_sizes_are_diameters_of_circles_of_the_same_area():
    labels = draw_squares(20, 9)
    assert measure_object_size([labels]) == pytest.approx(diameter(20))
    assert measure_typical_size(labels) == pytest.approx(diameter(20))
    assert measure_object_size([np.zeros((5, 5), np.int32)]) is None
    assert measure_typical_size(np.zeros((5, 5), np.int32)) is None


def test_crumbs_do_not_change_the_typical_size():
    labels = draw_squares(20, 9)
    crumbs = labels.copy()
    crumbs[300:380:4, 300:380:4] = np.arange(100, 500).reshape(20, 20)
    assert measure_object_size([crumbs]) < 3
    assert measure_typical_size(crumbs) == pytest.approx(diameter(20))


def test_the_range_spans_the_images():
    low, high = measure_size_range([draw_squares(side, 9) for side in (10, 20, 40)])
    assert diameter(8) < low < diameter(10)
    assert diameter(40) < high < diameter(50)
