"""From a plane to its cells: a whole plane, what is seen of one, and one that no memory holds.

Limits of brightness and scale are the plane's, whatever part of it is asked for, and each part is seen with
all the context that the network can use: so all three have the same cells.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack, overload

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.base import Float32, InputError, PlaneBox, Progress, Report, Span, slices
from napari_unet.core.cells import BlockPlane, label_blocks, needed_maps, smallest_area
from napari_unet.core.image import (
    WINDOW,
    RawReader,
    Reader,
    Shape,
    Survey,
    grow_box,
    resampled,
    rescale,
    survey_plane,
)
from napari_unet.jobs.lazy_plane import PlaneSlot

if TYPE_CHECKING:
    from napari_unet.nn import Model

Tell = Callable[[float, str], object]
"""Is told which part of a plane is done, 0 to 1, and what is being done."""

_MARGIN = 2.0  # typical cells: how far one that is in the box may reach beyond it
_TYPICAL = 32.0  # px, where a model does not say how large a typical cell is
_IN_MEMORY = 4 * WINDOW**2  # px: planes that are no larger are segmented there
_PREDICTING = 0.85  # share of the time, where maps go to the disk
_SMALLEST_BLOCK = 256

logger = logging.getLogger("napari_unet")


@dataclass(frozen=True, slots=True)
class OnDisk:
    """Where the cells of a plane go, int32 ``labels`` (Y, X), and its maps if it is too large for memory.

    Those lie in ``folder``. ``block`` is the side in px of what is labelled at a time then; it changes the
    memory that is needed, and not the cells.
    """

    folder: Path
    labels: PlaneSlot
    block: int


@dataclass(frozen=True, slots=True)
class PlaneSeen:
    """The ``scale`` at which a plane was seen, and a sentence if its cells do not bear out its pixel size."""

    scale: float
    question: str


@dataclass(frozen=True, slots=True)
class PlaneCells(PlaneSeen):
    """Labels int32 (y, x) and output maps float32 (y, x, maps) in [0, 1] of a plane's ``window``."""

    labels: NDArray[np.int32]
    maps: Float32
    window: PlaneBox


class _Options(TypedDict, total=False):
    pixel_size: float | None
    scale: float | None
    may_be_blank: bool
    tell: Tell


@overload
def segment_plane(
    model: Model, read: RawReader, shape: Shape, *, disk: OnDisk, **options: Unpack[_Options]
) -> PlaneSeen: ...


@overload
def segment_plane(
    model: Model, read: RawReader, shape: Shape, box: PlaneBox | None = None, **options: Unpack[_Options]
) -> PlaneCells: ...


def segment_plane(
    model: Model,
    read: RawReader,
    shape: Shape,
    box: PlaneBox | None = None,
    *,
    disk: OnDisk | None = None,
    pixel_size: float | None = None,
    scale: float | None = None,
    may_be_blank: bool = True,
    tell: Tell = lambda part, what: None,
) -> PlaneSeen:
    """Find the cells of a plane of ``shape`` (Y, X), whose pixels (y, x, C) ``read`` gives by boxes.

    With a ``box`` (rows, columns) all that reach into it are found; the result's window is a margin wider.
    The network sees the plane at ``scale``. If that is None, ``pixel_size`` (µm) tells it, or else it is
    sought: in the box and what lies around it, or in the parts of most contrast where the maps go to the
    ``disk``. Then nothing as large as the plane is held in memory.

    InputError for pixels that are not finite, for a constant plane unless it ``may_be_blank``, and where the
    memory does not suffice; what ``tell`` raises ends the work.
    """
    survey = survey_plane(read, shape, _count(tell, "reading, part", 0.0, 0.0))
    if not may_be_blank and all(low == high for low, high in survey.limits):
        raise InputError("The image is constant: there is nothing to segment.")

    def read_normalised(part: PlaneBox) -> Float32:
        return rescale(read(part), survey.limits)

    everything: PlaneBox = ((0, shape[0]), (0, shape[1]))
    in_memory = disk is None or math.prod(shape) <= _IN_MEMORY
    box = box or everything
    if scale is None:
        tell(0.0, "looking for the scale")
        around = _widen(box[0], shape[0]), _widen(box[1], shape[1])
        sample = read_normalised(around) if in_memory else _join_sample(read_normalised, survey)
        scale = model.find_scale(sample, pixel_size)
    if disk is not None and not in_memory:
        read_maps = _predict_to_disk(model, read_normalised, shape, scale, disk, tell)
        _label_on_disk(model, read_maps, shape, scale, disk, tell)
        if model.card.believes(pixel_size):
            return PlaneSeen(scale, "")
        drawn = model.predict(_join_sample(read_normalised, survey), scale=scale)
        return PlaneSeen(scale, model.question_pixels(drawn, pixel_size))
    window = grow_box(box, math.ceil(_MARGIN * (model.card.object_size or _TYPICAL) / scale), shape)
    reader = model.read_maps(read_normalised, shape, scale, _count(tell, "tile"))
    found = model.draw(reader(window), scale)
    if disk is not None:
        disk.labels[slices(everything)] = found.labels
    return PlaneCells(scale, model.question_pixels(found, pixel_size), found.labels, found.maps, window)


def tell_of_plane(report: Report, number: int, count: int) -> Tell:
    """Return what reports the progress of plane ``number``, from 0, of ``count`` planes."""
    where = f"plane {number + 1} of {count}, " if count > 1 else ""
    return lambda part, what: report(Progress((number + part) / count, f"Segmenting: {where}{what}"))


def _widen(span: Span, size: int) -> Span:
    """Return a span of at least `WINDOW` px around another one, as far as the axis goes."""
    start = max(min(span[0], (sum(span) - WINDOW) // 2, size - WINDOW), 0)
    return start, min(max(span[1], start + WINDOW), size)


def _join_sample(read: Reader, survey: Survey) -> Float32:
    """Return the windows (y, x, C) of a plane that stand for all of it, side by side."""
    rows = [[read(box) for box in row] for row in survey.choose_sample()]
    height, width = (min(part.shape[axis] for row in rows for part in row) for axis in (0, 1))
    return np.concatenate([np.concatenate([part[:height, :width] for part in row], 1) for row in rows])


def _predict_to_disk(
    model: Model, read: Reader, shape: Shape, scale: float, disk: OnDisk, tell: Tell
) -> Reader:
    """Predict the maps that cells are made of, onto the disk, and return a reader of them."""
    seen, outputs = model.shape_seen(shape, scale), model.card.outputs
    wanted = [outputs.index(name) for name in needed_maps(outputs)]
    plan = model.plan_tiles(seen)
    height, width = (side - sum(plan.halo) for side in plan.tile_shape)
    kept = _create(disk, "maps", (*seen, len(wanted)), np.float32, (height, width, len(wanted)))
    tiles = model.predict_tiles(resampled(read, shape, seen), seen, _count(tell, "tile", 0.0, _PREDICTING))
    for tile, values in tiles:
        kept[slices(tile.keep)] = values[..., wanted]
    return resampled(lambda box: np.asarray(kept[slices(box)]), seen, shape)


def _label_on_disk(
    model: Model, read_maps: Reader, shape: Shape, scale: float, disk: OnDisk, tell: Tell
) -> None:
    card = model.card
    outputs = needed_maps(card.outputs)
    scratch = _create(disk, "scratch", shape, np.int32, (1024, 1024))
    depth = None if "distance" in outputs else _create(disk, "depth", shape, np.float64, (1024, 1024))
    smallest = smallest_area(card.instances, card.object_size / scale if card.object_size else None)
    for block in _halvings(disk.block):
        plane = BlockPlane(
            shape=shape,
            read=read_maps,
            outputs=outputs,
            params=card.instances,
            scratch=scratch,
            depth=depth,
            block=block,
            on_block=_count(tell, "block", _PREDICTING, 1.0),
        )
        try:
            label_blocks(plane, disk.labels, smallest)
        except MemoryError:
            logger.warning("The memory does not suffice for blocks of %d px.", block, exc_info=True)
        else:
            return
    raise InputError("There is not enough memory to label the cells: close other programs.")


def _create(disk: OnDisk, name: str, shape: tuple[int, ...], dtype: Any, chunks: tuple[int, ...]) -> Any:
    import zarr

    return zarr.create_array(
        disk.folder / name,
        shape=shape,
        dtype=dtype,
        chunks=tuple(min(pair) for pair in zip(chunks, shape, strict=True)),
        compressors=None,
        fill_value=0,
    )


def _halvings(block: int) -> Iterator[int]:
    yield block
    while block // 2 >= _SMALLEST_BLOCK:
        block //= 2
        yield block


def _count(tell: Tell, what: str, start: float = 0.0, stop: float = 1.0) -> Callable[[int, int], None]:
    """Return what counts the pieces of work that takes this span of the plane's time."""

    def count(done: int, total: int) -> None:
        tell(start + (stop - start) * done / total, f"{what} {done} of {total}")

    return count
