import numpy as np

from napari_unet.core.cells.changes import Fate, find_changes


def draw(*boxes):
    labels = np.zeros((60, 60), np.int32)
    for number, (top, left, bottom, right) in boxes:
        labels[top:bottom, left:right] = number
    return labels


def test_each_cell_has_a_fate_whatever_its_number():
    old = draw((1, (0, 0, 20, 20)), (2, (30, 0, 50, 20)), (3, (0, 40, 10, 50)))
    new = draw((7, (0, 0, 20, 20)), (2, (30, 0, 50, 14)), (9, (40, 40, 50, 50)))
    changes = find_changes(old, new)
    assert changes.old == {1: Fate.SAME, 2: Fate.RESHAPED, 3: Fate.UNMATCHED}
    assert changes.new == {7: Fate.SAME, 2: Fate.RESHAPED, 9: Fate.UNMATCHED}
    assert changes.describe() == "1 the same, 1 with another outline, 1 gone, 1 new"


def test_the_halves_of_a_split_cell_are_new_and_the_whole_is_gone():
    changes = find_changes(draw((1, (0, 0, 20, 20))), draw((1, (0, 0, 20, 10)), (2, (0, 10, 20, 20))))
    assert changes.describe() == "0 the same, 0 with another outline, 1 gone, 2 new"


def test_nothing_found_by_either_is_no_change():
    empty = draw()
    assert find_changes(empty, empty).describe() == "0 the same, 0 with another outline, 0 gone, 0 new"
