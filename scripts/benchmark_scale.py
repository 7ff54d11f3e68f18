"""Whether a scene has as many cells at every pixel size: `python scripts/benchmark_scale.py DATA FILE.md`.

Rendered scenes of different density and size, and real images, are taken to have pixels of 0.25 µm, and
averaged over 2 x 2 and 4 x 4 of them to pixels of 0.5 and 1 µm. Of the real images in DATA (laid out as
`napari-unet benchmark` wants it), those of the val folders are taken whose nuclei are still 8 px across then:
nine of ten that lie wholly in the image. The scale is looked for, as the bundled models know no pixel size.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import clear_border
from skimage.transform import downscale_local_mean

from napari_unet import load_model, segment
from napari_unet.core.synthetic.scenes import render_nuclei
from napari_unet.io.files import read_image, read_labels
from napari_unet.io.labels import match_by_stem
from napari_unet.models.registry import DEFAULT_MODEL

FACTORS = {0.25: 1, 0.5: 2, 1.0: 4}
SETS = ("dsb2018_fluo", "fluo_gowt1")
SMALLEST = 8  # px across, at the coarsest
SCENES = (
    *((768, 24, 28), (768, 60, 28), (1024, 40, 32), (1024, 120, 32), (768, 40, 20), (768, 120, 20)),
    *((512, 12, 24), (1024, 20, 40), (1024, 70, 40), (1024, 150, 24), (1280, 60, 56)),
)
"""Side in px, nuclei and their radius in px at the finest."""

Named = tuple[str, NDArray[np.generic], int]


def render_scenes() -> Iterator[Named]:
    """Return rendered scenes: what they are, the image, and how many nuclei are in it."""
    for seed, (side, objects, radius) in enumerate(SCENES, start=10):
        scene = render_nuclei((side, side), objects=objects, radius=radius, seed=seed)
        yield (f"rendered, {side} px, {2 * radius} px across", scene.image, int(scene.labels.max()))


def read_scenes(data: Path) -> Iterator[Named]:
    """Return the real images that are fine enough."""
    for name in SETS:
        for pair in match_by_stem(data / name / "val" / "images", data / name / "val" / "masks"):
            labels = read_labels(pair.labels)
            areas = np.bincount(clear_border(labels).ravel())[1:]
            across = 2 * np.sqrt(areas[areas > 0] / np.pi)
            if across.size and np.mean(across >= SMALLEST * max(FACTORS.values())) >= 0.9:
                count = int(np.count_nonzero(np.unique(labels)))
                yield f"{name} {pair.image.stem[:6]}", np.asarray(read_image(pair.image).data), count


def count_cells(image: NDArray[np.generic], model: object) -> list[int]:
    """Return how many cells are found at each pixel size."""
    steps = max(FACTORS.values())
    image = image[: image.shape[0] // steps * steps, : image.shape[1] // steps * steps].astype(np.float32)
    counts = []
    for pixel_size, factor in FACTORS.items():
        coarse = downscale_local_mean(image, (factor, factor, *[1] * (image.ndim - 2)))
        counts.append(int(segment(coarse, model, pixel_size=pixel_size).max()))  # type: ignore[arg-type]
    return counts


def describe(name: str, true: int, counts: list[int]) -> str:
    """Return a row of the table; the last number is the largest difference from the middle one."""
    middle = counts[1]
    most = max(abs(count - middle) for count in counts) / max(middle, 1)
    return f"| {name} | {true} | {' | '.join(map(str, counts))} | {100 * most:.1f} % |"


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    options = parser.parse_args()
    model = load_model(options.model)
    sizes = " | ".join(f"{size:g} µm" for size in FACTORS)
    lines = [f"| scene | nuclei | {sizes} | difference |", "|---" * (3 + len(FACTORS)) + "|"]
    for kind, scenes in (("rendered", render_scenes()), ("real", read_scenes(options.data))):
        total, true_total = [0] * len(FACTORS), 0
        for name, image, true in scenes:
            counts = count_cells(image, model)
            lines.append(describe(name, true, counts))
            print(lines[-1], flush=True)
            total, true_total = [a + b for a, b in zip(total, counts, strict=True)], true_total + true
        lines.append(describe(f"all {kind}", true_total, total))
        print(lines[-1], flush=True)
    options.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
