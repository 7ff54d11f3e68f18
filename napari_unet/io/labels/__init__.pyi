from .folders import Matched, match_by_stem
from .pixels import fit_labels
from .read import LABEL_ENDINGS, read_labels, read_labels_of
from .target import LabelFile, Target

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
