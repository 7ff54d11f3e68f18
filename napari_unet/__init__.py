"""Segment, correct and fine-tune microscopy images with a U-Net, inside napari or without a window."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_unet.core.cells.metrics import evaluate
    from napari_unet.io.labels import read_labels
    from napari_unet.jobs.fine_tune import fine_tune
    from napari_unet.jobs.segment import segment
    from napari_unet.models.exchange import export_package, import_package
    from napari_unet.models.registry import list_models, load_model
    from napari_unet.nn.unet import build_unet

__all__ = [
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
__version__ = version("napari-unet")

_HOMES = {
    "build_unet": "napari_unet.nn.unet",
    "evaluate": "napari_unet.core.cells.metrics",
    "export_package": "napari_unet.models.exchange",
    "fine_tune": "napari_unet.jobs.fine_tune",
    "import_package": "napari_unet.models.exchange",
    "list_models": "napari_unet.models.registry",
    "load_model": "napari_unet.models.registry",
    "read_labels": "napari_unet.io.labels",
    "segment": "napari_unet.jobs.segment",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that importing the package stays quick."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
