from .batch import TABLE, Order, collect_notes, find_labels, name_files, plan_batch, run_batch
from .batch_task import Outcome
from .choose_model import Choice, list_candidates, pick_model
from .cluster import MISSING, is_installed, open_cluster
from .doctor import examine
from .fine_tuning import fine_tune
from .lazy_plane import read_window
from .region_jobs import Outline
from .segmentation import segment
from .table import JOBS
from .train import train_from_folders

__all__ = [
    "JOBS",
    "MISSING",
    "TABLE",
    "Choice",
    "Order",
    "Outcome",
    "Outline",
    "collect_notes",
    "examine",
    "find_labels",
    "fine_tune",
    "is_installed",
    "list_candidates",
    "name_files",
    "open_cluster",
    "pick_model",
    "plan_batch",
    "read_window",
    "run_batch",
    "segment",
    "train_from_folders",
]
