"""Images bigger than memory: planes are read, segmented and written in parts, from the disk to the disk.

The network's maps lie in a temporary folder beside the result. What is decided for a plane as a whole - its
limits of brightness, its scale - is decided before its first tile.
"""

from __future__ import annotations

import logging
import math
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.core.base.arrays import Float32, PlaneBox, slices
from napari_unet.core.base.errors import InputError
from napari_unet.core.base.params import InstanceParams
from napari_unet.core.base.progress import Progress, Report
from napari_unet.core.cells.blockwise import BlockPlane, label_blocks
from napari_unet.core.cells.instances import needed_maps, smallest_area
from napari_unet.core.cells.link import link_cells
from napari_unet.core.image.axes import Channels, PlaneGrid
from napari_unet.core.image.blocks import Reader, Shape
from napari_unet.core.image.footprint import Footprint, estimate_footprint
from napari_unet.core.image.normalise import normalise, rescale
from napari_unet.core.image.resample import resampled
from napari_unet.core.image.survey import WINDOW, Survey, survey_plane
from napari_unet.io.atomic import TEMPORARY
from napari_unet.io.zarr_read import ENDING
from napari_unet.io.zarr_write import BLOCK, fill_label_image
from napari_unet.jobs.lazy_plane import PlaneSlot, PlaneSource, open_plane, plane_shape

if TYPE_CHECKING:
    from napari_unet.nn.model import Model


_SAMPLE = 4 * WINDOW**2  # px: planes that are no larger are segmented as a whole

_SMALLEST_BLOCK = 256
_PREDICTING = 0.85  # share of the time

logger = logging.getLogger("napari_unet")


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeRun:
    """How an image is segmented in parts; ``block`` is the side in px of what is labelled at a time.

    ``warn`` is given sentences for the user: what the run needs, and what speaks against the pixel size.
    """

    model: Model
    channel: Channels
    pixel_size: float | None
    report: Report
    warn: Callable[[str], object]
    block: int = BLOCK


def segment_to_disk(image: Any, grid: PlaneGrid, output: Path, run: LargeRun) -> Any:
    """Segment anything that has a shape, a dtype and slices into a label image on the disk; return its array.

    Raises InputError for an image that cannot be read, an ``output`` that does not end in .zarr or cannot be
    written, and where there is not room enough; then nothing is left behind.
    """
    if output.suffix != ENDING:
        raise InputError(f"{output.name} cannot be written: choose a name that ends in {ENDING}.")
    if np.dtype(image.dtype).kind not in "buif":
        raise InputError(f"The image has pixels of type {image.dtype}: convert them to numbers first.")
    indices = list(grid.indices())
    footprint = estimate(image, grid, run)
    _check_room(output, footprint)
    needs = f"The image ({grid.describe(run.channel)}) {footprint.describe()}."
    run.report(Progress(0.0, needs))
    run.warn(needs)
    with (
        fill_label_image(output, grid.label_shape, grid.label_axes, pixel_size=run.pixel_size) as labels,
        tempfile.TemporaryDirectory(
            prefix=f".{output.name}.", suffix=TEMPORARY, dir=output.parent, ignore_cleanup_errors=True
        ) as folder,
    ):
        for number, index in enumerate(indices):
            plane = _PlaneRun(run, Path(folder, str(number)), number, len(indices))
            plane.segment(open_plane(image, grid, index, run.channel), PlaneSlot(labels, grid.select(index)))
            shutil.rmtree(plane.folder, ignore_errors=True)
        if len(indices) > 1:
            run.report(Progress(1.0, "Linking the cells of all planes"))
            labels[...] = link_cells(np.asarray(labels[...]), grid.label_axes)
    import zarr

    return zarr.open_array(output / "0", mode="r")


def _chunk_bytes(image: Any) -> int:
    """Return the bytes of an image that are read at once, as far as it says."""
    chunk = getattr(image, "chunksize", None) or getattr(image, "chunks", None) or ()
    return math.prod(chunk) * np.dtype(image.dtype).itemsize if chunk else 0


def estimate(image: Any, grid: PlaneGrid, run: LargeRun) -> Footprint:
    """Return what `segment_to_disk` needs for an image, of which only shape, dtype and chunks count."""
    shape = plane_shape(grid)
    card = run.model.card
    seen = run.model.shape_seen(shape, card.image_scale(run.pixel_size))
    wanted = needed_maps(card.outputs)
    return estimate_footprint(
        shape,
        seen,
        card.network,
        len(wanted),
        tile=run.model.plan_tiles(seen).tile_shape,
        block=run.block,
        depth="distance" not in wanted,
        chunk=_chunk_bytes(image),
        planes=len(list(grid.indices())),
    )


def _check_room(output: Path, footprint: Footprint) -> None:
    try:
        free = shutil.disk_usage(output.parent).free
    except OSError as error:
        raise InputError(f"{output.parent} is not there: choose a folder for the labels.") from error
    if free < footprint.disk:
        raise InputError(
            f"The image {footprint.describe()}, but {output.parent} has {free / 1e9:.1f} GB left: make room "
            "or choose another drive."
        )


@dataclass(frozen=True, slots=True)
class _PlaneRun:
    """The work on one plane, number ``number`` of ``count``; ``folder`` is for what exists only meanwhile."""

    run: LargeRun
    folder: Path
    number: int
    count: int

    def segment(self, source: PlaneSource, labels: PlaneSlot) -> None:
        """Write the cells of a plane into ``labels``."""
        model, shape = self.run.model, source.shape
        if shape[0] * shape[1] <= _SAMPLE:
            everything = ((0, shape[0]), (0, shape[1]))
            pixels = source.read(everything)
            prediction = model.predict(
                normalise(pixels), pixel_size=self.run.pixel_size, on_tile=self._tell("tile")
            )
            labels[slices(everything)] = prediction.labels
            return
        survey = survey_plane(source.read, shape, self._tell("window", 0, 0))
        if self.count == 1 and all(low == high for low, high in survey.limits):
            raise InputError("The image is constant: there is nothing to segment.")

        def read(box: PlaneBox) -> Float32:
            return rescale(source.read(box), survey.limits)

        scale, card = self._choose_scale(read, survey), model.card
        smallest = smallest_area(card.instances, card.object_size / scale if card.object_size else None)
        maps = self._predict(model, read, shape, scale)
        self._label(maps, shape, card.instances, smallest, labels)

    def _choose_scale(self, read: Reader, survey: Survey) -> float:
        """Return the scale for the network: pixel sizes tell, or else a sample of the plane."""
        card, pixel_size = self.run.model.card, self.run.pixel_size
        if card.settles_scale(pixel_size):
            return card.image_scale(pixel_size)
        self._say(0.0, "Looking for the scale")
        rows = [[read(box) for box in row] for row in survey.choose_sample()]
        height, width = (min(part.shape[axis] for row in rows for part in row) for axis in (0, 1))
        sample = np.concatenate([np.concatenate([part[:height, :width] for part in row], 1) for row in rows])
        prediction = self.run.model.predict(sample, pixel_size=pixel_size)
        if question := self.run.model.question_pixels(prediction, pixel_size):
            self.run.warn(question)
        return prediction.scale

    def _predict(self, model: Model, read: Reader, shape: Shape, scale: float) -> Reader:
        """Predict the maps that cells are made of, onto the disk, and return a reader of them."""
        seen = model.shape_seen(shape, scale)
        outputs = model.card.outputs
        wanted = [outputs.index(name) for name in needed_maps(outputs)]
        tile, halo = model.plan_tiles(seen).tile_shape, sum(model.plan_tiles(seen).halo)
        chunks = (tile[0] - halo, tile[1] - halo, len(wanted))
        maps = self._create("maps", (*seen, len(wanted)), np.float32, chunks)
        parts = model.predict_tiles(resampled(read, shape, seen), seen, self._tell("tile", 0, _PREDICTING))
        for part, values in parts:
            maps[slices(part.keep)] = values[..., wanted]
        return resampled(lambda box: np.asarray(maps[slices(box)]), seen, shape)

    def _label(
        self, read_maps: Reader, shape: Shape, params: InstanceParams, smallest: float, labels: PlaneSlot
    ) -> None:
        outputs = needed_maps(self.run.model.card.outputs)
        scratch = self._create("scratch", shape, np.int32, (1024, 1024))
        depth = None if "distance" in outputs else self._create("depth", shape, np.float64, (1024, 1024))
        for block in _halvings(self.run.block):
            plane = BlockPlane(
                shape=shape,
                read=read_maps,
                outputs=outputs,
                params=params,
                scratch=scratch,
                depth=depth,
                block=block,
                on_block=self._tell("block", _PREDICTING, 1),
            )
            try:
                label_blocks(plane, labels, smallest)
            except MemoryError:
                logger.warning("The memory does not suffice for blocks of %d px.", block, exc_info=True)
            else:
                return
        raise InputError("There is not enough memory to label the cells: close other programs.")

    def _create(self, name: str, shape: tuple[int, ...], dtype: Any, chunks: tuple[int, ...]) -> Any:
        import zarr

        return zarr.create_array(
            self.folder / name,
            shape=shape,
            dtype=dtype,
            chunks=tuple(min(pair) for pair in zip(chunks, shape, strict=True)),
            compressors=None,
            fill_value=0,
        )

    def _tell(self, what: str, start: float = 0.0, stop: float = 1.0) -> Callable[[int, int], None]:
        """Return what tells how far a part of the work is that takes this span of the plane's time."""

        def tell(done: int, total: int) -> None:
            self._say(start + (stop - start) * done / total, f"{what} {done} of {total}")

        return tell

    def _say(self, part: float, what: str) -> None:
        where = f"plane {self.number + 1} of {self.count}, " if self.count > 1 else ""
        self.run.report(Progress((self.number + part) / self.count, f"Segmenting: {where}{what}"))


def _halvings(block: int) -> Iterator[int]:
    yield block
    while block // 2 >= _SMALLEST_BLOCK:
        block //= 2
        yield block
