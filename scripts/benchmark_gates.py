"""How surely corrections that cannot be right are refused: `python scripts/benchmark_gates.py DATA FILE.md`.

DATA is laid out as `napari-unet benchmark` wants it, and may have another such folder, benchmark_only. For
each data set, corrections are drawn from its train folder, images of at least 25 cells together: as they are,
reviewed wholly or in half; drawn by an unsteady hand, 1, 2 or 4 px off; only a third of the cells outlined,
and a square of background marked; and poisoned: labels shifted by 8 px or more, cells and background
exchanged, labels of other images, pixels shuffled. Each kind is drawn 20 times and shown to the checks that
come before a fine-tuning (`core.learning.checks`); what is in doubt does not pass. With `--steps N` one
model is fine-tuned for N steps on each kind (`--tunings` of them), to see what is judged in the end.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.core.base.arrays import Labels
from napari_unet.core.base.errors import InputError
from napari_unet.core.cells.targets import number_cells
from napari_unet.core.image.axes import plan_planes
from napari_unet.core.learning.checks import Correction, check_corrections
from napari_unet.io.files import read_image, read_labels
from napari_unet.io.labels import match_by_stem

SMOOTHNESS = 8  # px, over which a hand goes astray to the same side
MARKED = 96  # px, side of the square that is marked
FEWEST_CELLS = 25
SIDE = 512  # px, of the part of an image that is corrected
MOST_IMAGES = 80
STEP = 20  # planes of a stack, of which one is used
Pool = list[tuple[NDArray[np.generic], Labels]]
Draw = Callable[[Pool, Sequence[int], np.random.Generator], list[Correction]]


def read_pool(folder: Path) -> Pool:
    """Return planes (Y, X, C) with their cells, those with 5 or more."""
    pool = []
    for pair in match_by_stem(folder / "images", folder / "masks")[:MOST_IMAGES]:
        file, labels = read_image(pair.image), read_labels(pair.labels)
        grid = plan_planes(file.data.shape, file.axes)
        for index in list(grid.indices())[::STEP]:
            plane = grid.plane(file.data, index, 0 if "C" in grid.axes else None)[:SIDE, :SIDE]
            cells = number_cells(labels[grid.select(index)][:SIDE, :SIDE])
            if cells.max() >= 5:
                pool.append((plane, cells))
    return pool


def choose(pool: Pool, rng: np.random.Generator) -> list[int]:
    """Return the numbers of a few images that hold enough cells together."""
    chosen: list[int] = []
    cells = 0
    for number in rng.permutation(len(pool)):
        chosen.append(int(number))
        cells += int(pool[number][1].max())
        if cells >= FEWEST_CELLS:
            break
    return chosen


def _whole(plane: NDArray[np.generic], labels: Labels) -> Correction:
    return plane, labels, np.ones(labels.shape, bool)


def good(pool: Pool, chosen: Sequence[int], _rng: np.random.Generator) -> list[Correction]:
    """Return true corrections of whole images."""
    return [_whole(*pool[number]) for number in chosen]


def half(pool: Pool, chosen: Sequence[int], _rng: np.random.Generator) -> list[Correction]:
    """Return true corrections, of which only the left half of each image was reviewed."""
    made = []
    for number in chosen:
        plane, labels, reviewed = _whole(*pool[number])
        reviewed[:, reviewed.shape[1] // 2 :] = False
        made.append((plane, labels, reviewed))
    return made


def unsteady(amount: float) -> Draw:
    """Return what draws cells with contours that are about ``amount`` px off, inside here, outside there."""

    def draw(pool: Pool, chosen: Sequence[int], rng: np.random.Generator) -> list[Correction]:
        return [_whole(plane, shake(labels, amount, rng)) for plane, labels in (pool[n] for n in chosen)]

    return draw


def shake(labels: Labels, amount: float, rng: np.random.Generator) -> Labels:
    """Return cells whose contours are displaced by a smooth random field of ``amount`` px on average."""
    where = np.indices(labels.shape).astype(float)
    for axis in where:
        field = ndimage.gaussian_filter(rng.normal(size=labels.shape), SMOOTHNESS)
        axis += amount / np.sqrt(2) * field / field.std()
    return np.asarray(ndimage.map_coordinates(labels, where, order=0, mode="nearest"), np.int32)


def outlined(pool: Pool, chosen: Sequence[int], rng: np.random.Generator) -> list[Correction]:
    """Return a third of the cells, 2 px off, reviewed on their own pixels, and a marked square."""
    made = []
    for number in chosen:
        plane, labels = pool[number]
        drawn = shake(labels, 2, rng)
        ids = np.unique(drawn)[1:]
        drawn = np.where(np.isin(drawn, rng.choice(ids, max(1, len(ids) // 3), replace=False)), drawn, 0)
        marked = np.zeros(labels.shape, bool)
        row, column = (int(rng.integers(max(size - MARKED, 1))) for size in labels.shape)
        marked[row : row + MARKED, column : column + MARKED] = True
        made.append((plane, np.where(marked, labels, drawn).astype(np.int32), marked | (drawn > 0)))
    return made


def shifted(pool: Pool, chosen: Sequence[int], rng: np.random.Generator) -> list[Correction]:
    """Return labels that lie beside their cells, all images alike."""
    by = int(rng.choice([-12, -8, 8, 12])), int(rng.integers(-10, 11))
    return [_whole(plane, np.roll(labels, by, (0, 1))) for plane, labels in (pool[n] for n in chosen)]


def inverted(pool: Pool, chosen: Sequence[int], _rng: np.random.Generator) -> list[Correction]:
    """Return background labelled as a cell."""
    return [_whole(plane, (labels == 0).astype(np.int32)) for plane, labels in (pool[n] for n in chosen)]


def exchanged(pool: Pool, chosen: Sequence[int], rng: np.random.Generator) -> list[Correction]:
    """Return the labels of other images of the same size, or their own turned round."""
    made = []
    for number in chosen:
        plane, labels = pool[number]
        others = [x for i, (_, x) in enumerate(pool) if i != number and x.shape == labels.shape]
        other = others[int(rng.integers(len(others)))] if others else labels
        made.append(_whole(plane, np.ascontiguousarray(other[::-1, ::-1])))
    return made


def shuffled(pool: Pool, chosen: Sequence[int], rng: np.random.Generator) -> list[Correction]:
    """Return labels whose pixels were shuffled."""
    return [
        _whole(plane, rng.permutation(labels.ravel()).reshape(labels.shape))
        for plane, labels in (pool[n] for n in chosen)
    ]


KINDS: dict[str, Draw] = {
    "good": good,
    "good, half reviewed": half,
    **{f"{amount} px off": unsteady(amount) for amount in (1, 2, 4)},
    "a third outlined": outlined,
    "shifted": shifted,
    "inverted": inverted,
    "of other images": exchanged,
    "pixels shuffled": shuffled,
}


def is_passed(corrections: Sequence[Correction]) -> bool:
    """Whether the checks let corrections pass."""
    try:
        check_corrections(corrections)
    except InputError:
        return False
    return True


def judge(corrections: Sequence[Correction], steps: int, seed: int) -> str:
    """Return what a fine-tuning of the default model on corrections comes to, in a few words."""
    from napari_unet import fine_tune

    try:
        result = fine_tune(
            "nuclei",
            [plane for plane, _, _ in corrections],
            [labels for _, labels, _ in corrections],
            reviewed=[reviewed for _, _, reviewed in corrections],
            axes="YXC",
            steps=steps,
            seed=seed,
        )
    except InputError:
        return "not begun"
    return str(result.verdict)


def find_folders(data: Path, names: Sequence[str]) -> list[Path]:
    """Return the train folders of data sets, of all or of those named, that have enough cells."""
    found = sorted(
        p.parent for p in (*data.glob("*/train/masks"), *data.glob("benchmark_only/*/train/masks"))
    )
    wanted = [folder for folder in found if not names or folder.parent.name in names]
    return [folder for folder in wanted if read_pool(folder)]


def main(data: Path, output: Path, names: Sequence[str], draws: int, steps: int, tunings: int) -> None:
    """Draw, check, and write the table."""
    header = ["data set", *KINDS]
    lines = [f"Corrections that pass the checks, of {draws}:", "", _row(header), _row(["---"] * len(header))]
    verdicts = [f"Fine-tunings of {steps} steps:", "", _row(header), lines[-1]] if steps else []
    for folder in find_folders(data, names):
        name, pool, passed, judged = folder.parent.name, read_pool(folder), [], []
        for kind, draw in KINDS.items():
            made = []
            for seed in range(draws):
                rng = np.random.default_rng(seed)
                made.append(draw(pool, choose(pool, rng), rng))
            passed.append(sum(map(is_passed, made)))
            print(name, kind, f"{passed[-1]} of {draws} pass", file=sys.stderr, flush=True)
            if steps:
                outcomes = [
                    judge(corrections, steps, seed) for seed, corrections in enumerate(made[:tunings])
                ]
                judged.append(", ".join(f"{outcomes.count(o)} {o}" for o in sorted(set(outcomes))))
                print(name, kind, judged[-1], file=sys.stderr, flush=True)
        lines.append(_row([name, *map(str, passed)]))
        if steps:
            verdicts.append(_row([name, *judged]))
        output.write_text("\n".join([*lines, "", *verdicts]) + "\n", encoding="utf-8")


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path, help="file for the table, in Markdown")
    parser.add_argument(
        "--set", action="append", dest="sets", help="data sets; by default all with 5 cells in an image"
    )
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--steps", type=int, default=0, help="of a fine-tuning; none by default")
    parser.add_argument("--tunings", type=int, default=3, help="fine-tunings of each kind")
    options = parser.parse_args()
    main(
        options.data,
        options.output,
        options.sets or (),
        options.draws,
        options.steps,
        options.tunings,
    )
