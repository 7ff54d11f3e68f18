from dataclasses import replace

import numpy as np
import pytest

from napari_unet.core.base.params import FineTuneParams
from napari_unet.core.learning.sampling import TrainingImage
from napari_unet.nn.learn.child import Piece, describe_child
from napari_unet.nn.model import Model
from napari_unet.nn.unet import build_network

from ..conftest import TINY

PARAMS = FineTuneParams()


@pytest.fixture
def parent(tiny_card):
    card = tiny_card.model_copy(update={"object_size": 20.0, "size_range": (15.0, 28.0)})
    return Model(build_network(TINY), card, "sha")


def piece(diameter, pixel_size=None):
    rows, columns = np.indices((4 * diameter, 4 * diameter))
    labels = np.zeros(rows.shape, np.int32)
    for number, (y, x) in enumerate([(1, 1), (1, 3), (3, 1), (3, 3)], start=1):
        labels[np.hypot(rows - y * diameter, columns - x * diameter) < diameter / 2] = number
    return Piece(TrainingImage(labels[..., None].astype(np.float32), labels), pixel_size)


@pytest.mark.parametrize(("diameter", "scale"), [(20, 1.0), (100, 0.32), (8, 4.0)])
def test_unknown_cells_are_seen_at_a_size_that_the_network_sees_well(parent, diameter, scale):
    unknown = PARAMS.model_copy(update={"known": 1.0})
    card = describe_child(parent, "child", [piece(diameter)], _nothing_found(), unknown)
    assert card.scale == pytest.approx(scale, rel=0.05)
    assert card.object_size == pytest.approx(diameter * card.scale, rel=0.05)
    assert card.size_range[0] <= 15  # the parent's cells are still looked for
    assert card.size_range[1] >= max(28, card.object_size)


def test_known_cells_of_another_size_begin_where_the_search_would_end(parent):
    known = PARAMS.model_copy(update={"known": 0.0})
    card = describe_child(parent, "child", [piece(60)], _nothing_found(), known)
    assert 15 <= 60 * card.scale <= 28
    assert card.size_range[0] <= 15
    assert card.size_range[1] >= 28


def test_each_image_is_seen_by_its_own_pixel_size(parent):
    pieces = [piece(20, 0.5), piece(40, 0.25)]
    card = describe_child(parent, "child", pieces, None, PARAMS)
    sizes = [np.sqrt((p.for_network(card).labels == 1).sum() / np.pi) * 2 for p in pieces]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.1)


def test_the_child_says_whose_child_it_is(parent):
    card = describe_child(replace(parent), "child", [piece(20)], None, PARAMS)
    assert (card.name, card.parent, card.title) == ("child", "sha", "tiny, fine-tuned")


def _nothing_found():
    from napari_unet.core.cells.metrics import evaluate

    return evaluate(np.zeros((8, 8), np.int32), np.ones((8, 8), np.int32))
