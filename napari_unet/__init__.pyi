from .core.base.card import ModelCard
from .core.base.errors import DoubtfulError, InputError
from .core.base.params import AugmentParams, FineTuneParams, InstanceParams, NetworkParams
from .core.base.progress import Cancelled, Progress
from .core.cells.metrics import Scores, evaluate
from .core.learning.holdout import Verdict
from .io.labels import LabelFile, read_labels
from .jobs.fine_tune import fine_tune
from .jobs.segment import segment
from .models.exchange import export_package, import_package
from .models.registry import list_models, load_model
from .nn.learn.fine_tune import FineTuneResult
from .nn.model import Model, Prediction
from .nn.unet import build_unet

__all__ = [
    "AugmentParams",
    "Cancelled",
    "DoubtfulError",
    "FineTuneParams",
    "FineTuneResult",
    "InputError",
    "InstanceParams",
    "LabelFile",
    "Model",
    "ModelCard",
    "NetworkParams",
    "Prediction",
    "Progress",
    "Scores",
    "Verdict",
    "build_unet",
    "evaluate",
    "export_package",
    "fine_tune",
    "import_package",
    "list_models",
    "load_model",
    "read_labels",
    "segment",
]

__version__: str
