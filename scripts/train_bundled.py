"""Train the models that ship with the package.

    python scripts/train_bundled.py pack DATA out/pack.npz
    python scripts/train_bundled.py train general out/pack.npz out/general --steps 20000

`pack` reads the data sets of DATA, NAME/{train,val}/{images,masks}/*.tif, brings every image to a common size
of cells and writes one compressed file, so that `train` needs nothing else. `train` goes on from the
checkpoint in its folder, whichever backend wrote it: KERAS_BACKEND=torch or jax trains the same recipe on a
GPU. `--minutes` ends a run with a checkpoint; `--start MODEL.keras` begins with a model's weights; `--without
NAME` leaves a data set out. After the last step it writes MODEL.keras into the folder.
"""

import argparse
import io
import json
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.base.card import ModelCard
from napari_unet.core.base.params import PRESETS, AugmentParams, InstanceParams, TrainParams
from napari_unet.core.image.scale import measure_object_size, measure_size_range, measure_typical_size
from napari_unet.core.learning.sampling import TrainingImage, mix


class DataSet(NamedTuple):
    """What the card says of a data set, what it shows and how much it counts among images of its kind."""

    kind: str
    share: float
    source: str


CTC = "Cell Tracking Challenge terms, cite Maska et al., Nat. Methods 20 (2023)"
DEEPCELL = "CovertLab/DeepCell; no licence stated; Van Valen et al., PLoS Comput. Biol. 12 (2016)"
UQ = "UncertaintyQuantification/cell_segmentation; no licence stated; Baracaldo et al. (2025)"
SETS = {
    "dsb2018_fluo": DataSet(
        "fluorescence", 4, "BBBC038 fluorescence; CC0; Caicedo et al., Nat. Methods 16 (2019)"
    ),
    "fluo_hela": DataSet("fluorescence", 1, f"Fluo-N2DL-HeLa; {CTC}"),
    "fluo_gowt1": DataSet(
        "fluorescence", 1, f"Fluo-N2DH-GOWT1; {CTC}; Bartova et al., J. Struct. Biol. 176 (2011)"
    ),
    "fluo_nih3t3": DataSet("fluorescence", 1, "NIH3T3; research use; Coelho et al., ISBI 2009"),
    "fluo_intestine": DataSet(
        "fluorescence", 1.5, "mouse gut; LGPL-3.0; Pecot et al., PLoS Comput. Biol. 18 (2022)"
    ),
    "fluo_polyps": DataSet(
        "fluorescence", 1.5, "colon polyps; AGPL-3.0; Pecot et al., F1000Research 10:256 (2021)"
    ),
    "fluo_u2os_coelho": DataSet("fluorescence", 1, "U2OS; no licence stated; Coelho et al., ISBI 2009"),
    "fluo_nuclei_deepcell": DataSet("fluorescence", 1, f"nuclei; {DEEPCELL}"),
    "fluo_nuclei_uq": DataSet("fluorescence", 1, f"nuclei; {UQ}"),
    "ovule_nuclei_3d": DataSet(
        "fluorescence", 0.5, "Arabidopsis ovule nuclei; MIT; Vijayan et al., Development (2024)"
    ),
    "dsb2018_histology": DataSet(
        "histology", 1, "BBBC038 stained tissue; CC0; Caicedo et al., Nat. Methods 16 (2019)"
    ),
    "he_tnbc": DataSet("histology", 1.5, "TNBC; CC BY 4.0; Naylor et al., IEEE TMI 38 (2019)"),
    "dic_hela": DataSet("dic", 1, f"DIC-C2DH-HeLa; {CTC}"),
    "phc_deepcell": DataSet("phase contrast", 1, f"phase contrast; {DEEPCELL}"),
    "phc_ecoli_deepcell": DataSet("bacteria", 1, f"E. coli; {DEEPCELL}"),
    "fluo_cells_uq": DataSet("whole cells", 1, f"whole cells; {UQ}"),
    "fluo_tcells_membrane": DataSet(
        "membrane stain", 1, "youyifong/dense_cell_segmentation; no licence stated"
    ),
    "ovule_cells_3d": DataSet(
        "membrane stain", 0.3, "Arabidopsis ovule walls; MIT; Wolny et al., eLife 9 (2020)"
    ),
    "em_axons": DataSet("axons", 1, "SEM axons; MIT; Zaimi et al., Sci. Rep. 8 (2018)"),
    "isbi2012_em": DataSet(
        "neurites", 1, "ISBI 2012 EM; free for research; Cardona et al., PLoS Biol. 8 (2010)"
    ),
}
NUCLEI = {"fluorescence": 1.0, "histology": 0.5}
KINDS = {
    "general": {
        "fluorescence": 5.0,
        "histology": 2.0,
        "dic": 0.8,
        "phase contrast": 1.2,
        "bacteria": 0.6,
        "whole cells": 0.8,
        "membrane stain": 0.9,
        "axons": 0.8,
    },
    "nuclei": NUCLEI,
    "membranes": {"neurites": 1.0},
}
TITLES = {
    "general": "Any cells or nuclei",
    "nuclei": "Nuclei in fluorescence or stained tissue",
    "membranes": "Neurites between membranes in electron micrographs",
}
SIZES = (20.0, 40.0)
"""Typical cells of an image are brought to a diameter in px in this range."""
AUGMENT = AugmentParams(
    zoom=1.6, cell_contrast=1.0, restyle=0.15, invert=0.15, blank=0.04, blur=1.5, noise=0.08, contrast=0.6
)
RESTYLED = {"general": 0.15, "nuclei": 0.0, "membranes": 0.0}
_MOST_VALIDATED = 6
_VALIDATED_SIDE = 512


def pack(data: Path, target: Path) -> None:
    """Write the images and labels of all known data sets in DATA to one file."""
    from napari_unet.jobs.train import load_colour_views, load_images

    with zipfile.ZipFile(target, "w", zipfile.ZIP_LZMA) as archive:
        for name in SETS:
            for split in ("train", "val"):
                folders = (data / name / split / "images", data / name / split / "masks")
                if not folders[0].is_dir():
                    continue
                images = load_images(*folders)
                if split == "train":  # a quarter of the colours: all would fill most of the file
                    images += load_colour_views(*folders)[::4]
                for number, image in enumerate(_thin_out(images, split)):
                    scaled = _bring_to_size(image)
                    stem = f"{name}/{split}/{number:04d}"
                    _write_array(archive, f"{stem}-image.npy", _to_bytes(scaled.image))
                    _write_array(archive, f"{stem}-labels.npy", scaled.labels.astype(np.uint16))
                print(name, split, len(images), file=sys.stderr)


def _thin_out(images: Sequence[TrainingImage], split: str) -> Sequence[TrainingImage]:
    """Return the images that are worth their space, evenly spread: planes of a stack are much alike."""
    most = 500 if split == "train" else _MOST_VALIDATED
    planes = [image for image in images if image.labels.any()]
    return planes[:: -(-len(planes) // most)] if planes else []


def _bring_to_size(image: TrainingImage) -> TrainingImage:
    size = measure_typical_size(image.labels)
    if size is None or SIZES[0] <= size <= SIZES[1]:
        return image
    return image.resized(float(np.clip(size, *SIZES)) / size)


def _to_bytes(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return normalised grey values, -0.5 to 2, as bytes."""
    return np.rint((image.clip(-0.5, 2) + 0.5) * 102).astype(np.uint8)


def _from_bytes(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.asarray(image / np.float32(102) - np.float32(0.5), np.float32)


def _write_array(archive: zipfile.ZipFile, name: str, array: NDArray[np.generic]) -> None:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    archive.writestr(name, buffer.getvalue())


def unpack(source: Path, split: str) -> dict[str, list[TrainingImage]]:
    """Return the images of one split, "train" or "val", by data set."""
    found: dict[str, list[TrainingImage]] = {}
    with zipfile.ZipFile(source) as archive:
        for name in sorted(archive.namelist()):
            data_set, part, file = name.split("/")
            if part == split and file.endswith("-image.npy"):
                image = _from_bytes(_read_array(archive, name))
                labels = _read_array(archive, name.replace("-image", "-labels")).astype(np.int32)
                found.setdefault(data_set, []).append(TrainingImage(image, labels))
    return found


def _read_array(archive: zipfile.ZipFile, name: str) -> NDArray[np.generic]:
    return np.load(io.BytesIO(archive.read(name)), allow_pickle=False)


def balance(model: str, images: dict[str, list[TrainingImage]]) -> list[TrainingImage]:
    """Return all images, drawn so that each kind counts as KINDS says, whatever number of images it has."""
    kinds = KINDS[model]
    chosen = {name: found for name, found in images.items() if SETS[name].kind in kinds}
    totals: dict[str, float] = {}
    for name in chosen:
        totals[SETS[name].kind] = totals.get(SETS[name].kind, 0) + SETS[name].share
    weights = [kinds[SETS[n].kind] * SETS[n].share / totals[SETS[n].kind] for n in chosen]
    return mix(list(chosen.values()), weights)


def choose_validation(model: str, images: dict[str, list[TrainingImage]]) -> dict[str, list[TrainingImage]]:
    """Return a few images of each data set, cut to a limited side."""
    kept = {}
    for name, found in images.items():
        if SETS[name].kind in KINDS[model]:
            kept[name] = [_crop(image) for image in found]
    return kept


def _crop(image: TrainingImage) -> TrainingImage:
    side = slice(0, _VALIDATED_SIDE)
    return TrainingImage(image.image[side, side], image.labels[side, side])


class _TimeOverError(Exception):
    """The minutes that were given are over."""


def train_model(arguments: argparse.Namespace) -> None:
    """Train one of the models, or go on with it."""
    from napari_unet.nn.backend import backend_name
    from napari_unet.nn.learn.from_scratch import train
    from napari_unet.nn.model_file import load_network, save_network

    name, start = arguments.model, perf_counter()
    without = set(arguments.without)
    learned = {k: v for k, v in unpack(arguments.pack, "train").items() if k not in without}
    held = {k: v for k, v in unpack(arguments.pack, "val").items() if k not in without}
    images, validation = balance(name, learned), choose_validation(name, held)
    preset = PRESETS[arguments.preset]
    network = preset.network
    if arguments.network:
        network = network.model_copy(update=json.loads(arguments.network))
    cells = [image.labels for image in images]
    card = ModelCard(
        name=name,
        title=TITLES[name],
        network=network,
        outputs=preset.outputs,
        object_size=measure_object_size(cells),
        size_range=measure_size_range(cells),
        instances=InstanceParams(),
    )
    weights = None
    if arguments.start is not None:
        parent, known = load_network(arguments.start)
        card = card.model_copy(update={"network": known.network, "outputs": known.outputs})
        weights = parent.get_weights()
    params = TrainParams(
        steps=arguments.steps,
        tile=arguments.tile,
        batch=arguments.batch,
        learning_rate=arguments.rate,
        warm_up=min(200, arguments.steps // 10),
        validate_every=arguments.validate_every,
        average=0.999 if arguments.steps > 4000 else 0.99,
        augment=AUGMENT.model_copy(update={"restyle": RESTYLED[name]}),
    )

    def on_step(step: int, loss: float) -> None:
        if step % 100 == 0:
            print(
                f"step {step}: loss {loss:.4f}, {perf_counter() - start:.0f} s", file=sys.stderr, flush=True
            )
        if arguments.minutes and perf_counter() - start > 60 * arguments.minutes:
            raise _TimeOverError

    try:
        model = train(
            card, images, validation, params, folder=arguments.folder, start=weights, on_step=on_step
        )
    except _TimeOverError:
        print("The time is over: run the same command again to go on.", file=sys.stderr)
        return
    used = [data_set for data_set in SETS if data_set in learned and SETS[data_set].kind in KINDS[name]]
    card = model.card.model_copy(
        update={
            "training": {
                "data": "; ".join(f"{data_set}: {SETS[data_set].source}" for data_set in used),
                "images": len(images),
                "cells": sum(int(image.labels.max()) for image in images),
                "recipe": params.model_dump(),
                "backend": backend_name(),
            }
        }
    )
    save_network(model.network, card, arguments.folder / f"{name}.keras")


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack")
    packing.add_argument("data", type=Path)
    packing.add_argument("pack", type=Path)
    training = commands.add_parser("train")
    training.add_argument("model", choices=list(KINDS))
    training.add_argument("pack", type=Path)
    training.add_argument("folder", type=Path)
    training.add_argument("--preset", default="unet-fast", choices=list(PRESETS))
    training.add_argument("--network", default="", help="changes to the preset's network, in JSON")
    training.add_argument("--steps", type=int, default=20000)
    training.add_argument("--tile", type=int, default=224)
    training.add_argument("--batch", type=int, default=4)
    training.add_argument("--rate", type=float, default=2e-3)
    training.add_argument("--validate-every", type=int, default=1000)
    training.add_argument("--minutes", type=float, default=0, help="stop after so many, with a checkpoint")
    training.add_argument("--start", type=Path, help="model file to begin with")
    training.add_argument("--without", action="append", default=[], help="data set to leave out")
    return parser.parse_args(given)


if __name__ == "__main__":
    given = arguments()
    if given.command == "pack":
        pack(given.data, given.pack)
    else:
        train_model(given)
