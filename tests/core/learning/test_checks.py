import numpy as np
import pytest
from scipy import ndimage

from napari_unet.core.base.errors import DoubtfulError, InputError
from napari_unet.core.learning.checks import check_corrections, check_rate
from napari_unet.core.synthetic.scenes import render_cells, render_membranes, render_nuclei


def make(scene):
    return scene.image[..., None], scene.labels, np.ones(scene.labels.shape, bool)


SCENES = {
    "nuclei": make(render_nuclei((256, 256), objects=28)),
    "cells": make(render_cells()),
    "membranes": make(render_membranes((256, 256), objects=25)),
}


@pytest.fixture(params=sorted(SCENES))
def correction(request):
    return SCENES[request.param]


def test_true_labels_pass(correction):
    image, labels, reviewed = correction
    check_corrections([correction])
    part = reviewed.copy()
    part[:, 150:] = False
    check_corrections([(image, labels, part), correction])


@pytest.mark.parametrize("shift", [(12, 5), (-9, 0), (0, -15)])
def test_shifted_labels_are_refused_and_the_shift_is_named(correction, shift):
    image, labels, reviewed = correction
    with pytest.raises(InputError, match=r"shifted|edges") as error:
        check_corrections([(image, np.roll(labels, shift, (0, 1)), reviewed)])
    if "shifted" in str(error.value):
        down, right = (int(word) for word in str(error.value).replace("px", "").split() if _is_number(word))
        assert abs(down - shift[0]) <= 4
        assert abs(right - shift[1]) <= 4


def _is_number(word):
    return word.lstrip("-").isdigit()


def test_where_only_the_place_of_labels_is_in_doubt_the_user_has_the_last_word(correction):
    image, labels, reviewed = correction
    beside = (image, np.roll(labels, (12, 5), (0, 1)), reviewed)
    with pytest.raises(DoubtfulError, match=r"labels in b\.tif"):
        check_corrections([correction, beside, beside, beside], ["a.tif", *["b.tif"] * 3])
    check_corrections([beside], anyway=True)


def test_what_cannot_be_right_is_refused_whatever_the_user_says(correction):
    image, labels, reviewed = correction
    with pytest.raises(InputError, match="exchanged") as error:
        check_corrections([(image, (labels == 0).astype(np.int32), reviewed)], anyway=True)
    assert not isinstance(error.value, DoubtfulError)


def test_cells_that_are_reviewed_on_their_own_pixels_only_pass(correction):
    """As they are where somebody draws cells that the network has missed, and marks a bit of background."""
    image, labels, reviewed = correction
    drawn = np.where(labels % 2 == 0, labels, 0)
    marked = np.zeros_like(reviewed)
    marked[:48, :48] = True
    check_corrections([(image, np.where(marked, labels, drawn), (drawn > 0) | marked)])


@pytest.mark.parametrize("amount", [1, 2, 4])
def test_cells_that_are_drawn_by_an_unsteady_hand_pass(correction, amount):
    image, labels, reviewed = correction
    rng, where = np.random.default_rng(0), np.indices(labels.shape).astype(float)
    for axis in where:
        shake = ndimage.gaussian_filter(rng.normal(size=labels.shape), 8)
        axis += amount / np.sqrt(2) * shake / shake.std()
    shaken = ndimage.map_coordinates(labels, where, order=0, mode="nearest").astype(np.int32)
    check_corrections([(image, shaken, reviewed)])


def test_labels_of_another_image_are_refused(correction):
    image, labels, reviewed = correction
    with pytest.raises(InputError, match=r"edges|shifted"):
        check_corrections([(image, np.ascontiguousarray(labels[::-1, ::-1]), reviewed)])


def test_shuffled_pixels_are_refused(correction):
    image, labels, reviewed = correction
    shuffled = np.random.default_rng(0).permutation(labels.ravel()).reshape(labels.shape)
    with pytest.raises(InputError, match=r"edges|exchanged"):
        check_corrections([(image, shuffled, reviewed)])


def test_exchanged_cells_and_background_are_refused(correction):
    image, labels, reviewed = correction
    with pytest.raises(InputError, match="exchanged"):
        check_corrections([(image, (labels == 0).astype(np.int32), reviewed)])


def test_reviewed_cells_without_any_background_are_refused():
    image, labels, reviewed = SCENES["cells"]
    only_cells = (image, labels, reviewed & (labels > 0))
    with pytest.raises(DoubtfulError, match="some background"):
        check_corrections([only_cells])
    check_corrections([only_cells], anyway=True)


def test_nothing_reviewed_and_no_cell_are_refused():
    image, labels, reviewed = SCENES["cells"]
    with pytest.raises(InputError, match="Nothing has been reviewed"):
        check_corrections([(image, labels, np.zeros_like(reviewed))])
    with pytest.raises(InputError, match="No cell is among"):
        check_corrections([(image, np.zeros_like(labels), reviewed)])


def test_a_few_cells_are_taken_on_trust():
    image, labels, reviewed = SCENES["nuclei"]
    check_corrections([(image, np.roll(np.where(labels < 4, labels, 0), 12, 0), reviewed)])


def test_exchanged_labels_of_few_small_cells_are_refused():
    labels = np.zeros((256, 256), np.int32)
    for number, at in enumerate((20, 60, 100, 140, 180), start=1):
        labels[at : at + 12, at : at + 12] = number
    image = np.where(labels > 0, 200.0, 10.0)[..., None] + np.random.default_rng(0).normal(
        0, 3, (256, 256, 1)
    )
    reviewed = np.ones(labels.shape, bool)
    check_corrections([(image, labels, reviewed)])
    with pytest.raises(InputError, match="exchanged"):
        check_corrections([(image, (labels == 0).astype(np.int32), reviewed)])


def test_true_labels_of_few_blurred_cells_pass():
    """Far from blurred outlines there still are edges, so that few of them hardly stand out from chance."""
    rows, columns = np.indices((256, 256))
    labels, image = np.zeros((256, 256), np.int32), np.zeros((256, 256))
    for number in range(6):
        row, column = 50 + 80 * (number // 3), 50 + 75 * (number % 3)
        away = np.hypot(rows - row, columns - column)
        labels[away < 14] = number + 1
        image += 200 / (1 + np.exp((away - 14) / 6))
    image += np.random.default_rng(0).normal(0, 0.1, image.shape)
    reviewed = np.ones(labels.shape, bool)
    check_corrections([(image[..., None], labels, reviewed)])
    with pytest.raises(InputError, match="shifted"):
        check_corrections([(image[..., None], np.roll(labels, (9, -8), (0, 1)), reviewed)])


@pytest.mark.parametrize(("rate", "word"), [(0.1, "so high"), (1e-6, "so low")])
def test_a_learning_rate_that_is_factors_out_is_refused(rate, word):
    check_rate(3e-3)
    with pytest.raises(InputError, match=word):
        check_rate(rate)
