"""Jobs for the tests of the window, without a network; imported by the worker's child process.

What a job does depends on the name of the model's file, so that a test picks it in the window.
"""

import hashlib
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from skimage.measure import label

from napari_unet.core.base.errors import InputError
from napari_unet.core.base.progress import Cancelled, Progress
from napari_unet.core.cells.metrics import Scores
from napari_unet.core.learning.holdout import Verdict
from napari_unet.core.review.doubt import Doubts
from napari_unet.core.review.suggestions import Suggestion
from napari_unet.jobs.choose_model import Choice
from napari_unet.jobs.protocol import (
    ChooseRequest,
    Doubted,
    EstimateRequest,
    ExamineRequest,
    FineTuned,
    FineTuneRequest,
    Known,
    LargeRequest,
    LargeResult,
    PrepareRequest,
    SegmentRequest,
    SegmentResult,
    VerifyRequest,
    ViewRequest,
    ViewResult,
    Warmth,
    WarmUpRequest,
)
from napari_unet.worker.job import Request

BLIND = ("blind", "nobody")  # models that find no cells
COUNTS = {"dice": 0.8, "objects": 9, "matched": 6, "false": 1, "split": 0}
SCORES = Scores(ap={"0.50": 0.5, "0.90": 0.1}, mean_iou=0.5, missed=3, merged=2, **COUNTS)
BETTER = Scores(ap={"0.50": 0.9, "0.90": 0.4}, mean_iou=0.8, missed=0, merged=0, **COUNTS)

DOUBTS = Doubts(  # two cells and, between others, a place without one, all in the first plane
    points=np.array([(0, 30, 110), (0, 30, 70), (0, 90, 90)], np.int32),
    faint=np.array([0.5, 0.9, 0], np.float32),
    seam=np.array([1, 0, 0], np.float32),
    missed=np.array([0, 0, 0.5], np.float32),
)


def suggest(labels):
    """Suggest to split the first cell in doubt, to delete the second, and to draw the one that is missing."""
    y, x = np.indices(labels.shape)
    first, second = (labels == labels[tuple(point)] for point in DOUBTS.points[[1, 0], 1:])
    halves = np.where(first, 1 + (x >= 72), 0)
    missing = (np.abs(y - 90) < 6) & (np.abs(x - 90) < 6)
    cells = ((first, halves), (second, 0 * labels), (0 * labels, missing))
    box = ((0, 120), (0, 140))
    return [
        Suggestion(box, *(np.asarray(part[:120, :140], np.int32) for part in pair), chance=0.6)
        for pair in cells
    ]


def misbehave(model, report, cancelled):
    """Do what the model's name says."""
    if model == "deadly" and not os.environ.get("NAPARI_UNET_TEST_HARMLESS"):
        os._exit(3)
    if model == "refusing":
        raise InputError("The image is constant: there is nothing to segment.")
    if model == "failing":
        raise RuntimeError("boom")
    if model == "patient":
        report(Progress(None, "waiting"))
        while not cancelled():
            time.sleep(0.01)
        raise Cancelled


def warm_up(request, report, cancelled):
    return Warmth(backend="none", bfloat16=False, step_seconds=0.5)


def segment(request, report, cancelled):
    return segment_pixels(request.image, request.params, report, cancelled)


def segment_pixels(image, params, report, cancelled):
    model, axes = Path(params.model).stem, params.axes
    misbehave(model, report, cancelled)
    for axis in "SC":
        if axis in axes:
            channel = params.channel
            if channel is not None:
                image = image.take(np.atleast_1d(channel), axes.index(axis))
            image = image.max(axes.index(axis))
    report(Progress(0.5, "Segmenting"))
    planes = image.reshape(-1, *image.shape[-2:])
    labels = (
        np.stack([label(plane > (255 if model in BLIND else 100)) for plane in planes])
        .reshape(image.shape)
        .astype(np.int32)
    )
    if model not in ("nuclei", "worse", *BLIND):  # a fine-tuned model finds a cell more, in the corner
        labels[..., :4, :4] = labels.max() + 1
    notes = (f"Looked {params.views} times.",) if params.views > 1 else ()
    result = SegmentResult(labels=labels, seconds=0.1, notes=notes)
    if model == "helpful":
        plane = labels.reshape(planes.shape)[0]
        return replace(result, doubts=DOUBTS.suggest(suggest(plane), plane))
    return replace(result, doubts=DOUBTS) if model == "doubtful" else result


def segment_view(request, report, cancelled):
    """Segment a box with a margin of half a square around it."""
    (top, bottom), (left, right) = request.box
    image = request.image
    window = (
        (max(top - 30, 0), min(bottom + 30, image.shape[-2])),
        (max(left - 30, 0), min(right + 30, image.shape[-1])),
    )
    part = image[..., slice(*window[0]), slice(*window[1])]
    found = segment_pixels(part, request.params, report, cancelled)
    labels = found.labels.reshape(found.labels.shape[-2:])
    return ViewResult(labels=labels, window=window, seconds=0.1, doubts=found.doubts, notes=found.notes)


def segment_large(request, report, cancelled):
    """Segment an image as a whole and write its labels, with coarser levels though it is small."""
    from napari_unet.core.image.axes import PlaneGrid
    from napari_unet.io import zarr_write as zarr_labels

    zarr_labels.WIDE = 128
    image = request.image
    grid = PlaneGrid(request.params.axes, image.shape)
    with zarr_labels.fill_label_image(request.output, grid.label_shape, grid.label_axes) as array:
        found = segment_pixels(np.asarray(image), request.params, report, cancelled)
        array[...] = found.labels
    return LargeResult(cells=int(found.labels.max()), seconds=0.1, notes=found.notes)


def estimate(request, report, cancelled):
    return "needs about 1.2 GB of memory and 3.4 GB of disk"


VERDICTS = {
    "better": (SCORES, BETTER),
    "worse": (BETTER, SCORES),
    "unchanged": (SCORES, SCORES),
    "untested": (None, None),
}


def choose(request, report, cancelled):
    """Take the model called anything, or else the one called nuclei; none fits beside one called nobody."""
    models = sorted(request.models, key=lambda path: (path.stem != "anything", path.stem != "nuclei"))
    strange = "nobody" in {path.stem for path in models}
    fits = {path.stem: 0.1 if strange else 1 - 0.1 * at for at, path in enumerate(models)}
    if "blind" in fits:
        fits["blind"] = 0.0
    return Choice(models[0], tuple(fits.items()))


def examine(request, report, cancelled):
    if request.parent.stem == "slow":
        wait(Wait(request.parent.with_suffix(".gate")), report, cancelled)
    return Known(0.93, 0.92 if request.child.exists() else 0.0)


@dataclass(frozen=True)
class Wait(Request[int]):
    """Wait until there is a file; say how many times that was asked for."""

    gate: Path


def wait(request, report, cancelled):
    """Wait until there is a file; tell by other files that it has begun, and that it was cancelled."""
    gate, begun = request.gate, Path(f"{request.gate}.begun")
    count = int(begun.read_text()) + 1 if begun.exists() else 1
    begun.write_text(str(count))
    while not gate.exists():
        if cancelled():
            Path(f"{gate}.cancelled").touch()
            raise Cancelled
        time.sleep(0.01)
    return count


def prepare(request, report, cancelled):
    return None


@dataclass(frozen=True, kw_only=True)
class Told(FineTuned):
    """Says, too, what was asked for."""

    asked: FineTuneRequest


def fine_tune(request, report, cancelled):
    model = request.model.stem
    misbehave(model, report, cancelled)
    if model == "doubting" and not request.anyway:
        return Doubted("The outlines of the labels in plate do not lie on edges of the image: check them.")
    scored = {}
    for step in range(1, 21):
        if cancelled():
            raise Cancelled
        if step % 10 == 0:
            scored = {"score": step / 20, "score_step": float(step)}
        report(
            Progress(step / 20, f"Learning, step {step}", {"loss": 1 / step, "step": float(step), **scored})
        )
        time.sleep(0.01)
    request.output.write_bytes(request.model.read_bytes())
    verdict = model if model in VERDICTS else "better"
    before, after = VERDICTS[verdict]
    return Told(
        output=request.output,
        verdict=Verdict(verdict),
        before=before,
        after=after,
        seconds=0.2,
        step_seconds=0.01,
        learning_seconds=0.2,
        asked=request,
    )


def verify(request, report, cancelled):
    misbehave(request.file.stem, report, cancelled)
    return hashlib.sha256(request.file.read_bytes()).hexdigest()


JOBS = {
    **{WarmUpRequest: warm_up, SegmentRequest: segment, FineTuneRequest: fine_tune, VerifyRequest: verify},
    **{ChooseRequest: choose, ExamineRequest: examine, PrepareRequest: prepare, Wait: wait},
    **{ViewRequest: segment_view, LargeRequest: segment_large, EstimateRequest: estimate},
}
