import numpy as np
import pytest

from napari_unet.core.base.errors import InputError
from napari_unet.core.base.params import AUTO
from napari_unet.core.image.axes import plan_planes
from napari_unet.core.synthetic.scenes import render_membranes, render_nuclei
from napari_unet.jobs.choose_model import choose_model, list_candidates, pick_model
from napari_unet.jobs.segmentation import segment
from napari_unet.models.registry import BUNDLED

MODELS = [BUNDLED / f"{name}.keras" for name in ("nuclei", "membranes")]


@pytest.fixture(scope="module")
def nuclei():
    return render_nuclei((256, 256), objects=28).image.astype(np.float32)


def choose(image, axes="YX", models=MODELS, **options):
    return choose_model(image, plan_planes(image.shape, axes), models, **options)


def test_the_model_that_was_made_for_an_image_is_taken_whatever_comes_first(nuclei):
    membranes = render_membranes((256, 256), objects=25).image.astype(np.float32)
    for order in (MODELS, MODELS[::-1]):
        choice = choose(nuclei, models=order)
        assert choice.model.stem == "nuclei"
        assert choice.finds_cells
        assert choice.explain() == "Model: nuclei, which fits this image best of 2."
        assert choose(membranes, models=order).model.stem == "membranes"


def test_where_no_model_finds_cells_it_says_so():
    noise = np.random.default_rng(0).normal(100, 10, (200, 200)).astype(np.float32)
    choice = choose(noise)
    assert not choice.finds_cells
    assert "No model seems to know such cells" in choice.explain()


def test_the_sample_is_where_there_is_something_to_see(nuclei):
    wide = np.full((1200, 1200), np.median(nuclei), np.float32)
    wide += np.random.default_rng(0).normal(0, 1e-3, wide.shape)
    wide[:256, -256:] = nuclei
    assert choose(wide).finds_cells


def test_a_stack_and_channels_are_looked_at_too_and_other_models_left_out(nuclei, tiny_model):
    stack = np.stack([np.stack([np.zeros_like(nuclei), nuclei])] * 3)
    assert choose(stack, "ZCYX", channel=1).model.stem == "nuclei"
    with pytest.raises(InputError, match="no model for an image"):
        choose(stack, "ZCYX", models=[])


def test_auto_segments_with_the_model_that_it_names(nuclei):
    assert {path.stem for path in list_candidates()} >= {"nuclei", "cells", "membranes"}
    name, why = pick_model(AUTO, nuclei, plan_planes(nuclei.shape, "YX"))
    assert name.stem in why
    np.testing.assert_array_equal(segment(nuclei), segment(nuclei, name))
