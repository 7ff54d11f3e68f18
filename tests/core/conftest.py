"""A review to begin with."""

import numpy as np
import pytest

from napari_unet.core.review.review import Review


def disc(shape: tuple[int, int], centre: tuple[int, int], radius: float) -> np.ndarray:
    """Return a mask of a disc."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2


@pytest.fixture
def two_cells() -> Review:
    prediction = np.zeros((40, 80), np.int32)
    prediction[disc((40, 80), (20, 20), 12)] = 1
    prediction[disc((40, 80), (20, 60), 12)] = 2
    return Review.of(prediction)
