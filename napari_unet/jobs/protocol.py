"""What the window and the worker tell each other: a class for each request, which names what comes back.

Channels count from 0, pixel sizes are in µm. Arrays travel in shared memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.base import PlaneBox, SegmentParams
from napari_unet.core.cells import Scores
from napari_unet.core.learning import Verdict
from napari_unet.core.review import Doubts
from napari_unet.jobs.choose_model import Choice
from napari_unet.worker import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentResult:
    """Labels, int32, of the image's spatial and time axes, and what there is to be said of them.

    ``scales`` are those at which the network saw the planes, in their order; ``doubts`` is None where nobody
    asked for them; ``notes`` are sentences for the user.
    """

    labels: NDArray[np.int32]
    seconds: float
    scales: tuple[float, ...] = ()
    doubts: Doubts | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRequest(Request[SegmentResult]):
    """Segment an image of ``params.axes``."""

    image: NDArray[Any]
    params: SegmentParams


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewResult(SegmentResult):
    """Labels (y, x) of ``window`` (rows, columns), which contains the box that was asked for."""

    window: PlaneBox


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewRequest(Request[ViewResult]):
    """Segment what reaches into ``box`` (rows, columns) of one plane.

    The image is all of that plane; ``scale`` is the one at which it was seen before, if it was.
    """

    image: NDArray[Any]
    params: SegmentParams
    box: PlaneBox
    scale: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeResult:
    """How many cells a large image has now, and sentences for the user."""

    cells: int
    seconds: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeRequest(Request[LargeResult]):
    """Segment an image that may be bigger than memory, lazy then, into the OME-Zarr labels ``output``."""

    image: Any
    params: SegmentParams
    output: Path


@dataclass(frozen=True, slots=True)
class Outline:
    """An image without its pixels."""

    shape: tuple[int, ...]
    dtype: str
    chunksize: tuple[int, ...]

    @classmethod
    def of(cls, image: Any) -> Outline:
        """Return the outline of anything with a shape, a dtype and perhaps chunks."""
        chunks = getattr(image, "chunksize", None) or getattr(image, "chunks", None) or ()
        return cls(tuple(image.shape), str(image.dtype), tuple(chunks))


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateRequest(Request[str]):
    """Say in half a sentence what a `LargeRequest` for an image like this would need."""

    image: Outline
    params: SegmentParams


@dataclass(frozen=True, slots=True, kw_only=True)
class ChooseRequest(Request[Choice]):
    """Say which of some model files fits an image best."""

    image: NDArray[Any]
    params: SegmentParams
    models: tuple[Path, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """A corrected plane, of ``axes``, with its ``labels``, int32, and the ``reviewed`` pixels, bool, (Y, X).

    ``hash`` is that of the image, ``name`` is for messages, ``seen_at`` the scale at which the model saw it.
    """

    image: NDArray[Any]
    axes: str
    labels: NDArray[np.int32]
    reviewed: NDArray[np.bool_]
    hash: str
    name: str = ""
    pixel_size: float | None = None
    seen_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuned:
    """A new model, in the file ``output``, and how it does beside the old one.

    ``before`` and ``after`` are scores on held-out corrections, None where there were none; ``share`` is the
    share of what it learnt that was kept; ``step_seconds`` and ``learning_seconds`` are None if unknown.
    """

    output: Path
    verdict: Verdict
    before: Scores | None
    after: Scores | None
    seconds: float
    share: float = 1.0
    history: tuple[dict[str, float], ...] = ()
    cpu_seconds: float = 0.0
    step_seconds: float | None = None
    learning_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Doubted:
    """Nothing was learnt, since the labels do not seem to belong to the images: ``reason`` is a sentence."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuneRequest(Request[FineTuned | Doubted]):
    """Fine-tune a model on corrections and write it to ``output``; see `jobs.fine_tune.fine_tune`.

    ``pressed`` is the time, in seconds since 1970, at which the user began to wait.
    """

    model: Path
    output: Path
    corrections: tuple[Correction, ...]
    seconds: float | None = None
    steps: int | None = None
    seed: int = 0
    pressed: float | None = None
    anyway: bool = False
    next_planes: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """AP at IoU 0.5 of the old and the new model on scenes that the old one knows; None if it knows none."""

    before: float | None = None
    after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamineRequest(Request[Known]):
    """Find out what a fine-tuned model has forgotten of what its parent knows; its card is told."""

    parent: Path
    child: Path


@dataclass(frozen=True, slots=True)
class PrepareRequest(Request[None]):
    """Do what a fine-tuning of a model begins with."""

    model: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Warmth:
    """What the network computes with, and how many seconds a training step takes."""

    backend: str
    bfloat16: bool
    step_seconds: float | None


@dataclass(frozen=True, slots=True)
class WarmUpRequest(Request[Warmth]):
    """Load a model and let it look at something."""

    model: Path


@dataclass(frozen=True, slots=True)
class VerifyRequest(Request[str]):
    """Check a model file and return its SHA-256."""

    file: Path
