import numpy as np
import pytest

from napari_unet.core.cells.fit import LEAST_FIT, measure_edges, measure_fit
from napari_unet.core.image.normalisation import normalise
from napari_unet.core.synthetic.scenes import render_nuclei

SCENE = render_nuclei((256, 256), objects=28)
IMAGE = normalise(SCENE.image[..., None].astype(np.float32))


def test_true_cells_that_are_found_again_fit():
    assert measure_fit(IMAGE, SCENE.labels, [SCENE.labels]) > 3 * LEAST_FIT


@pytest.mark.parametrize("what", ["beside", "not again", "few", "none"])
def test_what_fits_less_than_the_true_cells(what):
    labels = again = SCENE.labels
    if what == "beside":
        labels = again = np.roll(labels, 14, 0)
    elif what == "not again":
        again = np.roll(labels, 14, 0)
    elif what == "few":
        labels = again = np.where(labels < 3, labels, 0).astype(np.int32)
    elif what == "none":
        labels = again = np.zeros_like(labels)
    assert measure_fit(IMAGE, labels, [again]) < 0.6 * measure_fit(IMAGE, SCENE.labels, [SCENE.labels])


def test_edges_are_ranks_so_that_brightness_does_not_matter():
    assert measure_edges(10 * IMAGE + 3, SCENE.labels) == pytest.approx(measure_edges(IMAGE, SCENE.labels))
