from .axes import Channels, Place, PlaneGrid, default_axes, iterate_planes, parse_channels, plan_planes
from .blocks import Components, Reader, Shape, grow_box, plan_blocks, read_boxes, within
from .footprint import Footprint, estimate_footprint
from .normalisation import check_pixels, normalise, rescale, to_grey
from .resample import resampled
from .sample import choose_window, list_windows, measure_detail
from .scale import (
    Range,
    fits_range,
    measure_confidence,
    measure_diameters,
    measure_object_size,
    measure_size_range,
)
from .survey import WINDOW, RawReader, Survey, survey_plane
from .tiling import (
    Tile,
    TilePlan,
    clip_tile,
    count_read,
    halve_tile,
    mirror,
    move_tile,
    plan_tiles,
    read_tile,
    stitch,
)

__all__ = [
    "WINDOW",
    "Channels",
    "Components",
    "Footprint",
    "Place",
    "PlaneGrid",
    "Range",
    "RawReader",
    "Reader",
    "Shape",
    "Survey",
    "Tile",
    "TilePlan",
    "check_pixels",
    "choose_window",
    "clip_tile",
    "count_read",
    "default_axes",
    "estimate_footprint",
    "fits_range",
    "grow_box",
    "halve_tile",
    "iterate_planes",
    "list_windows",
    "measure_confidence",
    "measure_detail",
    "measure_diameters",
    "measure_object_size",
    "measure_size_range",
    "mirror",
    "move_tile",
    "normalise",
    "parse_channels",
    "plan_blocks",
    "plan_planes",
    "plan_tiles",
    "read_boxes",
    "read_tile",
    "resampled",
    "rescale",
    "stitch",
    "survey_plane",
    "to_grey",
    "within",
]
