import numpy as np
import pytest

from napari_unet.core.base.arrays import slices
from napari_unet.core.base.errors import InputError
from napari_unet.core.image import normalisation, survey
from napari_unet.core.image.survey import survey_plane


@pytest.fixture(autouse=True)
def small_windows(monkeypatch):
    monkeypatch.setattr(survey, "WINDOW", 32)
    monkeypatch.setattr(normalisation, "_SAMPLE", 500)


def test_limits_are_those_of_the_whole_plane():
    plane = np.random.default_rng(0).integers(0, 60_000, (101, 77, 2)).astype(np.uint16)
    plane[..., 1] = 7
    plane[3, 3, 1] = 9
    limits = survey_plane(lambda box: plane[slices(box)], (101, 77)).limits
    np.testing.assert_array_equal(normalisation.rescale(plane, limits), normalisation.normalise(plane))
    assert limits[1] == (7, 9)


def test_the_sample_is_taken_where_there_is_something_to_see():
    plane = np.zeros((128, 128, 1))
    for row, column in ((40, 10), (10, 70), (70, 40), (100, 100)):
        plane[row : row + 8, column : column + 8] = 1
    survey = survey_plane(lambda box: plane[slices(box)], (128, 128))
    tops = [[(box[0][0], box[1][0]) for box in row] for row in survey.choose_sample()]
    assert tops == [[(32, 0), (0, 64)], [(64, 32), (96, 96)]]


def test_pixels_that_are_no_numbers_are_refused():
    plane = np.ones((64, 64, 1))
    plane[60, 60] = np.nan
    with pytest.raises(InputError, match="NaN"):
        survey_plane(lambda box: plane[slices(box)], (64, 64))
