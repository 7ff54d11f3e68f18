"""How fast a model is here: `python scripts/benchmark_speed.py [--data DATA] [--sides 512 2048]`.

Everything is timed in interleaved rounds, so that a busy machine slows all alike, and given as the median and
the spread of seconds, and as ratios of medians of one run. The image is a mosaic of fluorescent nuclei, of
DATA/fluo_hela/train/images if given, else rendered. "naive" is `predict` of a plain Keras U-Net of width 32
in float32 on the whole image, random weights; "bare network" our network on the whole image in one call.
StarDist and Cellpose are timed where they are installed: --peer stardist:FOLDER --peer cellpose:MODEL.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np

from napari_unet.bench.methods import load_methods
from napari_unet.core.base.params import OUTPUT_MAPS, PRESETS, AugmentParams, NetworkParams
from napari_unet.core.image.normalisation import normalise
from napari_unet.core.learning.sampling import Sampler, TrainingImage
from napari_unet.core.synthetic.scenes import render_nuclei
from napari_unet.io.files import ImageFile, read_image
from napari_unet.models.registry import find_model
from napari_unet.nn.backend import compile_forward, fast_policy
from napari_unet.nn.model import load_model_file
from napari_unet.nn.trainer import Trainer
from napari_unet.nn.unet import build_network

Work = Callable[[], object]
NAIVE = NetworkParams(filters=32)
_LARGEST_WHOLE = 2048  # px, beyond which a whole image in one call needs too much memory


def make_image(side: int, data: Path | None) -> np.ndarray:
    """Return a mosaic (side, side) of uint16."""
    if data is not None:
        parts = [read_image(path).data for path in sorted((data / "fluo_hela/train/images").glob("*.tif"))]
    else:
        parts = [render_nuclei((512, 512), seed=seed).image for seed in range(4)]
    height, width = parts[0].shape
    rows, columns = -(-side // height), -(-side // width)
    numbers = iter(range(rows * columns))
    grid = [[parts[next(numbers) % len(parts)] for _ in range(columns)] for _ in range(rows)]
    return np.block(grid)[:side, :side]


def time_rounds(works: dict[str, Work], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each piece of work in each round, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            start = perf_counter()
            work()
            if number:
                seconds[name].append(perf_counter() - start)
    return seconds


def list_predictions(image: np.ndarray, model: str, naive: bool) -> dict[str, Work]:
    """Return the ways to segment an image (Y, X), and the parts of ours."""
    works: dict[str, Work] = {}
    whole = max(image.shape) <= _LARGEST_WHOLE
    pixels = normalise(image[..., None])
    if naive and whole:
        network = build_network(NAIVE, dtype="float32")
        works["naive predict, float32"] = lambda: network.predict(pixels[None], verbose=0)
    for policy in dict.fromkeys((fast_policy(), "float32")):
        loaded = load_model_file(find_model(model), dtype=policy)
        word = {"mixed_bfloat16": "bfloat16"}.get(policy, policy)
        if whole:
            forward = compile_forward(loaded.network)
            works[f"bare network, {word}"] = lambda forward=forward: forward(pixels[None])
        works[f"network in tiles, {word}"] = lambda loaded=loaded: loaded.predict_maps(pixels)
        works[f"image to labels, {word}"] = lambda loaded=loaded: loaded.segment_plane(image[..., None])
        maps = loaded.predict_maps(pixels)
    works["normalising"] = lambda: normalise(image[..., None])
    works["labelling"] = lambda: loaded.label(maps)
    return works


def list_steps(presets: list[str]) -> dict[str, Work]:
    """Return training steps of 4 x 192 x 192 of networks, as in fine-tuning."""
    scene = render_nuclei((512, 512), seed=0)
    image = TrainingImage(normalise(scene.image[..., None]), scene.labels)
    works: dict[str, Work] = {}
    for policy in dict.fromkeys((fast_policy(), "float32")):
        for preset in presets:
            params = PRESETS[preset].network.model_copy(update={"batch_normalisation": False})
            sampler = Sampler(
                [image],
                outputs=OUTPUT_MAPS,
                tile=192,
                batch=4,
                augment=AugmentParams(),
                separation=(4.0, 5.0),
                seed=0,
            )
            trainer = Trainer(build_network(params, dtype=policy), sampler)
            word = {"mixed_bfloat16": "bfloat16"}.get(policy, policy)
            works[f"step of {preset}, {word}"] = lambda trainer=trainer: trainer.update(1e-4)
    return works


def render(title: str, seconds: dict[str, list[float]], base: str | None) -> str:
    """Return a table in Markdown."""
    lines = [
        f"## {title}",
        "",
        "| what | median s | least to most | times as fast as the first |",
        "|---|---|---|---|",
    ]
    first = np.median(seconds[base or next(iter(seconds))])
    for name, values in seconds.items():
        middle = float(np.median(values))
        lines.append(
            f"| {name} | {middle:.3f} | {min(values):.3f} to {max(values):.3f} | {first / middle:.2f} |"
        )
    return "\n".join([*lines, ""])


def main(arguments: argparse.Namespace) -> None:
    """Time everything and print the tables."""
    for side in arguments.sides:
        image = make_image(side, arguments.data)
        works = list_predictions(image, arguments.model, naive=True)
        file = ImageFile(path=Path("mosaic.tif"), data=image, axes="YX", pixel_size=None)
        for method in load_methods([], arguments.peer):
            works[method.name] = partial(method.segment, file)
        print(render(f"{side} x {side} px", time_rounds(works, arguments.rounds), None), flush=True)
    steps = time_rounds(list_steps(["unet-32", "unet-fast", "unet-16"]), 3 * arguments.rounds)
    print(render("Training steps, 4 x 192 x 192 px", steps, None))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder of data sets")
    parser.add_argument("--model", default="nuclei", help="name or file")
    parser.add_argument("--sides", type=int, nargs="+", default=[512, 2048])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer", action="append", default=[], help="stardist:FOLDER or cellpose:MODEL")
    main(parser.parse_args())
