"""The cells of a large image: a label image on the disk, read in parts, and corrected region by region.

A region's cells are noted in a file beside it first, with those that were there before; a note that was not
carried out, after a crash, is carried out when the cells are read next. So a region is written whole or not
at all. Notes that were carried out are kept, and taken back one by one, the last one first.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.base import InputError, Labels
from napari_unet.core.image import PlaneGrid, within
from napari_unet.core.review import frame, insert_cells
from napari_unet.io import (
    ENDING,
    Place,
    atomic,
    count_cells,
    is_zarr,
    open_levels,
    read_multiscale,
    read_pixels,
    refill_levels,
)
from napari_unet.store.region import Region

logger = logging.getLogger("napari_unet")

_NOTE = "cells-pending.npz"


class DiskCells:
    """The cells of the image `name` with planes `grid`, in its `folder` of the project, where they may be."""

    def __init__(self, folder: Path, name: str, grid: PlaneGrid) -> None:
        self.folder, self.grid = folder, grid
        known = sorted(path for path in folder.glob(f"*{ENDING}") if is_zarr(path))
        stem = re.sub(r"[^\w.-]+", "-", name).strip(".-") or "cells"
        self.path = known[0] if known else folder / f"{stem}{ENDING}"

    @property
    def exist(self) -> bool:
        """Whether there are any, of the image as it is taken now."""
        try:
            return (
                is_zarr(self.path) and read_multiscale(self.path).open_level(0).shape == self.grid.label_shape
            )
        except InputError as error:
            logger.warning("the cells in %s are left out: %s", self.path, error)
            return False

    @property
    def steps(self) -> list[Path]:
        """The notes of what can be taken back, the last one last."""
        return sorted(note for note in self.folder.glob("cells-*.npz") if note.name != _NOTE)

    def list_places(self) -> list[Place]:
        """Return where cells were put, the last one last."""
        places = []
        for note in self.steps:
            with np.load(note) as noted:
                places.append(_as_slices(noted["place"]))
        return places

    def open_levels(self) -> list[Any]:
        """Return lazy arrays of the cells, the finest first."""
        self._carry_out()
        multiscale = read_multiscale(self.path)
        return [read_pixels(multiscale, level) for level in range(len(multiscale.levels))]

    def read(self, region: Region) -> Labels:
        """Return the cells of a region as int32 labels with all axes."""
        return region.cut(self.open_levels()[0], self.grid.label_axes).astype(np.int32)

    def write(self, region: Region, cells: Labels, highest: int | None = None) -> int:
        """Put a region's cells in place of those that are there; return the highest id that there is then.

        `cells` has all axes; `highest` is the id to number new cells from, looked for if None. What ids they
        get is said at `core.region.insert_cells`. Raises InputError where nothing can be written.
        """
        with self._writing():
            self._carry_out()
            finest = open_levels(self.path)[0]
            height, width = self.grid.label_shape[-2:]
            window = frame(region.box, (height, width))
            around = region.model_copy(update={"box": window}).cut(finest, self.grid.label_axes)
            around = around.reshape(around.shape[-2:])
            last = count_cells(finest) if highest is None else highest
            flat = cells.reshape(region.shape)
            after, last = insert_cells(around, flat, region.box, window, last)
            before = around[within(region.box, window)]
            place = np.array([*((at, at + 1) for at in region.plane), *region.box])
            self._note(place, before, after)
        return last

    def take_back(self) -> Place:
        """Put back what was there before the last `write`, and return the place: a slice for each axis.

        Raises InputError where there is nothing to take back, and where nothing can be written.
        """
        with self._writing():
            self._carry_out()
            if not self.steps:
                raise InputError(f"There is nothing to take back in {self.path.name}: it is as segmented.")
            last = self.steps[-1]
            with np.load(last) as noted:
                spans, before, after = (noted[name] for name in ("place", "before", "after"))
            place = _as_slices(spans)
            if not np.array_equal(np.asarray(open_levels(self.path)[0][place]).reshape(after.shape), after):
                raise InputError(
                    f"The cells in {self.path.name} were changed by other means: put the region into them "
                    "again, or segment the whole image."
                )
            self._note(spans, before=after, after=before, taken_back=last.name)
            return place

    def forget_steps(self) -> None:
        """Delete all notes: they were about cells that are there no longer."""
        with self._writing():
            for note in (*self.steps, self.folder / _NOTE):
                note.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Delete what a run that was killed has left."""
        for left in self.folder.glob(f".{self.path.name}.*{atomic.TEMPORARY}"):
            shutil.rmtree(left, ignore_errors=True)

    def _note(self, place: NDArray[Any], before: Labels, after: Labels, taken_back: str = "") -> None:
        """Note what is to be written, and which note is taken back by that, and write it."""
        buffer = io.BytesIO()
        taken = np.array(taken_back)
        np.savez_compressed(buffer, place=place, before=before, after=after, taken_back=taken)
        atomic.write_file(self.folder / _NOTE, buffer.getvalue())
        self._carry_out()

    def _carry_out(self) -> None:
        """Write what is noted, if anything is, and keep the note under the time of day.

        A note that takes another one back goes with that instead.
        """
        note = self.folder / _NOTE
        if not note.exists():
            return
        with np.load(note) as noted:
            place, after = _as_slices(noted["place"]), noted["after"]
            taken_back = Path(str(noted["taken_back"])).name if "taken_back" in noted else ""
        levels = open_levels(self.path)
        levels[0][place] = after.reshape([span.stop - span.start for span in place])
        refill_levels(levels, self.grid.label_axes, place)
        if taken_back:
            (self.folder / taken_back).unlink(missing_ok=True)
            note.unlink()
        else:
            atomic.replace(note, self.folder / f"cells-{datetime.now():%Y%m%d-%H%M%S-%f}.npz")

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(
                f"The cells could not be written to {self.path} ({error.strerror or error}): make room on "
                "the drive, or check it."
            ) from error


def _as_slices(spans: NDArray[np.int64]) -> Place:
    return tuple(slice(int(start), int(stop)) for start, stop in spans)
