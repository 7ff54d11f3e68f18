"""The models there are: those that ship, the user's own, and any model file by its path."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_data_path

from napari_unet.core.base import InputError, ModelCard

if TYPE_CHECKING:
    from napari_unet.nn import Model

DEFAULT_MODEL = "nuclei"
BUNDLED = Path(__file__).parent / "bundled"


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model file and its card, whose `name` is the file's: that can change, what is in the file cannot."""

    card: ModelCard
    path: Path
    bundled: bool


def models_folder() -> Path:
    """Return the folder of the user's own models."""
    return user_data_path("napari-unet", appauthor=False) / "models"


def search_folders(folders: Iterable[Path] = ()) -> list[Path]:
    """Return where models are looked for: what ships, the user's own, those kept in a window, ``folders``."""
    kept = models_folder().parent / "default" / "models"  # of the project that a window opens
    return list(dict.fromkeys((BUNDLED, models_folder(), kept, *folders)))


def find_model_files(folders: Iterable[Path] = ()) -> list[Path]:
    """Return all files in the `search_folders` that end like a model, damaged ones too."""
    return [path for folder in search_folders(folders) for path in sorted(folder.glob("*.keras"))]


def find_models(folders: Iterable[Path] = ()) -> list[ModelEntry]:
    """Return the models that ship, the user's and those in ``folders``; files that are none are skipped."""
    entries = []
    for path in find_model_files(folders):
        with contextlib.suppress(InputError):
            entries.append(read_entry(path))
    return entries


def read_entry(path: Path) -> ModelEntry:
    """Return the card of a model file, with the name that the file has; InputError if it is none."""
    from napari_unet.nn import read_card

    card = read_card(path).model_copy(update={"name": path.stem})
    return ModelEntry(card, path, path.parent == BUNDLED)


def list_models() -> list[ModelCard]:
    """Return the cards of the bundled models and of the user's own."""
    return [entry.card for entry in find_models()]


def find_model(name_or_path: str | Path, folders: Iterable[Path] = ()) -> Path:
    """Return the file of a model given by name or path; InputError naming the models there are."""
    path = Path(name_or_path)
    if path.suffix == ".keras" or path.is_file():
        if not path.is_file():
            raise InputError(f"There is no model file {path}: check the name.")
        return path
    entries = find_models(folders)
    for entry in entries:
        if entry.card.name == str(name_or_path):
            return entry.path
    names = ", ".join(dict.fromkeys(entry.card.name for entry in entries)) or "none"
    raise InputError(f"There is no model called '{name_or_path}': there are {names}.")


def load_model(name_or_path: str | Path) -> Model:
    """Load a model by name or path, ready to predict; InputError if there is none or the file is not one."""
    from napari_unet.nn import load_model_file

    return load_model_file(find_model(name_or_path))
