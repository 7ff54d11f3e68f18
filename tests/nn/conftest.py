import numpy as np
import pytest

from napari_unet.core.base.card import ModelCard
from napari_unet.core.base.params import OUTPUT_MAPS, NetworkParams
from napari_unet.core.learning.sampling import TrainingImage

TINY = NetworkParams(filters=6, depth=2, classes=3, initializer="he_normal")


def draw_scene(seed, size=96, cells=9):
    """A grey image with bright discs on noise, and its labels."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices((size, size))
    labels = np.zeros((size, size), np.int32)
    for number in range(1, cells + 1):
        y, x, radius = *rng.uniform(8, size - 8, 2), rng.uniform(6, 9)
        labels[((rows - y) ** 2 + (columns - x) ** 2 <= radius**2) & (labels == 0)] = number
    image = (labels > 0) * rng.uniform(0.6, 1) + rng.normal(0, 0.08, labels.shape)
    return image[..., None].astype(np.float32), labels


@pytest.fixture
def scenes():
    return [TrainingImage(*draw_scene(seed)) for seed in range(6)]


@pytest.fixture
def tiny_card():
    return ModelCard(name="tiny", network=TINY, outputs=OUTPUT_MAPS, object_size=14.0)
