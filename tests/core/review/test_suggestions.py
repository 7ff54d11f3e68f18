"""Suggested fixes, from maps that hold a better reading than the one that was drawn."""

import itertools

import numpy as np
import pytest

from napari_unet.core.base.params import OUTPUT_MAPS, InstanceParams
from napari_unet.core.cells.targets import target_maps
from napari_unet.core.image.axes import PlaneGrid
from napari_unet.core.review.doubt import Doubts, measure_doubts
from napari_unet.core.review.queue import is_settled, rank_places
from napari_unet.core.review.review import Review
from napari_unet.core.review.suggestions import Fix, Suggestion, suggest

SIZE, PITCH = 20, 32
EVERYWHERE = [((0, 192), (0, 192))]


def draw_discs(pieces: int = 1) -> np.ndarray:
    """36 discs in a grid; the third of the second row is drawn in so many pieces, one below the other."""
    y, x = np.indices((6 * PITCH, 6 * PITCH))
    inside = np.hypot(y % PITCH - PITCH / 2, x % PITCH - PITCH / 2) < SIZE / 2
    labels = np.where(inside, y // PITCH * 6 + x // PITCH + 1, 0)
    second = (labels == 9) & (y % PITCH >= PITCH / 2 + 3)
    return np.where(second & (pieces == 2), 37, labels).astype(np.int32)


def maps_of(labels: np.ndarray) -> np.ndarray:
    return target_maps(labels, OUTPUT_MAPS)


def find(labels: np.ndarray, maps: np.ndarray, boxes=EVERYWHERE, outputs=OUTPUT_MAPS) -> list[Suggestion]:
    return suggest(maps, outputs, labels, InstanceParams(), boxes, object_size=SIZE)


def test_pieces_of_one_cell_are_suggested_to_be_merged():
    labels = draw_discs(pieces=2)
    (only,) = find(labels, maps_of(draw_discs()))
    assert only.fix is Fix.MERGE
    assert only.describe() == "merge them"
    assert only.find_cells(labels) == [9, 37]
    only.plan(labels, iter(())).apply(labels)
    assert np.array_equal(labels > 0, draw_discs() > 0)
    assert np.unique(labels[draw_discs() == 9]).tolist() == [9], "the larger piece keeps its id"


def test_a_cell_that_the_maps_hardly_show_is_suggested_to_go():
    labels, maps = draw_discs(), maps_of(draw_discs())
    maps[labels == 9] *= (0.55, 1, 0.3)
    (only,) = find(labels, maps)
    assert (only.fix, only.describe()) == (Fix.DELETE, "delete it")
    only.plan(labels, iter(())).apply(labels)
    assert 9 not in labels
    assert np.unique(labels).size == 36


def test_where_the_maps_say_what_was_drawn_nothing_is_suggested():
    assert find(draw_discs(), maps_of(draw_discs())) == []


@pytest.mark.parametrize("labels", [np.zeros((20, 30), np.int32), draw_discs(2)])
def test_there_are_none_without_places_or_without_a_map_of_the_depth(labels):
    maps = maps_of(labels)
    assert find(labels, maps, boxes=[]) == []
    assert find(labels, maps[..., :1], outputs=("foreground",)) == []


def test_only_the_surroundings_of_the_places_are_looked_at():
    labels, maps = draw_discs(pieces=2), maps_of(draw_discs())
    here, elsewhere = ((38, 58), (70, 90)), ((134, 154), (134, 154))
    assert len(find(labels, maps, [here])) == 1
    assert find(labels, maps, [elsewhere]) == []
    assert len(find(labels, maps, [here, here, elsewhere])) == 1, "none is suggested twice"


def test_new_cells_take_new_ids_and_no_other_cell_changes():
    labels = np.zeros((30, 40), np.int32)
    labels[5:25, 5:35], labels[26:29, 5:35] = 4, 6
    before = np.zeros((22, 32), np.int32)
    before[1:21, 1:31] = 1
    after = before.copy()
    after[:, 12:] *= 2
    split = Suggestion(((4, 26), (4, 36)), before, after, 0.7)
    assert (split.fix, split.describe()) == (Fix.SPLIT, "split into 2")
    change = split.plan(labels, itertools.count(7))
    change.apply(labels)
    assert labels[10, 6] == 7
    assert labels[10, 30] == 4, "most of the cell keeps its id"
    assert (labels[26:29, 5:35] == 6).all()


@pytest.fixture
def queued():
    labels = draw_discs(pieces=2)
    maps = maps_of(draw_discs())
    doubts = measure_doubts(maps, OUTPUT_MAPS, labels, object_size=SIZE)
    return Review.of(labels), doubts.suggest(find(labels, maps), labels)


def test_a_suggestion_is_shown_with_its_place_before_others(queued):
    review, doubts = queued
    first = rank_places(review, PlaneGrid("YX", review.shape), doubts)[0]
    assert first.suggestion.fix is Fix.MERGE
    assert first.label == 9
    assert first.box == first.suggestion.box


def test_it_travels_with_its_plane_and_the_planes_of_others_stay(queued):
    review, doubts = queued
    stack = Review.of(np.stack([draw_discs(), review.labels + 50 * (review.labels > 0), draw_discs()]))
    grid = PlaneGrid("ZYX", stack.shape)
    known = Doubts.join([doubts.move([1])])
    (place,) = [place for place in rank_places(stack, grid, known) if place.suggestion is not None]
    assert place.plane == (1,)
    assert place.label == 59, "cells are found by their pixels, whatever they are called"


@pytest.mark.parametrize("what", ["changed", "marked", "merged", "other"])
def test_it_is_gone_where_the_user_has_been(queued, what):
    review, doubts = queued
    grid = PlaneGrid("YX", review.shape)
    place = rank_places(review, grid, doubts)[0]
    assert not is_settled(review, grid, place)
    if what == "changed":
        review.labels[45, 80] = 0
    elif what == "marked":
        review.marked[45, 80] = True
    elif what == "merged":
        review.labels[review.labels == 37] = 9
    else:
        review.labels[150, 150] = 0
    assert is_settled(review, grid, place) is (what != "other")
    again = rank_places(review, grid, doubts)
    assert any(place.suggestion is not None for place in again) is (what == "other")


def test_a_missed_cell_is_a_place_even_where_nobody_doubted():
    labels = np.where(draw_discs() == 9, 0, draw_discs()).astype(np.int32)
    before = np.zeros((22, 22), np.int32)
    after = (draw_discs()[37:59, 69:91] == 9).astype(np.int32)
    draw = Suggestion(((37, 59), (69, 91)), before, after, 0.5)
    doubts = measure_doubts(maps_of(labels), OUTPUT_MAPS, labels, object_size=SIZE).suggest([draw], labels)
    place = rank_places(Review.of(labels), PlaneGrid("YX", labels.shape), doubts)[0]
    assert place.label == 0
    assert place.suggestion.fix is Fix.DRAW
    place.suggestion.plan(labels, itertools.count(99)).apply(labels)
    assert np.array_equal(labels == 99, draw_discs() == 9)
