from .core.base.card import CellKind, ModelCard
from .core.base.errors import InputError
from .core.base.params import InstanceParams, NetworkParams
from .core.base.progress import Cancelled, Progress
from .core.cells.metrics import Scores
from .jobs.segment import evaluate, fine_tune, segment
from .models.registry import list_models, load_model
from .nn.learn.fine_tune import FineTuneResult
from .nn.model import Model, Prediction
from .nn.unet import build_unet

__all__ = [
    "Cancelled",
    "CellKind",
    "FineTuneResult",
    "InputError",
    "InstanceParams",
    "Model",
    "ModelCard",
    "NetworkParams",
    "Prediction",
    "Progress",
    "Scores",
    "build_unet",
    "evaluate",
    "fine_tune",
    "list_models",
    "load_model",
    "segment",
]

__version__: str
