"""The project folder: images by reference and content hash, their reviews, models and training runs.

    project.json
    images/<key>/image.json   and the review (see `store`), or a large image's cells (see `disk_cells`)
    models/    runs/

Images are never copied. `key` is the start of the content's hash, so that an image is known again under
another name and place; a large one that is read in parts is known by some samples and its file.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import platformdirs
from pydantic import BaseModel, ConfigDict, Field

from napari_unet.core.base import InputError, Labels, Mask
from napari_unet.core.review import Review
from napari_unet.io import atomic, hash_image
from napari_unet.store.journal import JournalWriter
from napari_unet.store.review_store import ReviewStore

logger = logging.getLogger(__name__)

FORMAT = 1
_KEY_DIGITS = 24


class ImageInfo(BaseModel):
    """What `image.json` says. `context` is the caller's: axes, channel, pixel size ... as JSON values."""

    model_config = ConfigDict(frozen=True)

    format: int = FORMAT
    hash: str
    name: str
    source: str | None
    shape: tuple[int, ...]
    dtype: str
    context: dict[str, Any] = Field(default_factory=dict)


class ImageRecord:
    """One image of a project and its review on disk.

    The review's arrays have the shape of the labels, which may differ from `shape`, the image's (RGB).
    Open the `writer` before `load_review` to be sure that nobody else writes in between.
    """

    def __init__(self, folder: Path, info: ImageInfo) -> None:
        self.folder = folder
        self.info = info
        self._store = ReviewStore(folder, info.name)
        self._writer: JournalWriter | None = None

    @property
    def key(self) -> str:
        """Name of the image within the project."""
        return self.folder.name

    @property
    def name(self) -> str:
        """Name the image was last opened under."""
        return self.info.name

    @property
    def source(self) -> str | None:
        """File the image was last opened from, None where it came from no file."""
        return self.info.source

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the image."""
        return self.info.shape

    @property
    def context(self) -> dict[str, Any]:
        """What the caller stored with the image: axes, channel ..."""
        return self.info.context

    @property
    def has_review(self) -> bool:
        """Whether there is a review on disk, readable or not."""
        return (self.folder / "review.json").exists()

    @property
    def review_shape(self) -> tuple[int, ...] | None:
        """Shape of the review on disk, None where there is none or a damaged one."""
        return self._store.shape

    @property
    def model(self) -> str | None:
        """The model whose prediction is being reviewed, None where there is no review."""
        state = self._store.readable_state
        return state.model if state else None

    def remember(self, **context: Any) -> None:
        """Store JSON values with the image, beside those that are; InputError where that is impossible."""
        known = _read_image_info(self.folder) or self.info  # others may have stored something meanwhile
        self.info = known.model_copy(update={"context": {**known.context, **context}})
        if self.info != known:
            _write_image_info(self.folder, self.info)

    def variant(self, name: str) -> ImageRecord:
        """Return another record of the same content, with a context and a review of its own."""
        folder = self.folder.with_name(f"{self.key}-{name}")
        known = _read_image_info(folder)
        record = ImageRecord(folder, self.info.model_copy(update={"context": known.context if known else {}}))
        _write_image_info(folder, record.info)
        return record

    def load_review(self) -> Review | None:
        """Return the review as last edited, None where there is none; needs no writer.

        Raises InputError where it cannot be read. A damaged one is set aside first (renamed, never
        deleted), so that the next call returns None; a newer version's is left as it is.
        """
        return self._store.load()

    def begin_review(
        self, prediction: Labels, labels: Labels | None = None, marked: Mask | None = None, *, model: str
    ) -> None:
        """Replace the review on disk by a new prediction and what is kept of the user's labels and marks.

        Left out, `labels` are the prediction and nothing is marked. With an open writer the work is handed
        to its thread, in order with the edits, and this returns once the arrays are copied; otherwise it is
        done when this returns. Raises InputError where shapes do not fit or another window has the image.
        """
        review = Review(
            prediction,
            prediction if labels is None else labels,
            np.zeros(np.shape(prediction), np.bool_) if marked is None else marked,
        )
        if self._writer is not None and self._writer.is_open:
            self._writer.begin(review, model=model)
            return
        self._store.acquire()
        try:
            self._store.begin(review, model)
        except OSError as error:
            raise InputError(
                f"The prediction could not be saved ({error.strerror}): free some space or check the drive."
            ) from error
        finally:
            self._store.close()

    def writer(self) -> JournalWriter:
        """Open the image for edits and return what writes them; close it to let others in.

        Raises InputError where another window has it open, in this process or another.
        """
        self._store.acquire()
        try:
            self._writer = JournalWriter(self._store)
        except BaseException:
            self._store.close()
            raise
        return self._writer


class ProjectInfo(BaseModel):
    """What `project.json` says; `model` is the name of the one that was chosen last, if any was."""

    model_config = ConfigDict(frozen=True)

    format: int = FORMAT
    model: str = ""


class Project:
    """A project folder that is open. Nothing is held in memory: two windows may share it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.images_folder = folder / "images"
        self.models_folder = folder / "models"
        self.runs_folder = folder / "runs"
        self._file = folder / "project.json"

    @classmethod
    def open(cls, folder: Path | None = None) -> Project:
        """Open a project folder, made where it is missing; by default the one in the user's data directory.

        Raises InputError where it cannot be written, or a newer napari-unet made it.
        """
        if folder is None:
            folder = platformdirs.user_data_path("napari-unet", appauthor=False) / "default"
        project = cls(Path(folder).absolute())
        try:
            project._make()
        except OSError as error:
            raise InputError(
                f"The project folder {project.folder} cannot be used ({error.strerror}): choose another one."
            ) from error
        return project

    def image(
        self,
        data: npt.NDArray[Any],
        *,
        name: str,
        source: str | None = None,
        context: dict[str, Any] | None = None,
        digest: str | None = None,
    ) -> ImageRecord:
        """Return the record of an image, made where its content is new.

        `name` and, where given, `source` and `context` replace what was known. Reads all of `data`
        (about 1 s per 2 GB), block by block where it is lazy, unless its `digest` is given.
        """
        digest = digest or hash_image(data)
        folder = self.images_folder / digest[:_KEY_DIGITS]
        known = _read_image_info(folder)
        info = ImageInfo(
            hash=digest,
            name=name,
            source=source or (known.source if known else None),
            shape=data.shape,
            dtype=str(data.dtype),
            context=context if context is not None else (known.context if known else {}),
        )
        if info != known:
            _write_image_info(folder, info)
        return ImageRecord(folder, info)

    def images(self) -> list[ImageRecord]:
        """Return the images that have a review, by name; what cannot be read is logged and left out."""
        records = []
        for review in self.images_folder.glob("*/review.json"):
            info = _read_image_info(review.parent)
            if info is not None:
                records.append(ImageRecord(review.parent, info))
        return sorted(records, key=lambda record: (record.name, record.key))

    @property
    def model(self) -> str:
        """Name of the model that was chosen last, empty where none was."""
        try:
            return ProjectInfo.model_validate_json(self._file.read_bytes()).model
        except (OSError, ValueError):
            return ""

    def remember_model(self, name: str) -> None:
        """Store the name of the model that was chosen; raises OSError where that fails."""
        atomic.write_file(self._file, ProjectInfo(model=name).model_dump_json(indent=1).encode())

    def _make(self) -> None:
        for folder in (self.folder, self.images_folder, self.models_folder, self.runs_folder):
            folder.mkdir(parents=True, exist_ok=True)
        path = self._file
        if not path.exists():
            atomic.write_file(path, ProjectInfo().model_dump_json(indent=1).encode())
        try:
            info = ProjectInfo.model_validate_json(path.read_bytes())
        except ValueError as error:
            raise InputError(
                f"{path} is damaged: choose another project folder, or delete this file to use the rest."
            ) from error
        if info.format > FORMAT:
            raise InputError(
                f"The project {self.folder} was made by a newer napari-unet: update this one to open it."
            )


def _read_image_info(folder: Path) -> ImageInfo | None:
    try:
        return ImageInfo.model_validate_json((folder / "image.json").read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as error:
        logger.warning("%s cannot be read: %s", folder / "image.json", error)
        return None


def _write_image_info(folder: Path, info: ImageInfo) -> None:
    try:
        folder.mkdir(exist_ok=True)
        atomic.write_file(folder / "image.json", info.model_dump_json(indent=1).encode())
    except OSError as error:
        raise InputError(
            f"The project folder {folder.parent.parent} cannot be written ({error.strerror}): "
            "make room on the drive or choose another folder."
        ) from error
