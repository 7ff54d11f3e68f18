from itertools import permutations

import numpy as np
import pytest

from napari_unet.core.base.errors import InputError
from napari_unet.core.image.planes import default_axes, iterate_planes


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
