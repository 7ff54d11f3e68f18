"""The user's collection of models: verify, import, export, rename, delete.

A model is called what its file is called, so that a new name leaves its hash, by which its children know it,
as it is.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from napari_unet.core.base import InputError
from napari_unet.io import atomic
from napari_unet.models.lineage import Version
from napari_unet.models.registry import ModelEntry, find_model_files, find_models, models_folder, read_entry

ENDING = ".keras"
_LONGEST_NAME = 80
_NAME = re.compile(r"\w([\w .()+-]*[\w)+])?")
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # no file's name on Windows


def find_versions(folders: Iterable[Path] = ()) -> list[Version]:
    """Return the models that `find_models` finds with their hashes; one that goes meanwhile is left out."""
    versions = []
    for entry in find_models(folders):
        with contextlib.suppress(OSError):
            versions.append(Version(entry, hash_model(entry.path)))
    return versions


def hash_model(path: Path) -> str:
    """Return the SHA-256 of a model file, computed once for each state of the file."""
    state = path.stat()
    return _hash(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=1024)
def _hash(path: Path, modified: int, size: int) -> str:  # noqa: ARG001 - a file that changed is hashed anew
    from napari_unet.nn import hash_file

    return hash_file(path)


def verify_model(path: Path) -> str:
    """Return the SHA-256 of a model file whose archive is safe, whose card is valid and whose weights fit.

    The weights are loaded, but nothing in the file is run. InputError that says what is wrong.
    """
    from napari_unet.nn import hash_file, load_network

    load_network(path)
    return hash_file(path)


def import_model(source: Path, name: str | None = None, folder: Path | None = None) -> Path:
    """Verify a model file and copy it to the user's models (or ``folder``); return the new path.

    InputError where the file is bad, is here already, or its name is taken.
    """
    return add_model(source, verify_model(source), name or source.stem, folder or models_folder())


def add_model(source: Path, sha256: str, name: str, folder: Path) -> Path:
    """Copy a model file that was verified, when it had the hash ``sha256``, as ``import_model`` does."""
    with _telling(f"{source.name} cannot be read"):
        data = source.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise InputError(f"{source.name} has changed while it was checked: import it again.")
    twin = next((v for v in find_versions([folder]) if v.sha256 == sha256), None)
    if twin is not None:
        raise InputError(f"{source.name} is here already: it is the model '{twin.card.name}'.")
    path = folder / f"{check_name(name, [folder])}{ENDING}"
    with _telling(f"'{path.stem}' cannot be saved in {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        atomic.create_file(path, data)
    return path


def export_model(source: Path, target: Path) -> Path:
    """Copy a model to a file, or into a folder under its own name, all or nothing; return the file's path."""
    path = target / source.name if target.is_dir() else target
    if path.suffix != ENDING:
        raise InputError(f"The model cannot be written to {path.name}: choose a name that ends in {ENDING}.")
    read_entry(source)
    with _telling(f"{path} cannot be written"):
        atomic.write_file(path, source.read_bytes())
    return path


def rename_model(entry: ModelEntry, name: str) -> Path:
    """Give one of the user's models another name; return its new path."""
    _check_own(entry, "renamed")
    folder = entry.path.parent
    path = folder / f"{check_name(name, [folder], but=entry.path)}{ENDING}"
    if path != entry.path:
        with _telling(f"'{entry.card.name}' cannot be renamed"):
            atomic.move(entry.path, path)
            atomic.sync_folder(folder)
    return path


def delete_model(entry: ModelEntry) -> None:
    """Delete one of the user's models for good; its children stay and know it by its hash."""
    _check_own(entry, "deleted")
    with _telling(f"'{entry.card.name}' cannot be deleted"):
        entry.path.unlink()
        atomic.sync_folder(entry.path.parent)


def check_name(name: str, folders: Iterable[Path] = (), but: Path | None = None) -> str:
    """Return a name in the form that a model can have; InputError where it cannot, or another has it.

    ``but`` is the file of the model that is to have it.
    """
    plain = name.strip().removesuffix(ENDING)
    if not _NAME.fullmatch(plain) or _DEVICES.fullmatch(plain) or len(plain) > _LONGEST_NAME:
        raise InputError(
            f"'{name}' cannot be the name of a model: use letters, digits, spaces, dots and hyphens."
        )
    others = (path.stem for path in find_model_files(folders) if path != but)
    if any(other.casefold() == plain.casefold() for other in others):
        raise InputError(f"There is a model called '{plain}' already: choose another name.")
    return plain


def free_name(name: str, folders: Iterable[Path] = ()) -> str:
    """Return a name that no model has: this one, or this one with the next free number."""
    taken = {path.stem.casefold() for path in find_model_files(folders)}
    numbered = (f"{name}-{number}" for number in range(2, len(taken) + 3))
    return name if name.casefold() not in taken else next(n for n in numbered if n.casefold() not in taken)


def _check_own(entry: ModelEntry, done: str) -> None:
    if entry.bundled:
        raise InputError(f"'{entry.card.name}' ships with napari-unet and cannot be {done}.")


@contextlib.contextmanager
def _telling(problem: str) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise InputError(f"{problem}: there is a file of that name already.") from None
    except OSError as error:
        raise InputError(
            f"{problem} ({error.strerror or error}): check the place and its free room."
        ) from error
