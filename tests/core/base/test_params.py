import json

import pytest
from pydantic import ValidationError

from napari_unet.core.base import params
from napari_unet.core.base.card import ModelCard
from napari_unet.core.base.params import PRESETS, AugmentParams, FineTuneParams, NetworkParams, TrainParams


@pytest.mark.parametrize(
    "kind", [NetworkParams, params.InstanceParams, AugmentParams, TrainParams, FineTuneParams]
)
def test_every_parameter_explains_itself(kind):
    for name, field in kind.model_fields.items():
        if not isinstance(field.default, params.Params):
            assert field.title, name
            assert field.description, name


def test_parameters_are_immutable_and_strangers_are_refused():
    with pytest.raises(ValidationError):
        TrainParams().steps = 5
    with pytest.raises(ValidationError):
        TrainParams(stepps=5)
    with pytest.raises(ValidationError):
        NetworkParams(depth=9)


def test_models_that_cut_the_landscape_at_one_height_are_still_read():
    card = ModelCard(name="x", network=NetworkParams(), outputs=("foreground",))
    old = card.model_dump(mode="json")
    old["instances"] = {"foreground": 0.4, "marker": 0.47, "min_area": 0.1, "certainty": 0.8}
    read = ModelCard.model_validate(old).instances
    assert read == params.InstanceParams(foreground=0.4, certainty=0.8, blend=0.0)
    old["instances"] |= {"blend": 1.0}
    assert ModelCard.model_validate_json(json.dumps(old)).instances.blend == 1.0


def test_presets_have_a_channel_for_each_of_their_maps():
    for network, outputs in PRESETS.values():
        assert network.classes == len(outputs)


@pytest.mark.parametrize(
    ("card_size", "image_size", "factor"),
    [(None, 0.5, 0.4), (0.5, None, 0.4), (0.5, 0.5, 0.4), (0.5, 1.0, 0.8), (0.5, 0.25, 0.2)],
)
def test_images_are_resized_to_the_training_images_pixel_size(card_size, image_size, factor):
    card = ModelCard(
        name="x", network=NetworkParams(), outputs=("foreground",), pixel_size=card_size, scale=0.4
    )
    assert card.image_scale(image_size) == pytest.approx(factor)


def test_a_card_survives_json():
    card = ModelCard(name="x", network=PRESETS["unet-paper"].network, outputs=("background", "foreground"))
    assert ModelCard.model_validate_json(card.model_dump_json()) == card
