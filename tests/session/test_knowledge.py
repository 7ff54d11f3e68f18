"""Which model knows an image's cells, from what the models' looks at it gave."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from napari_unet.core.cells import LEAST_FIT
from napari_unet.core.review import ReviewCounts
from napari_unet.jobs import Choice
from napari_unet.session.knowledge import FEWEST_FOUND, Knowledge
from napari_unet.session.scope import WHOLE, View

NAMES = ("nuclei", "membranes")


def make_image(predicted, origin="nuclei", scope=WHOLE):
    counts = ReviewCounts(0, 0, 100, predicted, 0, 0, predicted)
    return SimpleNamespace(key="a", origin=origin, scope=scope, counts=counts)


def choose(**fits):
    ordered = sorted(fits.items(), key=lambda fit: -fit[1])
    return Choice(Path(f"{ordered[0][0]}.keras"), tuple(ordered))


@pytest.fixture
def knowledge():
    images = SimpleNamespace(measured=SimpleNamespace(connect=lambda _: None))
    return Knowledge(None, None, images, None, lambda: NAMES, lambda image, channel: None)


@pytest.mark.parametrize(
    ("image", "knows"),
    [
        (make_image(FEWEST_FOUND), True),
        (make_image(FEWEST_FOUND - 1), False),
        (make_image(0), False),
        (make_image(0, scope=View((), ((0, 9), (0, 9)))), True),  # in a part there may be none
        (make_image(0, origin="masks.tif"), True),  # no model made these
    ],
)
def test_who_finds_next_to_nothing_does_not_know_the_cells(knowledge, image, knows):
    assert knowledge.knows_cells(image) is knows
    assert knowledge.find_better(image) is None


def test_a_look_says_more_than_the_number_of_cells(knowledge):
    many, few = make_image(500), make_image(1)
    knowledge.note(many, choose(membranes=2 * LEAST_FIT, nuclei=LEAST_FIT / 2))
    assert not knowledge.knows_cells(many), "noise"
    assert knowledge.find_better(many) == Path("membranes.keras")
    knowledge.note(few, choose(nuclei=2 * LEAST_FIT, membranes=LEAST_FIT / 2))
    assert knowledge.knows_cells(few), "there is one cell, and it fits"
    assert knowledge.find_better(few) is None


def test_where_none_fits_none_is_offered(knowledge):
    image = make_image(7)
    knowledge.note(image, choose(membranes=LEAST_FIT / 2, nuclei=LEAST_FIT / 4))
    assert not knowledge.knows_cells(image)
    assert knowledge.find_better(image) is None
