"""What the worker process can do: ``JOBS`` has the function for each class of requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from napari_unet.core.base import IsCancelled, Report
from napari_unet.core.image import plan_planes
from napari_unet.jobs.choose_model import Choice, choose_model
from napari_unet.jobs.fine_tuning import examine_job, fine_tune_job, prepare_job
from napari_unet.jobs.large import estimate_job, segment_large_job
from napari_unet.jobs.model_cache import obey, resolve_model
from napari_unet.jobs.protocol import (
    ChooseRequest,
    EstimateRequest,
    ExamineRequest,
    FineTuneRequest,
    LargeRequest,
    PrepareRequest,
    SegmentRequest,
    VerifyRequest,
    ViewRequest,
    Warmth,
    WarmUpRequest,
)
from napari_unet.jobs.segmentation import segment_job, segment_view_job
from napari_unet.models import verify_model
from napari_unet.worker import Request


def _warm_up_job(request: WarmUpRequest, _report: Report, _cancelled: IsCancelled) -> Warmth:
    from napari_unet.nn import backend_name, fast_policy
    from napari_unet.nn.learn import estimate_step

    model = resolve_model(request.model)
    model.predict_maps(np.zeros((32, 32, model.card.network.channels), np.float32))
    return Warmth(
        backend=backend_name(),
        bfloat16=fast_policy() == "mixed_bfloat16",
        step_seconds=estimate_step(model),
    )


def _verify_job(request: VerifyRequest, _report: Report, _cancelled: IsCancelled) -> str:
    return verify_model(request.file)


def _choose_job(request: ChooseRequest, report: Report, cancelled: IsCancelled) -> Choice:
    params = request.params
    return choose_model(
        request.image,
        plan_planes(request.image.shape, params.axes),
        request.models,
        channel=params.channel,
        pixel_size=params.pixel_size,
        report=obey(report, cancelled),
    )


JOBS: dict[type[Request[Any]], Callable[[Any, Report, IsCancelled], object]] = {
    WarmUpRequest: _warm_up_job,
    SegmentRequest: segment_job,
    ViewRequest: segment_view_job,
    LargeRequest: segment_large_job,
    EstimateRequest: estimate_job,
    ChooseRequest: _choose_job,
    PrepareRequest: prepare_job,
    FineTuneRequest: fine_tune_job,
    ExamineRequest: examine_job,
    VerifyRequest: _verify_job,
}
