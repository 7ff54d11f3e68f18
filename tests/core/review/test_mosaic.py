"""Boxes of a plane side by side in a smaller one."""

import numpy as np

from napari_unet.core.review.mosaic import Mosaic

BOXES = [((0, 10), (0, 20)), ((30, 70), (5, 15)), ((90, 100), (80, 100))]


def test_each_box_is_there_with_its_own_pixels_and_nothing_between():
    plane = np.arange(1, 10001).reshape(100, 100)
    mosaic = Mosaic.pack(BOXES)
    cut, numbers = mosaic.cut(plane), mosaic.number()
    assert sorted(mosaic.boxes) == sorted(BOXES)
    for number, ((top, bottom), (left, right)) in enumerate(mosaic.boxes, start=1):
        assert cut[numbers == number].tolist() == plane[top:bottom, left:right].ravel().tolist()
    assert not cut[numbers == 0].any()
    assert cut.size < plane.size / 2


def test_a_part_of_a_box_is_found_again_in_the_plane():
    mosaic = Mosaic.pack(BOXES)
    plane = np.arange(10000).reshape(100, 100)
    for number, ((top, _), (left, _)) in enumerate(mosaic.places):
        part = ((top + 2, top + 5), (left + 1, left + 4))
        inner, outer = mosaic.locate(number, part, plane.shape)
        assert inner == part
        (a, b), (c, d) = outer
        assert np.array_equal(mosaic.cut(plane)[top + 2 : top + 5, left + 1 : left + 4], plane[a:b, c:d])


def test_what_leaves_the_plane_is_cut_off_and_what_leaves_its_box_is_not_found():
    mosaic = Mosaic.pack(BOXES)
    corner = mosaic.boxes.index(BOXES[0])
    (top, bottom), (left, _) = mosaic.places[corner]
    assert mosaic.locate(corner, ((top - 1, top + 4), (left, left + 4)), (100, 100))[1] == ((0, 4), (0, 4))
    assert mosaic.locate(corner, ((top, bottom + 1), (left, left + 4)), (100, 100)) is None


def test_no_boxes_make_an_empty_plane():
    assert Mosaic.pack([]).cut(np.ones((5, 5))).size == 0
