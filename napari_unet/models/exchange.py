"""Models for other programs: packages of bioimage.io, which deepImageJ and others open, and ONNX files.

What is exchanged is the network: image in, maps out. Resizing, tiling and the way from maps to separate cells
are this package's own; the package's README says what to do instead.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
import zipfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import yaml
from PIL import Image

from napari_unet.core.base import CLIP, HIGH, LOW, InputError, ModelCard
from napari_unet.core.image import normalise
from napari_unet.io import atomic, files
from napari_unet.models.library import import_model

RDF = ("rdf.yaml", "bioimageio.yaml")
KERAS, ONNX = "model.keras", "model.onnx"
AUTHORS = ("napari-unet developers",)
_FORMAT = "0.5.5"
_SIDE = 256
_LARGEST = 1 << 31
_PAPER = {
    "text": "Ronneberger et al. (2015): U-Net: Convolutional Networks for Biomedical Image Segmentation",
    "doi": "10.1007/978-3-319-24574-4_28",
}


class _Test(NamedTuple):
    """A tile as it comes from a file, (1, Y, X, C) float32, and the network's maps of it, normalised."""

    raw: npt.NDArray[np.float32]
    seen: npt.NDArray[np.float32]
    maps: npt.NDArray[np.float32]


def export_package(
    source: Path,
    target: Path,
    *,
    authors: Sequence[str] = AUTHORS,
    license_id: str | None = None,
    with_onnx: bool = True,
) -> Path:
    """Write a model file as a package of bioimage.io, a zip file with everything in it; return its path.

    It holds the model's own `.keras` file, the network in ONNX unless told otherwise, an example with its
    result, a cover, a README and what to cite. `license_id` is the SPDX name of the licence of the weights.
    Raises InputError for a model that cannot be read, unpadded convolutions, missing packages and a place
    that cannot be written.
    """
    from napari_unet.nn import load_network

    if target.suffix != ".zip":
        raise InputError(f"The package cannot be written to {target.name}: choose a name that ends in .zip.")
    network, card = load_network(source)
    if card.network.padding != "same":
        raise InputError(
            f"'{source.stem}' has unpadded convolutions, which packages cannot say: share its .keras file."
        )
    test = _make_test(network, card)
    parts = {
        KERAS: source.read_bytes(),
        "test_input.npy": _encode_npy(test.raw),
        "test_output.npy": _encode_npy(test.maps),
        "cover.png": _paint_cover(test),
        "README.md": _write_readme(source.stem, card).encode(),
    }
    weights: dict[str, Any] = {"keras_v3": _describe_keras(parts[KERAS])}
    if with_onnx:
        from napari_unet.nn import encode_onnx

        parts[ONNX], opset = encode_onnx(network, test.seen)
        weights["onnx"] = {**_point(ONNX, parts[ONNX]), "opset_version": opset, "parent": "keras_v3"}
    description = _describe(source.stem, card, parts, weights, authors, license_id)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(RDF[0], yaml.safe_dump(description, sort_keys=False, allow_unicode=True))
        for name, content in parts.items():
            archive.writestr(name, content)
    _write(target, buffer.getvalue())
    return target


def export_onnx(source: Path, target: Path) -> Path:
    """Write the network of a model file as ONNX, checked by onnxruntime; return the path.

    Raises InputError as `export_package` does.
    """
    from napari_unet.nn import encode_onnx, load_network

    network, card = load_network(source)
    content, _ = encode_onnx(network, _make_test(network, card).seen)
    _write(target, content)
    return target


def is_package(path: Path) -> bool:
    """Whether a file is called what packages of bioimage.io are called."""
    return path.suffix.lower() == ".zip"


def import_package(source: Path, name: str | None = None, folder: Path | None = None) -> Path:
    """Take the model out of a package that napari-unet wrote, as `import_model` does; return its new path.

    Nothing in the package is run. Raises InputError, in one sentence, for a package that is damaged, no
    package of bioimage.io, or of another architecture.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            names = set(archive.namelist())
            if not names & set(RDF):
                raise InputError(f"{source.name} is no package of bioimage.io: it has no {RDF[0]}.")
            if KERAS not in names:
                raise InputError(
                    f"{source.name} holds a model of another architecture: only packages "
                    "that napari-unet wrote can be imported."
                )
            if archive.getinfo(KERAS).file_size > _LARGEST:
                raise InputError(f"{source.name} is refused: its part {KERAS} is too large.")
            content = archive.read(KERAS)
    except FileNotFoundError:
        raise InputError(f"There is no file {source}: check the name.") from None
    except (zipfile.BadZipFile, OSError, RuntimeError, EOFError, zipfile.LargeZipFile) as error:
        raise InputError(f"{source.name} is damaged or no package of bioimage.io: get it again.") from error
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, f"{source.stem}.keras")
        path.write_bytes(content)
        return import_model(path, name or source.stem, folder)


def _make_test(network: Any, card: ModelCard) -> _Test:
    sample = files.read_image(files.sample_path("nuclei")).data
    plane = np.asarray(sample)[:_SIDE, :_SIDE, None].astype(np.float32)
    raw = np.repeat(plane, card.network.channels, axis=-1)
    side = _SIDE // card.network.step * card.network.step
    raw = np.ascontiguousarray(raw[:side, :side])
    seen = normalise(raw)[None]
    return _Test(raw[None], seen, np.asarray(network(seen), np.float32))


def _encode_npy(array: npt.NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _paint_cover(test: _Test) -> bytes:
    """Return a PNG of the example, and beside it the first map in blue over it."""
    grey = np.clip(test.seen[0, ..., 0], 0, 1)
    image = np.repeat(grey[..., None], 3, axis=-1)
    share = 0.6 * test.maps[0, ..., :1]
    marked = image * (1 - share) + np.array([0.0, 0.45, 0.7]) * share
    buffer = io.BytesIO()
    Image.fromarray((255 * np.concatenate([image, marked], axis=1)).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def _point(name: str, content: bytes) -> dict[str, str]:
    return {"source": name, "sha256": hashlib.sha256(content).hexdigest()}


def _describe_keras(content: bytes) -> dict[str, Any]:
    from napari_unet.nn import backend_name

    backend = backend_name()
    return {
        **_point(KERAS, content),
        "keras_version": version("keras"),
        "backend": [backend, version(backend)],
    }


def _describe(
    name: str,
    card: ModelCard,
    parts: dict[str, bytes],
    weights: dict[str, Any],
    authors: Sequence[str],
    license_id: str | None,
) -> dict[str, Any]:
    channels = [f"channel{number}" for number in range(card.network.channels)]
    size = {"min": 4 * card.network.step, "step": card.network.step}
    sides = [{"type": "space", "id": axis, "size": size} for axis in "yx"]
    same = [{"type": "space", "id": axis, "size": {"tensor_id": "raw", "axis_id": axis}} for axis in "yx"]
    scale = {"axes": ["x", "y"], "min_percentile": LOW, "max_percentile": HIGH, "eps": 1e-6}
    return {
        "type": "model",
        "format_version": _FORMAT,
        "name": f"U-Net {name}",
        "description": card.title or f"Segmentation with the U-Net '{name}' of napari-unet",
        "authors": [{"name": author} for author in authors],
        "cite": [_PAPER],
        **({"license": license_id} if license_id else {}),
        "documentation": _point("README.md", parts["README.md"]),
        "covers": [_point("cover.png", parts["cover.png"])],
        "tags": ["unet", "segmentation", "2d", "napari", "keras"],
        "inputs": [
            {
                "id": "raw",
                "description": "An image plane, as it comes from the microscope",
                "axes": [{"type": "batch"}, *sides, {"type": "channel", "channel_names": channels}],
                "data": {"type": "float32"},
                "test_tensor": _point("test_input.npy", parts["test_input.npy"]),
                "preprocessing": [
                    {"id": "scale_range", "kwargs": scale},
                    {"id": "clip", "kwargs": {"min": CLIP[0], "max": CLIP[1]}},
                ],
            }
        ],
        "outputs": [
            {
                "id": "maps",
                "description": f"Maps from 0 to 1: {', '.join(card.outputs)}",
                "axes": [
                    {"type": "batch"},
                    *same,
                    {"type": "channel", "channel_names": list(card.outputs)},
                ],
                "data": {"type": "float32"},
                "test_tensor": _point("test_output.npy", parts["test_output.npy"]),
            }
        ],
        "weights": weights,
        "config": {"napari_unet": {"version": version("napari-unet"), "card": card.model_dump(mode="json")}},
    }


def _write_readme(name: str, card: ModelCard) -> str:
    size = f"{card.object_size:.0f} px" if card.object_size else "that of the training images"
    return f"""# U-Net {name}

{card.title or name}

{card.description}

Input: an image plane of {card.network.channels} channel(s), scaled so that the percentile {LOW:g} becomes 0
and the percentile {HIGH:g} becomes 1. Resize images so that a typical cell has a diameter of {size}.
Output: {", ".join(card.outputs)}, each from 0 to 1.

## Limits

Separate cells are not part of the network. In napari-unet they are found by a watershed of these maps; in
other programs, threshold the first map at {card.instances.foreground:g} and split touching cells with the
others. To use the model in napari-unet, import this file: `napari-unet models import FILE.zip`.

## Validation

Compare the maps with a known example: `test_input.npy` gives `test_output.npy`. Check the result on images of
your own before you rely on it.

Training data: {card.training.get("data") or "not stated"}
"""


def _write(path: Path, content: bytes) -> None:
    try:
        atomic.write_file(path, content)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"{path} cannot be written ({reason}): choose another place or make room."
        ) from error
