from .core.base import (
    AugmentParams,
    Cancelled,
    DoubtfulError,
    FineTuneParams,
    InputError,
    InstanceParams,
    ModelCard,
    NetworkParams,
    Progress,
)
from .core.cells import Scores, evaluate
from .core.learning import Verdict
from .io.labels import LabelFile, read_labels
from .jobs import fine_tune, segment
from .models import export_package, import_package, list_models, load_model
from .nn import Model, Prediction, build_unet
from .nn.learn import FineTuneResult

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
