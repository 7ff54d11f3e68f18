"""Model files: a ``.keras`` archive with our card inside, and nothing in it that is run.

Loading never deserialises a Keras configuration. It checks the archive, reads the card, builds our own
architecture from it and copies the weights in; whatever does not fit is refused. Files of earlier versions
may hold several networks: the one that was trained last is read.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import ValidationError

from napari_unet.core.base import FORMAT, InputError, ModelCard

if TYPE_CHECKING:
    from napari_unet.nn.backend import keras

CARD = "card.json"
WEIGHTS = "model.weights.h5"
_UNUSED = tuple(f"earlier-{number}.weights.h5" for number in range(1, 8))  # in files of earlier versions
_WEIGHTS = (WEIGHTS, *_UNUSED)
_MEMBERS = {"metadata.json", "config.json", CARD, *_WEIGHTS}
_LARGEST_TEXT = 1 << 20
_LARGEST_WEIGHTS = 1 << 30
_PIECE = 1 << 20
_H5_OVERHEAD = 1 << 20


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_card(path: Path) -> ModelCard:
    """Return the card of a model file; InputError if the file is not one of ours. Keras is not imported."""
    with _open_archive(path) as archive:
        return _parse_card(path, archive)


def _open_archive(path: Path) -> zipfile.ZipFile:
    if path.suffix != ".keras":
        raise InputError(f"{path.name} is not a .keras file: choose a model file that napari-unet wrote.")
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is not a file: choose a model file that napari-unet wrote.")
    try:
        archive = zipfile.ZipFile(path)
    except FileNotFoundError:
        raise InputError(f"There is no model file {path}: check the name.") from None
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(f"{path.name} is not a model file or is damaged ({error}).") from error
    try:
        _check_members(path, archive)
    except BaseException:
        archive.close()
        raise
    return archive


def _check_members(path: Path, archive: zipfile.ZipFile) -> None:
    members = archive.infolist()
    names = [member.filename for member in members]
    foreign = sorted(set(names) - _MEMBERS)
    if foreign or len(names) != len(set(names)):
        raise InputError(
            f"{path.name} holds parts that a model of napari-unet never has: {foreign or names}."
        )
    if CARD not in names or WEIGHTS not in names:
        raise InputError(f"{path.name} is a Keras file, but not a model of napari-unet: it has no card.")
    for member in members:
        limit = _LARGEST_WEIGHTS if member.filename in _WEIGHTS else _LARGEST_TEXT
        if member.file_size > limit or member.is_dir():
            raise InputError(f"{path.name} is refused: its part {member.filename} is too large.")


def _parse_card(path: Path, archive: zipfile.ZipFile) -> ModelCard:
    try:
        given = json.loads(_read_member(archive, CARD))
        if isinstance(given, dict) and isinstance(given.get("format"), int) and given["format"] > FORMAT:
            raise InputError(f"{path.name} was written by a newer napari-unet: update napari-unet to use it.")
        return ModelCard.model_validate(given)
    except InputError:
        raise
    except ValidationError as error:
        first = error.errors()[0]
        name, words = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
        raise InputError(
            f"The card in {path.name} is refused ({': '.join(filter(None, (name, words)))}): the file is "
            "damaged, or of a newer napari-unet."
        ) from error
    # What is ciphered, or packed by an unknown method, is a RuntimeError to zipfile.
    except (
        ValueError,
        RuntimeError,
        OSError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise InputError(
            f"The card in {path.name} cannot be read: the file is damaged, or of a newer napari-unet."
        ) from error


def _read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return a part of an archive; BadZipFile if it is larger than the archive says.

    Read at once, a part that lies about its size is unpacked as a whole first.
    """
    size, content = archive.getinfo(name).file_size, bytearray()
    with archive.open(name) as part:
        while piece := part.read(_PIECE):
            content += piece
            if len(content) > size:
                raise zipfile.BadZipFile(f"{name} is larger than it says")
    return bytes(content)


def save_network(network: keras.Model, card: ModelCard, path: Path, *, compact: bool = True) -> None:
    """Write a network's weights and its card to ``path`` as one ``.keras`` file, all or nothing.

    ``compact`` rounds weights to half precision, which the archive's compression turns into half the size.
    The state of an optimizer is not written.
    """
    from napari_unet.nn.unet import build_network

    bare, rounded = build_network(card.network), np.float16 if compact else np.float32
    bare.set_weights([weight.astype(rounded).astype(np.float32) for weight in network.get_weights()])
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".saving-") as folder:
        plain, packed = Path(folder, "plain.keras"), Path(folder, "packed.keras")
        bare.save(plain)
        with zipfile.ZipFile(plain) as source:
            _pack(source, card, packed)
        packed.replace(path)


def replace_card(path: Path, card: ModelCard) -> None:
    """Write another card into a model file, all or nothing; the file has another hash then."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".saving-") as folder:
        packed = Path(folder, "packed.keras")
        with _open_archive(path) as source:
            _pack(source, card, packed)
        packed.replace(path)


def _pack(source: zipfile.ZipFile, card: ModelCard, target: Path) -> None:
    """Write what an archive holds to `target`, with `card` as its card."""
    # Somebody is waiting: level 6 takes seven times as long for 6 % less.
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in source.namelist():
            if name != CARD:
                archive.writestr(name, _read_member(source, name))
        archive.writestr(CARD, card.model_dump_json(indent=2))
    with target.open("rb+") as file:
        os.fsync(file.fileno())


def load_network(path: Path, *, dtype: str | None = None) -> tuple[keras.Model, ModelCard]:
    """Rebuild the network of a model file and return it with its card; InputError if anything is off."""
    from napari_unet.nn.unet import build_network

    with _open_archive(path) as archive, tempfile.TemporaryDirectory() as folder:
        card = _parse_card(path, archive)
        size = archive.getinfo(WEIGHTS).file_size
        if not 0 <= size - 4 * card.network.count_parameters() <= _H5_OVERHEAD:
            raise InputError(
                f"{path.name} is refused: its weights do not fit the network its card describes."
            )
        try:
            weights = Path(archive.extract(WEIGHTS, folder))
            _check_weights(weights)
            network = build_network(card.network, dtype=dtype)
            network.load_weights(weights)
            if not all(np.isfinite(weight).all() for weight in network.get_weights()):
                raise InputError(f"{path.name} is refused: some of its weights are no numbers.")
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"The weights in {path.name} are damaged or do not fit its card.") from error
    return network, card


def _check_weights(path: Path) -> None:
    """Refuse HDF5 objects that point elsewhere: soft or external links, external or virtual data."""
    import h5py

    def check(group: h5py.Group) -> None:
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise InputError("The model file is refused: its weights hold links to other places.")
            item = group[name]
            if isinstance(item, h5py.Group):
                check(item)
            elif item.external or item.is_virtual:
                raise InputError("The model file is refused: its weights point to other files.")

    with h5py.File(path, "r") as file:
        check(file)
