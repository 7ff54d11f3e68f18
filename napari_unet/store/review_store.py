"""One image's review in its folder: generations of a snapshot and the journal of edits made since.

`review.json` names the current generation n, `review-<n>.npz` has its arrays, `journal-<n>.bin` the edits
that followed. A new generation is written beside the old one, becomes current when `review.json` is replaced,
and only then is the old one deleted: a crash at any point leaves the one or the other, whole.
"""

from __future__ import annotations

import io
import logging
import math
import re
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from napari_unet.core.base import InputError
from napari_unet.core.review import Review
from napari_unet.io import FolderLock, HeldError, atomic
from napari_unet.store.journal import Journal, JournalError, replay
from napari_unet.store.records import Edit

logger = logging.getLogger(__name__)

_Number = TypeVar("_Number", np.int32, np.bool_)

FORMAT = 1
LARGE_JOURNAL = 64 << 20
SMALL_JOURNAL = 1 << 20

_GENERATION = re.compile(r"(?:review|journal)-(\d+)\.(?:npz|bin)")
_DAMAGE = (ValueError, JournalError, FileNotFoundError)


class _Version(BaseModel):
    format: int


class ReviewState(BaseModel):
    """What `review.json` says: the current generation, the labels' shape, the model that predicted."""

    model_config = ConfigDict(frozen=True)

    format: int = FORMAT
    generation: int = Field(ge=1)
    shape: tuple[int, ...]
    model: str
    created: str


class ReviewStore:
    """The review in one folder. Reading needs no lock; what writes takes `acquire` first."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self._lock = FolderLock(folder)
        self._journal: Journal | None = None

    def acquire(self) -> None:
        """Become the one who writes; raises InputError where another window does or nobody can."""
        try:
            self._lock.acquire()
        except HeldError as error:
            raise InputError(
                f"This image is open in another napari window: close '{self.name}' there to correct it here."
            ) from error
        except OSError as error:
            raise InputError(
                f"Corrections cannot be saved in {self.folder} ({error.strerror}): "
                "choose another project folder."
            ) from error
        self._delete_leftovers()

    def close(self) -> None:
        """Close the journal and let go of the lock."""
        self._close_journal()
        self._lock.release()

    @property
    def state(self) -> ReviewState | None:
        """The current state on disk, None where there is no review.

        Raises InputError where a newer napari-unet wrote it, ValueError where it is damaged.
        """
        try:
            text = (self.folder / "review.json").read_bytes()
        except FileNotFoundError:
            return None
        if _Version.model_validate_json(text).format > FORMAT:
            raise InputError(
                f"The corrections of '{self.name}' are from a newer napari-unet: update this one first."
            )
        return ReviewState.model_validate_json(text)

    @property
    def readable_state(self) -> ReviewState | None:
        """The current state, None where there is no review or a damaged one; InputError for a newer one."""
        try:
            return self.state
        except InputError:
            raise
        except ValueError:
            return None

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Shape of the review on disk, None as for `readable_state`."""
        state = self.readable_state
        return state.shape if state else None

    def load(self) -> Review | None:
        """Return the snapshot with the journal replayed, None where there is no review.

        Raises InputError where it cannot be read; what is damaged is set aside first, by renaming.
        """
        while True:
            state = None
            try:
                state = self.state
                return self._read(state) if state else None
            except InputError:
                raise
            except _DAMAGE as error:
                if state is not None and self._superseded(state):
                    continue  # another window went on to a new generation while this one was read
                raise self._set_aside(error) from error
            except OSError as error:
                raise InputError(
                    f"The corrections of '{self.name}' could not be read ({error.strerror}): check the drive "
                    "and open the image again."
                ) from error

    def begin(self, review: Review, model: str) -> None:
        """Replace the review on disk, in one step; edits are appended to it from now on."""
        self._close_journal()
        self._check_current()
        current = self._newest_generation() + 1
        atomic.write_file(self._snapshot(current), _pack(review))
        Journal.create(self._journal_path(current))
        now = datetime.now(UTC).isoformat(timespec="seconds")
        state = ReviewState(generation=current, shape=review.shape, model=model, created=now)
        atomic.write_file(self.folder / "review.json", state.model_dump_json(indent=1).encode())
        self._delete_leftovers()

    def append(self, edits: Sequence[Edit]) -> None:
        """Make edits durable: when this returns they survive a power cut; after an OSError none counts."""
        self._open_journal().append(edits)

    def tidy(self) -> None:
        """Make a new snapshot where the journal has grown large beside it."""
        state = self.state
        if state is None:
            return
        grown = self._open_journal().size
        snapshot = self._snapshot(state.generation).stat().st_size
        if grown > LARGE_JOURNAL or grown > max(SMALL_JOURNAL, 4 * snapshot):
            self.begin(self._read(state), state.model)

    def _check_current(self) -> None:
        """Raise InputError where a newer napari-unet wrote the review; set aside what is damaged."""
        try:
            _ = self.state
        except InputError:
            raise
        except ValueError as error:
            self._set_aside(error)

    def _read(self, state: ReviewState) -> Review:
        review = _unpack(self._snapshot(state.generation).read_bytes(), state.shape)
        for edit, _ in replay(self._journal_path(state.generation), state.shape):
            edit.apply(review)
        return review

    def _superseded(self, state: ReviewState) -> bool:
        try:
            return self.state != state
        except (ValueError, OSError):
            return False

    def _open_journal(self) -> Journal:
        if self._journal is None:
            # A change of generation that failed half-way may be visible and not yet durable.
            atomic.sync_folder(self.folder)
            state = self.state
            if state is None:
                raise InputError("There is no prediction to correct yet: press Segment first.")
            self._journal = Journal(self._journal_path(state.generation), state.shape)
        return self._journal

    def _close_journal(self) -> None:
        journal, self._journal = self._journal, None
        if journal is not None:
            journal.close()

    def _set_aside(self, error: Exception) -> InputError:
        """Move all files of a damaged review to a folder of their own; return what to tell the user."""
        logger.error("the review in %s is damaged", self.folder, exc_info=error)
        mine = not self._lock.held
        if mine:
            self.acquire()
        try:
            self._close_journal()
            aside = self.folder / f"damaged-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
            aside.mkdir()
            for path in [self.folder / "review.json", *self._generations()]:
                if path.exists():
                    atomic.replace(path, aside / path.name)
            atomic.sync_folder(self.folder)
        finally:
            if mine:
                self._lock.release()
        return InputError(
            f"The saved corrections of '{self.name}' are damaged and were set aside in {aside}: "
            "segment the image again."
        )

    def _generations(self) -> dict[Path, int]:
        """All snapshots and journals in the folder, whole or not, with their generation."""
        found = ((path, _GENERATION.fullmatch(path.name)) for path in self.folder.iterdir())
        return {path: int(match[1]) for path, match in found if match}

    def _newest_generation(self) -> int:
        return max(self._generations().values(), default=0)

    def _delete_leftovers(self) -> None:
        """Delete other generations than the current one and unfinished files; nothing where in doubt."""
        try:
            state = self.state
            if state is None:
                return
            atomic.sync_folder(self.folder)  # the current generation is here to stay before the others go
            leftovers = [path for path, number in self._generations().items() if number != state.generation]
            leftovers += self.folder.glob(f".[rj]*{atomic.TEMPORARY}")
            for path in leftovers:
                path.unlink(missing_ok=True)
        except (OSError, ValueError) as error:
            logger.warning("leftovers stay in %s: %s", self.folder, error)

    def _snapshot(self, generation: int) -> Path:
        return self.folder / f"review-{generation}.npz"

    def _journal_path(self, generation: int) -> Path:
        return self.folder / f"journal-{generation}.bin"


def _pack(review: Review) -> bytes:
    """Return the arrays as the bytes of an .npz file, compressed fast: labels shrink a hundredfold anyway."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        arrays = {"prediction": review.prediction, "labels": review.labels, "marked": review.marked}
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), (1, 0), allow_pickle=False)
    return stream.getvalue()


def _unpack(data: bytes, shape: tuple[int, ...]) -> Review:
    """Return the review in what `_pack` made; raises ValueError where it is damaged."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return Review(
                _read_array(archive, "prediction", shape, np.int32),
                _read_array(archive, "labels", shape, np.int32),
                _read_array(archive, "marked", shape, np.bool_),
            )
    except MemoryError:
        raise
    except Exception as error:  # damaged bytes make zipfile raise almost anything
        raise ValueError(f"no snapshot: {error}") from error


def _read_array(
    archive: zipfile.ZipFile, name: str, shape: tuple[int, ...], dtype: type[_Number]
) -> npt.NDArray[_Number]:
    with archive.open(f"{name}.npy") as member:
        np.lib.format.read_magic(member)
        head = np.lib.format.read_array_header_1_0(member)
        if head != (shape, False, np.dtype(dtype)):
            raise ValueError(f"{name} is {head}, not {dtype} of {shape}")
        size = math.prod(shape) * np.dtype(dtype).itemsize
        content = member.read(size + 1)  # past the end, where the checksum is looked at
    if len(content) != size:
        raise ValueError(f"{name} has {len(content)} bytes of {size}")
    return np.frombuffer(content, dtype).reshape(shape).copy()
