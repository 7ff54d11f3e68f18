from .blockwise import BlockPlane, label_blocks
from .changes import Fate, find_changes
from .fit import LEAST_FIT, measure_agreement, measure_fit
from .ids import match_cells, measure_cells, rename_cells
from .instances import cell_landscape, find_cores, grow_markers, label_instances, needed_maps, smallest_area
from .link import link_cells
from .measurements import Columns, fill_ellipse, measure, measure_brightness, measure_form
from .metrics import Scores, evaluate
from .polygons import Polygon, fill_rings, trace_polygons
from .targets import (
    depth_in_pixels,
    distance,
    number_cells,
    reviewed_weights,
    separation_weights,
    target_maps,
)

__all__ = [
    "LEAST_FIT",
    "BlockPlane",
    "Columns",
    "Fate",
    "Polygon",
    "Scores",
    "cell_landscape",
    "depth_in_pixels",
    "distance",
    "evaluate",
    "fill_ellipse",
    "fill_rings",
    "find_changes",
    "find_cores",
    "grow_markers",
    "label_blocks",
    "label_instances",
    "link_cells",
    "match_cells",
    "measure",
    "measure_agreement",
    "measure_brightness",
    "measure_cells",
    "measure_fit",
    "measure_form",
    "needed_maps",
    "number_cells",
    "rename_cells",
    "reviewed_weights",
    "separation_weights",
    "smallest_area",
    "target_maps",
    "trace_polygons",
]
