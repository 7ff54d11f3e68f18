"""Labels that other programs made, in their formats, for an image of ours."""

from napari_unet.io.labels.folders import Matched, match_by_stem
from napari_unet.io.labels.pixels import fit_labels
from napari_unet.io.labels.read import LABEL_ENDINGS, read_labels, read_labels_of
from napari_unet.io.labels.target import LabelFile, Target

__all__ = [
    "LABEL_ENDINGS",
    "LabelFile",
    "Matched",
    "Target",
    "fit_labels",
    "match_by_stem",
    "read_labels",
    "read_labels_of",
]
