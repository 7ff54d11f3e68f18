"""Label images become polygons and come back."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_unet.core.cells.polygons import Polygon, fill_rings, trace_polygons


def fill(polygons: dict[int, list[Polygon]], shape: tuple[int, int]) -> np.ndarray:
    labels = np.zeros(shape, np.int32)
    for name, pieces in polygons.items():
        for polygon in pieces:
            window, mask = fill_rings(polygon, shape)
            assert not labels[window][mask].any()
            labels[window][mask] = name
    return labels


shapes = hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)
# Few ids on few pixels: holes, pieces that touch at corners and cells at the border are the rule.
planes = hnp.arrays(np.int32, shapes, elements=st.sampled_from([0, 1, 1, 1, 2, 70_000, 2**31 - 1]))


@given(planes)
@settings(deadline=None, max_examples=300)
def test_filling_what_was_traced_gives_the_same_labels(labels: np.ndarray) -> None:
    polygons = trace_polygons(labels)
    assert list(polygons) == [name for name in np.unique(labels).tolist() if name]
    np.testing.assert_array_equal(fill(polygons, labels.shape), labels)


@given(planes)
@settings(deadline=None, max_examples=200)
def test_rings_turn_at_every_corner_and_never_touch_themselves(labels: np.ndarray) -> None:
    for pieces in trace_polygons(labels).values():
        for polygon in pieces:
            for number, ring in enumerate(polygon):
                corners = [tuple(corner) for corner in ring.tolist()]
                assert len(set(corners)) == len(corners) >= 4
                steps = np.diff(np.vstack([ring, ring[:1]]), axis=0)
                assert ((steps == 0).sum(1) == 1).all()
                assert all((a == 0).tolist() != (b == 0).tolist() for a, b in pairwise(steps))
                x, y = ring.T
                area = np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) / 2
                assert (area > 0) == (number == 0)


@pytest.mark.parametrize(
    ("drawing", "pieces", "holes"),
    [
        (["#"], 1, 0),
        (["#.", ".#"], 2, 0),
        (["###", "#.#", "###"], 1, 1),
        (["####", "#.##", "##.#", "####"], 1, 2),
        (["##.", "#.#", "###"], 1, 1),
        (["#####", "#...#", "#.#.#", "#...#", "#####"], 2, 1),
        (["#####", "##.##", "#.#.#", "##.##", "#####"], 2, 1),
    ],
)
def test_pieces_and_holes_are_counted_as_one_sees_them(drawing: list[str], pieces: int, holes: int) -> None:
    labels = np.array([[sign == "#" for sign in row] for row in drawing], np.int32) * 7
    (polygons,) = trace_polygons(labels).values()
    assert len(polygons) == pieces
    assert sum(len(polygon) - 1 for polygon in polygons) == holes


def test_an_empty_plane_has_no_polygon() -> None:
    assert trace_polygons(np.zeros((4, 5), np.int32)) == {}


def test_a_drawn_polygon_takes_the_pixels_whose_centres_it_holds() -> None:
    window, mask = fill_rings([np.array([(0.4, 0.4), (2.6, 0.4), (2.6, 2.4), (0.4, 2.4)])], (4, 4))
    plane = np.zeros((4, 4), int)
    plane[window] = mask
    np.testing.assert_array_equal(plane, [[1, 1, 1, 0], [1, 1, 1, 0], [0] * 4, [0] * 4])
    window, mask = fill_rings([np.array([(0, 0), (4, 0), (0, 4)])], (4, 4))
    np.testing.assert_array_equal(mask.sum(1), [3, 2, 1, 0])


def test_what_lies_outside_the_plane_is_cut_off() -> None:
    square = np.array([(-5, -5), (2, -5), (2, 1e12), (-5, 1e12)])
    window, mask = fill_rings([square], (3, 4))
    assert window == (slice(0, 3), slice(0, 2))
    assert mask.all()
    assert not fill_rings([square + 100], (3, 4))[1].any()
