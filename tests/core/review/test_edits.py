"""What a click or a stroke does to cells, and to no others."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from napari_unet.core.review import edits
from napari_unet.core.review.edits import Change, cells_inside, cells_under, free_ids

SHAPE = (48, 64)
ROWS, COLUMNS = np.indices(SHAPE)
POINTS = st.tuples(st.floats(-8, SHAPE[0] + 8), st.floats(-8, SHAPE[1] + 8))
PATHS = st.lists(POINTS, min_size=1, max_size=6)


def disc(row: float, column: float, radius: float) -> np.ndarray:
    return (ROWS - row) ** 2 + (COLUMNS - column) ** 2 <= radius**2


@st.composite
def planes(draw: st.DrawFn) -> np.ndarray:
    """Discs over each other, with holes, under ids that are not in order."""
    plane = np.zeros(SHAPE, np.int32)
    for label in draw(st.permutations([7, 3, 900, -2, 12])):
        plane[disc(draw(st.integers(0, 47)), draw(st.integers(0, 63)), draw(st.integers(2, 14)))] = label
    holes = draw(hnp.arrays(np.bool_, SHAPE, elements=st.booleans(), fill=st.just(False)))
    plane[holes] = 0
    return plane


def after(plane: np.ndarray, change: Change | None) -> np.ndarray:
    """Return the plane with the change made."""
    changed = plane.copy()
    if change is not None:
        change.apply(changed)
        assert (changed != plane).any(), "a change that changes nothing"
        rows, columns = np.nonzero(changed != plane)
        assert change.box == ((rows.min(), rows.max() + 1), (columns.min(), columns.max() + 1))
    return changed


@pytest.fixture
def pair() -> np.ndarray:
    """Two discs that touch, as one cell, and a neighbour."""
    plane = np.zeros(SHAPE, np.int32)
    plane[disc(24, 18, 10) | disc(24, 36, 9)] = 5
    plane[disc(24, 55, 6)] = 9
    return plane


@given(planes(), PATHS)
@settings(deadline=None, max_examples=150)
def test_split_keeps_every_pixel_of_the_cell_and_all_of_the_others(plane, line):
    before = plane.copy()
    changed = after(plane, edits.split_along(plane, line, free_ids(plane)))
    np.testing.assert_array_equal(plane, before)
    check_split(plane, changed)


@given(planes(), PATHS)
@settings(deadline=None, max_examples=150)
def test_split_at_the_neck_keeps_every_pixel_too(plane, path):
    for cell in cells_under(plane, path)[:1]:
        changed = after(plane, edits.split_at_neck(plane, cell, free_ids(plane)))
        assert set(np.unique(plane[changed != plane])) <= {cell}
        check_split(plane, changed)


def check_split(plane: np.ndarray, changed: np.ndarray) -> None:
    where = changed != plane
    assert len(np.unique(plane[where])) <= 1, "two cells were cut"
    assert not np.isin(changed[where], np.unique(plane)).any(), "an id was taken"
    np.testing.assert_array_equal(changed != 0, plane != 0)
    for cell in np.unique(plane[where]):
        largest = np.count_nonzero(changed == cell)
        assert all(np.count_nonzero(changed == new) <= largest for new in np.unique(changed[where]))


@given(planes(), PATHS)
@settings(deadline=None, max_examples=150)
def test_merge_makes_one_cell_of_just_those(plane, path):
    cells = cells_under(plane, path)
    changed = after(plane, edits.merge(plane, cells))
    if len(cells) < 2:
        np.testing.assert_array_equal(changed, plane)
        return
    (kept,) = np.unique(changed[np.isin(plane, cells)])
    areas = {cell: np.count_nonzero(plane == cell) for cell in cells}
    assert kept == min(cell for cell in cells if areas[cell] == max(areas.values()))
    others = ~np.isin(plane, cells)
    np.testing.assert_array_equal(changed[others], plane[others])
    assert edits.merge(changed, cells_under(changed, path)) is None


@given(planes(), PATHS)
def test_joining_changes_a_piece_or_its_neighbour_and_background(plane, path):
    for cell in cells_under(plane, path)[:1]:
        joined = after(plane, edits.join(plane, cell))
        changed = set(np.unique(plane[joined != plane]).tolist()) - {0}
        assert len(changed) <= 1
        assert (joined != 0)[plane != 0].all()
        assert set(np.unique(joined)) <= set(np.unique(plane))


@given(planes(), PATHS)
@settings(deadline=None)
def test_delete_clears_just_those(plane, path):
    cells = cells_under(plane, path)
    changed = after(plane, edits.delete(plane, cells))
    np.testing.assert_array_equal(changed, np.where(np.isin(plane, cells), 0, plane))


@given(planes(), PATHS)
@settings(deadline=None, max_examples=150)
def test_draw_takes_only_background(plane, contour):
    changed = after(plane, edits.draw(plane, contour, free_ids(plane)))
    np.testing.assert_array_equal(changed[plane != 0], plane[plane != 0])
    drawn = (changed != 0) & (plane == 0)
    assert ndimage.label(drawn)[1] <= 1
    assert not np.isin(changed[drawn], np.unique(plane)).any()


Edit = Callable[[np.ndarray, list[int]], Change | None]


@pytest.mark.parametrize("edit", [edits.smooth, edits.fill_holes])
@given(plane=planes(), path=PATHS)
@settings(deadline=None, max_examples=100)
def test_tidying_touches_background_and_the_cells_themselves_only(edit: Edit, plane, path):
    cells = cells_under(plane, path)
    changed = after(plane, edit(plane, cells))
    others = (plane != 0) & ~np.isin(plane, cells)
    np.testing.assert_array_equal(changed[others], plane[others])
    assert set(np.unique(changed)) <= {0, *np.unique(plane)}
    assert set(cells) <= set(np.unique(changed)), "a cell vanished"
    if edit is edits.fill_holes:
        np.testing.assert_array_equal(changed[plane != 0], plane[plane != 0])
        assert edits.fill_holes(changed, cells) is None


@given(planes(), PATHS, st.floats(0.5, 8))
@settings(deadline=None, max_examples=150)
def test_extending_takes_only_background_and_shaving_only_the_cell(plane, path, radius):
    for cell in cells_under(plane, path, radius)[:1]:
        extended = after(plane, edits.extend(plane, cell, path, radius))
        gained = extended != plane
        assert not plane[gained].any()
        assert (extended[gained] == cell).all()
        assert edits.extend(extended, cell, path, radius) is None
        shaved = after(plane, edits.shave(plane, cell, path, radius))
        assert (plane[shaved != plane] == cell).all()
        assert not shaved[shaved != plane].any()
        assert edits.shave(shaved, cell, path, radius) is None


@given(planes(), PATHS)
@settings(deadline=None)
def test_the_surroundings_of_a_cell_are_itself_and_background(plane, path):
    cells = cells_under(plane, path)
    patch = edits.surround(plane, cells, 3)
    if not cells:
        assert patch is None
        return
    found = np.zeros(SHAPE, bool)
    found[tuple(slice(*side) for side in patch.box)] = patch.pixels
    own = np.isin(plane, cells)
    near = ndimage.distance_transform_edt(~own) <= 3
    np.testing.assert_array_equal(found, own | (near & (plane == 0)))


@given(st.lists(hnp.arrays(np.int32, (3, 4), elements=st.sampled_from([0, 1, 2, -4, 2**31 - 1])), min_size=1))
def test_free_ids_are_free(arrays):
    ids = list(itertools.islice(free_ids(*arrays), 4))
    assert len(set(ids)) == 4
    assert not np.isin(ids, np.stack(arrays)).any()
    assert all(0 < label < 2**31 for label in ids)


def test_a_line_across_divides_a_cell_there(pair):
    changed = after(pair, edits.split_along(pair, [(8, 28), (40, 28)], free_ids(pair)))
    assert set(np.unique(changed)) == {0, 5, 9, 10}
    np.testing.assert_array_equal((changed == 5) | (changed == 10), pair == 5)
    assert (changed[:, :28] != 10).all()
    assert (changed[:, 29:] != 5).all()


@pytest.mark.parametrize(
    "line",
    [
        [(8, 18), (24, 18)],  # ends in the middle
        [(24, 2), (24, 12)],
        [(2, 2), (2, 60)],  # beside all cells
        [(20, 20), (28, 20)],  # within
        [(-20, -20), (-3, 90)],
    ],
)
def test_a_line_that_does_not_cross_changes_nothing(pair, line):
    assert edits.split_along(pair, line, free_ids(pair)) is None


def test_a_line_that_ends_just_short_of_the_outline_divides(pair):
    top, bottom = np.flatnonzero(pair[:, 18] == 5)[[0, -1]]
    changed = after(pair, edits.split_along(pair, [(top + 1, 18), (bottom - 1, 18)], free_ids(pair)))
    assert len(np.unique(changed)) == 4


def test_a_sloppy_line_cuts_no_neighbour(pair):
    """It starts within one, crosses the tip of another, and trembles along the outline."""
    pair[disc(6, 28, 5)] = 20
    pair[disc(43, 30, 4)] = 21
    line = [(6, 28), (12, 27), (20, 28.4), (24, 27.6), (36, 28), (44, 27), (47, 27)]
    changed = after(pair, edits.split_along(pair, line, free_ids(pair)))
    assert set(np.unique(pair[changed != pair])) == {5}
    assert ndimage.label(changed == 22)[1] == ndimage.label(changed == 5)[1] == 1


def test_a_line_along_the_outline_leaves_no_chips():
    plane = np.where(disc(24, 30, 15), 1, 0).astype(np.int32)
    angles = np.linspace(-1.2, 1.2, 40)
    line = np.stack([24 + 15 * np.sin(angles), 30 + 15 * np.cos(angles)], axis=1).tolist()
    assert edits.split_along(plane, line, free_ids(plane)) is None


def test_a_curve_may_cut_a_cell_into_three(pair):
    line = [(2, 16), (44, 16), (46, 28), (2, 28)]
    changed = after(pair, edits.split_along(pair, line, free_ids(pair)))
    assert len(np.unique(changed[pair == 5])) == 3


def test_touching_cells_are_cut_at_the_neck(pair):
    changed = after(pair, edits.split_at_neck(pair, 5, free_ids(pair)))
    assert set(np.unique(changed)) == {0, 5, 9, 10}
    first, second = disc(24, 18, 8), disc(24, 36, 7)
    assert (changed[first] == 5).all()
    assert (changed[second] == 10).all()


def test_a_round_cell_has_no_neck(pair):
    assert edits.split_at_neck(pair, 9, free_ids(pair)) is None


def test_a_loop_holds_the_cells_that_are_mostly_in_it(pair):
    assert cells_inside(pair, [(10, 40), (40, 40), (40, 63), (10, 63)]) == [9]
    assert cells_inside(pair, [(0, 0), (47, 0), (47, 63), (0, 63)]) == [5, 9]
    assert cells_inside(pair, [(0, 0), (0, 60)]) == []


def test_a_cell_drawn_over_another_leaves_it(pair):
    box = [(20, 45), (20, 63), (34, 63), (34, 45)]
    changed = after(pair, edits.draw(pair, box, free_ids(pair)))
    assert (changed[pair == 9] == 9).all()
    assert changed[32, 50] == 10
    assert edits.draw(pair, [(22, 14), (22, 20), (26, 20), (26, 14)], free_ids(pair)) is None


def test_a_hole_is_filled_and_a_cell_within_stays():
    plane = np.zeros(SHAPE, np.int32)
    plane[disc(24, 30, 15)] = 4
    plane[disc(24, 30, 8)] = 0
    plane[disc(24, 30, 3)] = 6
    changed = after(plane, edits.fill_holes(plane, [4]))
    np.testing.assert_array_equal(changed, np.where(disc(24, 30, 15) & (plane != 6), 4, plane))


def test_smoothing_takes_off_spikes_and_bays_and_keeps_the_border_with_a_neighbour():
    plane = np.zeros(SHAPE, np.int32)
    plane[10:40, 10:30] = 1
    plane[10:40, 30:50] = 2
    plane[20, 4:10] = 1
    plane[30, 10:15] = 0
    changed = after(plane, edits.smooth(plane, [1]))
    assert not changed[20, :8].any()
    assert (changed[30, 12:15] == 1).all()
    assert (changed[14:36, 29] == 1).all()
    np.testing.assert_array_equal(changed == 2, plane == 2)
    assert abs(np.count_nonzero(changed == 1) - 600) < 30


def test_a_piece_is_joined_to_the_neighbour_that_it_touches_most_and_the_gap_is_closed():
    plane = np.zeros(SHAPE, np.int32)
    plane[10:30, 10:20] = 5
    plane[10:30, 22:40] = 3  # two pixels away, along the whole side
    plane[30:40, 18:30] = 8  # it touches, but hardly
    joined = after(plane, edits.join(plane, 5))
    assert (joined[10:30, 10:40] == 3).all()
    assert (joined == 3).sum() == 20 * 30
    np.testing.assert_array_equal(joined == 8, plane == 8)
    far = np.where(COLUMNS < 21, plane, 0) * (ROWS < 30)
    assert edits.join(far, 5) is None
