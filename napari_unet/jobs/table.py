"""What the worker process can do, by name: ``JOBS`` is its vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from napari_unet.core.base import IsCancelled, Report
from napari_unet.core.image import PlaneGrid
from napari_unet.jobs.choose_model import Choice, choose_model
from napari_unet.jobs.fine_tuning import examine_job, fine_tune_job, prepare_job
from napari_unet.jobs.model_cache import obey, resolve_model
from napari_unet.jobs.region_jobs import estimate_job, segment_large_job, segment_view_job
from napari_unet.jobs.segmentation import segment_job
from napari_unet.models import verify_model

Request = dict[str, Any]


def _warm_up_job(request: Request, _report: Report, _cancelled: IsCancelled) -> dict[str, Any]:
    from napari_unet.nn import backend_name, fast_policy
    from napari_unet.nn.learn import estimate_step

    model = resolve_model(request["model"])
    model.predict_maps(np.zeros((32, 32, model.card.network.channels), np.float32))
    return {
        "backend": backend_name(),
        "bfloat16": fast_policy() == "mixed_bfloat16",
        "step_seconds": estimate_step(model),
    }


def _verify_job(request: Request, _report: Report, _cancelled: IsCancelled) -> dict[str, Any]:
    return {"sha256": verify_model(Path(request["model"]))}


def _choose_job(request: Request, report: Report, cancelled: IsCancelled) -> Choice:
    image = request["image"]
    return choose_model(
        image,
        PlaneGrid(request["axes"], image.shape),
        request["models"],
        channel=request["channel"],
        pixel_size=request["pixel_size"],
        report=obey(report, cancelled),
    )


JOBS: dict[str, Callable[[Request, Report, IsCancelled], Any]] = {
    "warm_up": _warm_up_job,
    "segment": segment_job,
    "fine_tune": fine_tune_job,
    "choose": _choose_job,
    "prepare": prepare_job,
    "examine": examine_job,
    "verify": _verify_job,
    "segment_view": segment_view_job,
    "segment_large": segment_large_job,
    "estimate": estimate_job,
}
