from . import atomic, files, zarr_write
from .atomic import TEMPORARY, write_file
from .calibration import MICROMETRES, Calibration
from .failures import reading
from .files import (
    FILE_ENDINGS,
    PHOTO_ENDINGS,
    TIFF_ENDINGS,
    ImageFile,
    check_place,
    list_images,
    read_calibration,
    read_image,
    read_labels,
    sample_path,
    stem_of,
    write_labels,
)
from .hashing import hash_image, hash_samples
from .layers import LayerData, measure_layer, read_layers, read_result
from .lazy import is_large
from .lock import FolderLock, HeldError
from .shapes import Polygons, Shape, trace_shapes
from .zarr_read import ENDING, LABELS, is_zarr, list_labels, read_multiscale, read_pixels
from .zarr_write import (
    BLOCK,
    OnPart,
    Place,
    add_labels,
    count_cells,
    fill_label_image,
    open_levels,
    refill_levels,
)

__all__ = [
    "BLOCK",
    "ENDING",
    "FILE_ENDINGS",
    "LABELS",
    "MICROMETRES",
    "PHOTO_ENDINGS",
    "TEMPORARY",
    "TIFF_ENDINGS",
    "Calibration",
    "FolderLock",
    "HeldError",
    "ImageFile",
    "LayerData",
    "OnPart",
    "Place",
    "Polygons",
    "Shape",
    "add_labels",
    "atomic",
    "check_place",
    "count_cells",
    "files",
    "fill_label_image",
    "hash_image",
    "hash_samples",
    "is_large",
    "is_zarr",
    "list_images",
    "list_labels",
    "measure_layer",
    "open_levels",
    "read_calibration",
    "read_image",
    "read_labels",
    "read_layers",
    "read_multiscale",
    "read_pixels",
    "read_result",
    "reading",
    "refill_levels",
    "sample_path",
    "stem_of",
    "trace_shapes",
    "write_file",
    "write_labels",
    "zarr_write",
]
