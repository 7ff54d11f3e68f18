from .fine_tune import CorrectedPlane, FineTuneResult, fine_tune_planes
from .from_scratch import train
from .rehearsal import measure_known, prepare
from .timing import estimate_step

__all__ = [
    "CorrectedPlane",
    "FineTuneResult",
    "estimate_step",
    "fine_tune_planes",
    "measure_known",
    "prepare",
    "train",
]
