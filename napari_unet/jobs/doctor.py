"""A check-up: does everything that the program needs work on this machine, and how fast is it?"""

from __future__ import annotations

import os
import platform
import sys
from time import perf_counter
from typing import Any

import numpy as np

from napari_unet.jobs.train import software_versions
from napari_unet.models import DEFAULT_MODEL, find_models, load_model, models_folder

_SIDE = 512


def examine() -> dict[str, Any]:
    """Return what was found, with a list of ``problems`` (sentences; empty if all is well)."""
    from napari_unet.nn import backend_name, fast_policy, has_gpu

    problems: list[str] = []
    result: dict[str, Any] = {
        "python": sys.version.split()[0],
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "versions": software_versions(),
        "backend": backend_name(),
        "gpu": has_gpu(),
        "precision": fast_policy(),
        "models": [entry.card.name for entry in find_models()],
        "models_folder": str(models_folder()),
    }
    try:
        result["megapixels_per_second"] = round(_measure_speed(), 2)
    except Exception as error:
        problems.append(f"The model '{DEFAULT_MODEL}' does not run: {error}")
    return {**result, "problems": problems}


def _measure_speed() -> float:
    model = load_model(DEFAULT_MODEL)
    plane = np.zeros((_SIDE, _SIDE, model.card.network.channels), np.float32)
    model.predict_maps(plane)
    start = perf_counter()
    model.predict_maps(plane)
    return _SIDE**2 / 1e6 / (perf_counter() - start)
