"""What must stay fast, as ratios inside one run: a slow or busy machine slows both sides alike."""

from collections.abc import Callable
from time import perf_counter

import numpy as np
import pytest

from napari_unet.core.base.params import OUTPUT_MAPS, PRESETS, AugmentParams
from napari_unet.core.image.normalisation import normalise
from napari_unet.core.learning.sampling import Sampler, TrainingImage
from napari_unet.core.synthetic.scenes import render_nuclei
from napari_unet.nn.backend import compile_forward
from napari_unet.nn.model import plan_network_tiles
from napari_unet.nn.trainer import Trainer
from napari_unet.nn.unet import build_network


def compare(first: Callable[[], object], second: Callable[[], object], rounds: int = 7) -> float:
    """Return how often the second goes into the time of the first, by the medians of interleaved rounds."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        for work, kept in zip((first, second), seconds, strict=True):
            start = perf_counter()
            work()
            if number:
                kept.append(perf_counter() - start)
    return float(np.median(seconds[0]) / np.median(seconds[1]))


def load_preset(name: str):
    params = PRESETS[name].network.model_copy(update={"batch_normalisation": False})
    return build_network(params, dtype="float32")


@pytest.fixture(scope="module")
def scene() -> TrainingImage:
    rendered = render_nuclei((256, 256), objects=40, seed=0)
    return TrainingImage(normalise(rendered.image[..., None]), rendered.labels)


def test_the_network_that_ships_predicts_at_least_twice_as_fast_as_a_plain_one_of_its_width(scene):
    tile = scene.image[None]
    plain, fast = (compile_forward(load_preset(name)) for name in ("unet-32", "unet-fast"))
    assert compare(lambda: plain(tile), lambda: fast(tile)) > 2


def test_and_learns_at_least_twice_as_fast(scene):
    def start(name: str) -> Trainer:
        sampler = Sampler(
            [scene],
            outputs=OUTPUT_MAPS,
            tile=128,
            batch=2,
            augment=AugmentParams(),
            separation=(4.0, 5.0),
            seed=0,
        )
        return Trainer(load_preset(name), sampler)

    plain, fast = start("unet-32"), start("unet-fast")
    try:
        assert compare(lambda: plain.update(1e-4), lambda: fast.update(1e-4)) > 1.8
    finally:
        plain.close()
        fast.close()


def test_at_most_a_fifth_more_pixels_are_computed_than_shown():
    from napari_unet.core.image.tiling import count_read
    from napari_unet.nn.model import BORDER

    network = PRESETS["unet-fast"].network
    plan = plan_network_tiles(network, (2048, 2048))
    assert count_read(plan, border=BORDER, multiple=network.step) < 1.2 * 2048**2
