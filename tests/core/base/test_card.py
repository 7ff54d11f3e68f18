import pytest

from napari_unet.core.base.card import ModelCard
from napari_unet.core.base.params import NetworkParams


def card(**said: object) -> ModelCard:
    return ModelCard(name="nuclei", network=NetworkParams(), outputs=("foreground",), **said)


@pytest.mark.parametrize(
    ("trained_on", "pixel_size", "knows", "believes"),
    [
        (None, 0.5, False, True),
        (0.5, None, False, True),
        (0.5, 0.5, True, True),
        (0.5, 1.5, True, True),
        (0.5, 1.6, True, False),
        (0.5, 0.16, True, False),
    ],
)
def test_pixel_sizes_settle_the_scale_if_both_are_known_and_within_3x(
    trained_on: float | None, pixel_size: float | None, knows: bool, believes: bool
) -> None:
    of_model = card(pixel_size=trained_on)
    assert of_model.knows_scale(pixel_size) == knows
    assert of_model.believes(pixel_size) == believes
    assert of_model.settles_scale(pixel_size) == (knows and believes)


@pytest.mark.parametrize(
    ("pixel_size", "words"), [(5.0, "(5 µm) are 10 times larger"), (0.1, "(0.1 µm) are 5 times smaller")]
)
def test_a_misfit_is_said_with_both_sizes_and_what_to_do(pixel_size: float, words: str) -> None:
    said = card(pixel_size=0.5).explain_pixels(pixel_size)
    assert said == (
        f"The image's pixels {words} than those nuclei was trained on (0.5 µm), and the cells found do not "
        "fit: check the pixel size, or choose another model."
    )


def test_a_card_of_several_networks_says_that_one_is_used() -> None:
    given = card(description="Of DAPI.").model_dump(mode="json") | {"earlier": [{}, {}]}
    read = ModelCard.model_validate(given)
    assert read.description == "Of DAPI. The file also holds 2 earlier networks: only the last one is used."
    assert ModelCard.model_validate(read.model_dump(mode="json")) == read


def test_what_a_newer_card_says_besides_is_left_aside() -> None:
    given = card().model_dump(mode="json")
    assert ModelCard.model_validate(given | {"unheard_of": 1}) == ModelCard.model_validate(given)
