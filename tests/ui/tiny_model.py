"""Scenes of bright and faint discs, and a small model that was taught to leave the faint ones out.

Run as a program it writes that model to the file named: an own process, since Keras must stay out of the
window's.
"""

import sys
from pathlib import Path

import numpy as np

RADIUS = 9.5
PITCH = 32
LINE = 5


def draw_discs(rows: int, columns: int, *, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a uint8 image of discs in a grid and two int32 label images: of all of them, of the bright ones.

    Every other disc is faint. A bright line, which is no disc, runs below the second row.
    """
    rng = np.random.default_rng(seed)
    y, x = np.indices((rows * PITCH, columns * PITCH))
    image, labels, bright = np.full(y.shape, 60.0), np.zeros(y.shape, np.int32), np.zeros(y.shape, np.int32)
    image[np.abs(y - 2 * PITCH) < LINE / 2] = 200
    for number in range(rows * columns):
        row, column = divmod(number, columns)
        centre = PITCH * (np.array([row, column]) + 0.5) + rng.integers(-1, 2, 2)
        disc = np.hypot(y - centre[0], x - centre[1]) < RADIUS
        is_faint = (row + column) % 2
        image[disc] = 120 if is_faint else 200
        labels[disc] = number + 1
        bright[disc] = 0 if is_faint else number + 1
    noisy = image + rng.normal(0, 6, image.shape)
    return np.rint(noisy).clip(0, 255).astype(np.uint8), labels, bright


def main(path: Path, steps: int) -> None:
    """Train from scratch to find what is bright."""
    from napari_unet.core.base.card import ModelCard
    from napari_unet.core.base.params import OUTPUT_MAPS, AugmentParams, NetworkParams, TrainParams
    from napari_unet.core.image.normalisation import normalise
    from napari_unet.core.image.scale import measure_object_size
    from napari_unet.core.learning.sampling import TrainingImage
    from napari_unet.nn.learn.from_scratch import train
    from napari_unet.nn.model_file import save_network
    from napari_unet.nn.unet import build_network

    image, _, labels = draw_discs(6, 8, seed=1)
    labels[np.abs(np.arange(len(labels)) - 2 * PITCH) < LINE / 2] = len(labels)  # the line counts as a cell
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
    trained = train(card, [sample], {"discs": [sample]}, params, folder=path.with_suffix(".training"))
    network = build_network(card.network)
    network.set_weights(trained.network.get_weights())
    save_network(network, card, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
