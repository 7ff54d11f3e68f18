import pytest

from napari_unet.core.base.params import FineTuneParams
from napari_unet.nn.learn import timing
from napari_unet.nn.learn.timing import count_pixels, estimate_step, measure_pace
from napari_unet.nn.model import Model
from napari_unet.nn.unet import build_network


def test_more_is_looked_at_of_an_enlarged_plane_and_never_less_than_the_plane(tiny_card) -> None:
    card = tiny_card.model_copy(update={"pixel_size": 0.5})
    plain = count_pixels(card, (300, 400))
    assert plain >= 300 * 400
    assert count_pixels(card, (300, 400), 1.0) > 3 * plain  # twice as large in both directions
    assert count_pixels(card, (300, 400), 1.0, at=1.0) == plain
    assert count_pixels(card, (1, 1), at=1e-3) > 0


def test_seconds_are_divided_by_what_was_looked_at(tiny_card, monkeypatch) -> None:
    ticks = iter([10.0, 13.0])
    monkeypatch.setattr(timing, "perf_counter", lambda: next(ticks))
    model = Model(build_network(tiny_card.network), tiny_card)
    assert measure_pace(model) == pytest.approx(3 / count_pixels(tiny_card, (256, 256), at=1.0))


def test_a_step_is_estimated_from_the_quicker_of_two_predictions(tiny_card, monkeypatch) -> None:
    paces = iter([5e-7, 2e-7])
    monkeypatch.setattr(timing, "measure_pace", lambda model: next(paces))
    params = FineTuneParams()
    model = Model(build_network(tiny_card.network), tiny_card)
    assert estimate_step(model) == pytest.approx(4.3 * 2e-7 * params.batch * params.tile**2)
