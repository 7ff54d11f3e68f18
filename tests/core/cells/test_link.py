import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from napari_unet.core.cells.link import link_cells, link_frames, link_planes
from napari_unet.core.cells.metrics import evaluate
from napari_unet.core.synthetic.scenes import render_stack, render_timelapse

LINKS = pytest.mark.parametrize("link", [link_planes, link_frames])


def square(shape, top, left, side, number=1):
    plane = np.zeros(shape, np.int32)
    plane[top : top + side, left : left + side] = number
    return plane


def column(sides, shape=(24, 24)):
    """Squares over one another, with the same centre."""
    return np.stack([square(shape, 12 - side // 2, 12 - side // 2, side) for side in sides])


def stacks(most=5):
    """Stacks of 1 to `most` planes of blocks under any ids: coarse enough to overlap."""
    blocks = st.integers(1, most).flatmap(
        lambda count: arrays.arrays(
            np.int32, (count, 3, 4), elements=st.sampled_from([0, 0, 1, 2, 3, 70000]), fill=st.nothing()
        )
    )
    return blocks.map(lambda block: block.repeat(2, 1).repeat(2, 2))


def renumber_planes(labels, seed):
    """The same cells under other ids, drawn for each plane anew."""
    rng = np.random.default_rng(seed)
    result = np.zeros_like(labels)
    for plane, new in zip(labels, result, strict=True):
        ids = np.unique(plane[plane > 0])
        for old, name in zip(ids, rng.permutation(1000)[: len(ids)] + 1, strict=True):
            new[plane == old] = name
    return result


@LINKS
@given(labels=stacks())
@settings(deadline=None, max_examples=60)
def test_numbers_change_and_nothing_else(link, labels):
    before = labels.copy()
    linked = link(labels)
    np.testing.assert_array_equal(labels, before)
    assert linked.dtype == np.int32
    np.testing.assert_array_equal(linked > 0, labels > 0)
    np.testing.assert_array_equal(np.unique(linked[linked > 0]), np.arange(1, linked.max() + 1))
    for plane, new in zip(labels, linked, strict=True):
        assert all(len(np.unique(new[plane == name])) == 1 for name in np.unique(plane))


@LINKS
@given(labels=stacks(), seed=st.integers(0, 100))
@settings(deadline=None, max_examples=60)
def test_the_ids_of_the_planes_do_not_matter(link, labels, seed):
    np.testing.assert_array_equal(link(labels), link(renumber_planes(labels, seed)))


@LINKS
@given(plane=stacks(1), count=st.integers(1, 5), seed=st.integers(0, 100))
@settings(deadline=None, max_examples=40)
def test_what_stands_still_keeps_its_numbers(link, plane, count, seed):
    linked = link(renumber_planes(plane.repeat(count, 0), seed))
    assert linked.max() == len(np.unique(plane[plane > 0]))
    for other in linked:
        np.testing.assert_array_equal(other, linked[0])


@given(labels=stacks())
@settings(deadline=None, max_examples=40)
def test_two_cells_of_a_frame_never_become_one(labels):
    for frame, linked in zip(labels, link_frames(labels), strict=True):
        assert len(np.unique(frame)) == len(np.unique(linked))


@LINKS
@pytest.mark.parametrize("shape", [(0, 4, 4), (1, 4, 4), (3, 4, 4), (3, 0, 4)])
def test_stacks_without_cells(link, shape):
    linked = link(np.zeros(shape, np.int32))
    assert linked.shape == shape
    assert not linked.any()


def test_a_cell_that_grows_and_shrinks_is_one():
    assert link_planes(column([2, 6, 12, 16, 16, 12, 6, 2])).max() == 1


@LINKS
def test_one_missing_section_is_bridged_and_two_are_not(link):
    assert link(column([8, 8, 0, 8, 8])).max() == 1
    assert link(column([8, 8, 8, 8, 0, 0, 8, 8, 8, 8])).max() == 2


def test_two_cells_on_top_of_each_other_are_cut_at_the_waist():
    linked = link_planes(column([6, 12, 16, 12, 8, 8, 12, 16, 12, 6]))
    numbers = [int(plane.max()) for plane in linked]
    assert numbers[:4] == [1, 1, 1, 1]
    assert numbers[-4:] == [2, 2, 2, 2]
    assert linked.max() == 2


def test_an_outline_too_small_in_one_plane_is_no_waist():
    assert link_planes(column([8, 14, 14, 14, 14, 6, 14, 14, 14, 14, 8])).max() == 1


def test_a_cell_drawn_in_two_halves_in_one_plane_is_whole():
    stack = column([8, 12, 12, 12, 8])
    stack[2, :, 12:][stack[2, :, 12:] > 0] = 2
    assert link_planes(stack).max() == 1


@pytest.mark.parametrize(("planes", "cells"), [(2, 2), (12, 1)])
def test_what_is_a_fragment_depends_on_how_many_planes_a_cell_has(planes, cells):
    stack = column([16] * planes + [16, 16])
    stack[-2:, :, 14:][stack[-2:, :, 14:] > 0] = 2
    assert link_planes(stack).max() == cells


def test_neighbours_in_all_planes_stay_apart():
    plane = square((24, 24), 4, 2, 10) + square((24, 24), 4, 12, 10, 2)
    assert link_planes(np.stack([plane] * 6)).max() == 2


def test_rendered_cells_of_a_stack_are_found_again():
    scene = render_stack((16, 120, 120), objects=25, seed=3)
    scores = evaluate(link_planes(renumber_planes(scene.labels, 1)), scene.labels)
    assert scores.ap["0.90"] > 0.95


def test_cells_that_wander_and_divide_are_followed():
    scene = render_timelapse((8, 160, 160), objects=16, seed=1)
    linked = link_frames(renumber_planes(scene.labels, 1))
    pairs = np.unique(np.stack([scene.labels, linked], -1)[scene.labels > 0], axis=0)
    assert len(pairs) == 18  # 15 that live on, a mother, two daughters: each has one number of its own
    assert linked.max() == 18


def test_a_cell_in_two_halves_for_one_frame_has_not_divided():
    frames = column([12] * 6)
    frames[2, :, 12:][frames[2, :, 12:] > 0] = 2
    linked = link_frames(frames)
    assert set(linked[1][linked[1] > 0]) == set(linked[5][linked[5] > 0]) == {1}


def test_daughters_get_numbers_of_their_own():
    frames = column([12] * 6)
    frames[3:, :, 12:][frames[3:, :, 12:] > 0] = 2
    linked = link_frames(frames)
    assert [set(frame[frame > 0]) for frame in linked] == [{1}, {1}, {1}, {2, 3}, {2, 3}, {2, 3}]


@pytest.mark.parametrize("axes", ["YX", "TYX", "YXZ", "TZYX", "ZXTY"])
def test_axes_come_in_any_order(axes):
    scene = np.stack([column([8, 12, 8]), np.roll(column([8, 12, 8]), 2, -1)])
    used = [axis for axis in "TZYX" if axis in axes]
    stack = scene[tuple(slice(None) if axis in axes else 1 for axis in "TZYX")]
    order = [used.index(axis) for axis in axes]
    linked = link_cells(stack.transpose(order), axes)
    np.testing.assert_array_equal(linked, stack.transpose(order))


def test_planes_are_linked_before_frames():
    shifted = [np.roll(column([8, 12, 12, 8]), 2 * frame, -1) for frame in range(3)]
    scene = np.stack([np.concatenate([stack, np.zeros_like(stack), stack]) for stack in shifted])
    linked = link_cells(renumber_planes(scene.reshape(-1, 24, 24), 0).reshape(scene.shape), "TZYX")
    np.testing.assert_array_equal(linked[:, :4], scene[:, :4])
    np.testing.assert_array_equal(linked[:, 8:], 2 * scene[:, 8:])
