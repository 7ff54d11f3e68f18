"""Scenes of bright and dark discs, and a small model that knows the bright ones only.

Run as a program it writes that model to the file named: an own process, since Keras must stay out of the
window's.
"""

import sys
from pathlib import Path

import numpy as np

RADIUS = 9.5
PITCH = 32


def draw_discs(rows: int, columns: int, *, dark: bool, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return a uint8 image with a disc in each place of a grid, and their int32 labels.

    With `dark` every other disc is darker than the ground, and a bright line crosses the grid.
    """
    rng = np.random.default_rng(seed)
    y, x = np.indices((rows * PITCH, columns * PITCH))
    image, labels = np.full(y.shape, 100.0), np.zeros(y.shape, np.int32)
    if dark:
        image[np.abs(y - 2 * PITCH) < 3] = 190
    for number in range(rows * columns):
        row, column = divmod(number, columns)
        centre = PITCH * (np.array([row, column]) + 0.5) + rng.integers(-2, 3, 2)
        disc = np.hypot(y - centre[0], x - centre[1]) < RADIUS
        image[disc] = 30 if dark and (row + column) % 2 else 190
        labels[disc] = number + 1
    noisy = image + rng.normal(0, 8, image.shape)
    return np.rint(noisy).clip(0, 255).astype(np.uint8), labels


def main(path: Path, steps: int) -> None:
    """Train on bright discs from scratch."""
    from napari_unet.core.card import ModelCard
    from napari_unet.core.normalise import normalise
    from napari_unet.core.params import OUTPUT_MAPS, AugmentParams, NetworkParams, TrainParams
    from napari_unet.core.sampling import TrainingImage
    from napari_unet.nn.archive import save_network
    from napari_unet.nn.recipe import measure_object_size, train
    from napari_unet.nn.unet import build_network

    image, labels = draw_discs(6, 8, dark=False, seed=1)
    sample = TrainingImage(normalise(image[..., None]), labels)
    network = NetworkParams(filters=8, depth=2, classes=len(OUTPUT_MAPS), initializer="he_normal")
    card = ModelCard(
        name=path.stem, network=network, outputs=OUTPUT_MAPS, object_size=measure_object_size([labels])
    )
    params = TrainParams(
        steps=steps,
        tile=96,
        warm_up=10,
        learning_rate=5e-3,
        average=0.9,
        validate_every=steps,
        augment=AugmentParams(invert=0.0, elastic_std=0.0),
    )
    trained = train(card, [sample], [sample], params, folder=path.with_suffix(".training"))
    network = build_network(card.network)
    network.set_weights(trained.network.get_weights())
    save_network(network, card, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
