from .budget import FEWEST_STEPS, Budget
from .checks import check_corrections, check_rate
from .holdout import FEWEST_CELLS, Verdict, draw_the_same, judge, score_reviewed, split_corrections
from .pieces import cut_pieces
from .sampling import Batch, Sampler, TrainingImage, mix

__all__ = [
    "FEWEST_CELLS",
    "FEWEST_STEPS",
    "Batch",
    "Budget",
    "Sampler",
    "TrainingImage",
    "Verdict",
    "check_corrections",
    "check_rate",
    "cut_pieces",
    "draw_the_same",
    "judge",
    "mix",
    "score_reviewed",
    "split_corrections",
]
