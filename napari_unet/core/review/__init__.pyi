from . import edits
from .doubt import Doubts, measure_doubts
from .edits import Change, cells_inside, cells_under, surround
from .grow import grow_at
from .merge import cut_review, find_reaching, frame, insert_cells, merge_labels, merge_view, restore_review
from .queue import Place, Reason, Tour, merge_doubts, rank_places
from .rebasing import rebase
from .review import CRUMB, Patch, Review, ReviewCounts, changed_box, flip, ignore_crumbs, mark, unmark
from .suggestions import Fix, Suggestion, suggest

__all__ = [
    "CRUMB",
    "Change",
    "Doubts",
    "Fix",
    "Patch",
    "Place",
    "Reason",
    "Review",
    "ReviewCounts",
    "Suggestion",
    "Tour",
    "cells_inside",
    "cells_under",
    "changed_box",
    "cut_review",
    "edits",
    "find_reaching",
    "flip",
    "frame",
    "grow_at",
    "ignore_crumbs",
    "insert_cells",
    "mark",
    "measure_doubts",
    "merge_doubts",
    "merge_labels",
    "merge_view",
    "rank_places",
    "rebase",
    "restore_review",
    "suggest",
    "surround",
    "unmark",
]
