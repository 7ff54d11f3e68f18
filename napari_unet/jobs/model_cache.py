"""What jobs begin with: the model, loaded once, the channels that it looks at, and how they are stopped."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from napari_unet.core.base import Cancelled, InputError, IsCancelled, Progress, Report
from napari_unet.core.image import Channels, PlaneGrid
from napari_unet.models import find_model

if TYPE_CHECKING:
    from napari_unet.nn import Model


def resolve_model(model: Model | str | Path, views: int | None = None) -> Model:
    """Return a model by its name or file, or as it is; InputError where there is none.

    With ``views`` it averages so many rotated and mirrored predictions per tile.
    """
    if not isinstance(model, str | Path):
        return model if views is None or views == model.views else model.with_views(views)
    path = find_model(model)
    return _load(path, path.stat().st_mtime_ns, views or 1)


@lru_cache(maxsize=8)
def _load(path: Path, modified: int, views: int) -> Model:
    """Load a model that averages so many views; a file that was ``modified`` is loaded anew."""
    from napari_unet.nn import load_model_file

    return load_model_file(path) if views == 1 else _load(path, modified, 1).with_views(views)


def check_channels(grid: PlaneGrid, channel: Channels, model: Model) -> Channels:
    """Return the channels to use: the user's, or the first where the model takes one and C has several."""
    wanted = model.card.network.channels
    if channel is None and "C" in grid.axes and grid.channels != wanted:
        channel = 0
    if wanted != 1 and (channel is not None or grid.channels != wanted):
        raise InputError(
            f"The model {model.card.name} takes {wanted} channels, but the image has {grid.channels}: "
            "choose another model."
        )
    return channel


def obey(report: Report, cancelled: IsCancelled) -> Report:
    """Return a report that ends the work where it was cancelled."""

    def check_and_report(progress: Progress) -> None:
        if cancelled():
            raise Cancelled
        report(progress)

    return check_and_report
