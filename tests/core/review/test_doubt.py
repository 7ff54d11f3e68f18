"""What a network is unsure of, read from its maps."""

from __future__ import annotations

import numpy as np
import pytest

from napari_unet.core.review.doubt import Doubts, measure_doubts

OUTPUTS = ("foreground", "distance")


def hill(shape: tuple[int, int], centre: tuple[int, int], radius: float, top: float = 1) -> np.ndarray:
    y, x = np.ogrid[: shape[0], : shape[1]]
    return np.clip(1 - np.hypot(y - centre[0], x - centre[1]) / radius, 0, None) * top


def draw(*hills: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return maps with a hill per cell, and the cells."""
    height = np.max(hills, axis=0)
    labels = np.where(height > 0, np.argmax(hills, axis=0) + 1, 0).astype(np.int32)
    return np.stack([(height > 0) * 0.95, height], axis=-1).astype(np.float32), labels


def test_a_low_middle_is_faint() -> None:
    maps, labels = draw(hill((60, 120), (30, 30), 20), hill((60, 120), (30, 90), 20, top=0.4))
    doubts = measure_doubts(maps, OUTPUTS, labels, plane=3, object_size=40)
    np.testing.assert_array_equal(doubts.points, [(3, 30, 30), (3, 30, 90)])
    assert doubts.faint[0] < 0.15
    assert 0.6 < doubts.faint[1] < 0.7
    assert not doubts.seam.any()
    assert not doubts.missed.any()


def test_a_high_saddle_between_two_halves_is_a_doubtful_seam() -> None:
    halves = [hill((60, 160), (30, column), 30) for column in (30, 42)]
    apart = [hill((60, 160), (30, column), 20) for column in (100, 136)]
    maps, labels = draw(*halves, *apart)
    seam = measure_doubts(maps, OUTPUTS, labels, object_size=40).seam
    assert (seam[:2] > 0.8).all()
    assert (seam[2:] < 0.3).all()


def test_undecided_foreground_without_a_cell_may_be_a_missed_one_and_a_rim_is_not() -> None:
    maps, labels = draw(hill((80, 160), (40, 30), 20))
    shape = labels.shape
    rim = (hill(shape, (40, 30), 23) > 0) & (labels == 0)
    hidden = hill(shape, (40, 120), 12) > 0
    maps[rim | hidden, 0] = 0.4
    doubts = measure_doubts(maps, OUTPUTS, labels, object_size=30)
    assert len(doubts.points) == 2
    assert doubts.missed == pytest.approx([0, 0.4])
    assert hidden[tuple(doubts.points[1, 1:])]


def test_a_network_without_a_distance_map_has_doubts_about_its_foreground() -> None:
    labels = np.zeros((40, 80), np.int32)
    labels[10:30, 10:30], labels[10:30, 50:70] = 1, 2
    foreground = np.where(labels == 1, 0.98, np.where(labels == 2, 0.6, 0)).astype(np.float32)
    faint = measure_doubts(foreground[..., None], ("foreground",), labels).faint
    assert faint == pytest.approx([0.02, 0.4], abs=0.01)


def test_no_cell_gives_no_doubt() -> None:
    doubts = measure_doubts(np.zeros((20, 30, 2), np.float32), OUTPUTS, np.zeros((20, 30), np.int32))
    assert doubts.points.shape == (0, 3)
    assert Doubts.join([]).points.shape == Doubts.join([doubts, doubts]).points.shape == (0, 3)


def test_rows_move_to_other_planes() -> None:
    maps, labels = draw(hill((60, 60), (30, 30), 20))
    doubts = Doubts.join([measure_doubts(maps, OUTPUTS, labels, plane=plane) for plane in (0, 1)])
    assert doubts.move([4, 2]).points[:, 0].tolist() == [4, 2]
    assert doubts.select(doubts.points[:, 0] == 1).points.tolist() == [[1, 30, 30]]
