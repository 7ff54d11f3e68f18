from itertools import combinations

import numpy as np
import pytest

from napari_unet.core.synthetic.outlines import (
    Outline,
    divide,
    largest_pieces,
    own_pixels,
    pixel_grid,
    place_outlines,
)


def circle(y: float, x: float, radius: float = 10.0) -> Outline:
    return Outline((y, x), (radius, radius), 0.0, ())


def test_an_outline_covers_its_area_and_touching_ones_share_a_seam() -> None:
    labels = own_pixels({1: circle(30, 20), 2: circle(30, 38)}, pixel_grid((60, 60)))
    areas = np.bincount(labels.ravel())[1:]
    assert areas[0] == pytest.approx(np.pi * 100, rel=0.1)
    assert areas[1] == pytest.approx(areas[0], rel=0.05)
    assert (labels[30, 28], labels[30, 30]) == (1, 2)


def test_placed_outlines_at_most_graze_each_other_and_lie_in_the_field() -> None:
    outlines = place_outlines(np.random.default_rng(0), (128, 160), 14, 8.0, touching=0.5, aspect=1.5)
    assert len(outlines) == 14
    for one, other in combinations(outlines, 2):
        apart = np.hypot(*np.subtract(one.centre, other.centre))
        assert apart >= 0.86 * (one.size + other.size)
    assert all(0 <= o.centre[0] < 128 and 0 <= o.centre[1] < 160 for o in outlines)


def test_only_the_main_body_of_an_object_is_kept() -> None:
    labels = np.zeros((10, 10), np.int32)
    labels[1:6, 1:6] = 4
    labels[8, 8] = 4
    labels[8, 1:4] = 9
    kept = largest_pieces(labels)
    assert {name: int((kept == name).sum()) for name in (4, 9)} == {4: 25, 9: 3}
    assert labels[8, 8] == 4


def test_a_mother_gives_way_to_two_smaller_daughters_beside_her_centre() -> None:
    after = divide({1: circle(30, 30), 2: circle(80, 80)}, 1, (3, 4))
    assert sorted(after) == [2, 3, 4]
    assert all(after[name].size < 10 for name in (3, 4))
    np.testing.assert_allclose(np.mean([after[3].centre, after[4].centre], axis=0), (30, 30))
    labels = own_pixels(after, pixel_grid((100, 100)))
    assert set(np.unique(labels)) == {0, 2, 3, 4}
