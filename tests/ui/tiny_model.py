"""Write a small real model to the file named: an own process, since Keras must stay out of the window's."""

import sys
from pathlib import Path

from napari_unet.app.files import read_image, read_labels, sample_path
from napari_unet.core.card import ModelCard
from napari_unet.core.normalise import normalise
from napari_unet.core.params import OUTPUT_MAPS, NetworkParams, TrainParams
from napari_unet.core.sampling import TrainingImage
from napari_unet.nn.archive import save_network
from napari_unet.nn.recipe import measure_object_size, train
from napari_unet.nn.unet import build_network


def main(path: Path, steps: int) -> None:
    image, labels = (
        read_image(sample_path("nuclei")).data[:256],
        read_labels(sample_path("nuclei_labels"))[:256],
    )
    card = ModelCard(
        name=path.stem,
        network=NetworkParams(filters=8, depth=3, classes=len(OUTPUT_MAPS), initializer="he_normal"),
        outputs=OUTPUT_MAPS,
        object_size=measure_object_size([labels]),
    )
    sample = TrainingImage(normalise(image[..., None]), labels)
    params = TrainParams(steps=steps, tile=128, validate_every=steps, warm_up=10, learning_rate=3e-3)
    trained = train(card, [sample], [sample], params, folder=path.with_suffix(".training"))
    network = build_network(card.network)
    network.set_weights(trained.network.get_weights())
    save_network(network, card, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
