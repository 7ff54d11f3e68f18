"""A fine-tuned model between its proof and the user's decision, and every sentence about it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from napari_unet.core.cells import Scores
from napari_unet.core.image import Channels
from napari_unet.core.learning import Verdict
from napari_unet.core.review import Review, restore_review
from napari_unet.io import atomic
from napari_unet.jobs import FineTuned, Known

_PARTS = {0.5: "half", 0.25: "a quarter"}
_LEAST_LOSS = 0.005
_ADVICE = {
    Verdict.AS_GOOD: "It is no better than the old one.",
    Verdict.WORSE: "The old one stays in use. Correct more cells and try again.",
}


@dataclass(slots=True)
class Trial:
    """A model that the user has neither kept nor rolled back yet; its file lies among the project's runs.

    `result` is what the worker returned, `left_out` says which corrected images it did not get;
    `known_scores` are what both models score on scenes that the old one knows, as soon as that is measured.
    `before` and `start` are the review of image `key` before the model was used there and right after; None
    as long as it was not. `edits` says of each open image how far the user was when the learning began.
    """

    key: str
    channel: Channels
    parent: Path
    model: Path
    result: FineTuned
    left_out: list[str] = field(default_factory=list)
    before: Review | None = None
    start: Review | None = None
    edits: dict[str, int] = field(default_factory=dict)
    known_scores: Known = field(default_factory=Known)

    @property
    def verdict(self) -> Verdict:
        """How the new model does beside the old one on what neither had learnt from."""
        return self.result.verdict

    @property
    def accepted(self) -> bool:
        """Whether it did not do worse, so that its labels can be shown."""
        return self.verdict is not Verdict.WORSE

    @property
    def reason(self) -> str:
        """What is to be said about it."""
        result = self.result
        said = explain_verdict(result.verdict, result.before, result.after, result.share)
        return " ".join([said, *self.left_out])

    @property
    def known(self) -> str:
        """What is to be said of scenes that the old model knows; nothing as long as that is not measured."""
        return explain_known(self.known_scores.before, self.known_scores.after)

    def note(self, old: Review, new: Review | None) -> None:
        """Note that the model's labels replaced the review `old` of the image by `new`."""
        if self.before is not None and self.start is not None:
            old = restore_review(self.before, self.start, old)
        self.before, self.start = old, new

    def keep(self, folder: Path) -> Path:
        """Move the model to a folder and return its new path; OSError where that fails."""
        path = folder / self.model.name
        atomic.replace(self.model, path)
        with contextlib.suppress(OSError):
            self.model.parent.rmdir()
        self.model = path
        return path

    def discard(self) -> None:
        """Delete the model."""
        with contextlib.suppress(OSError):
            self.model.unlink()
            self.model.parent.rmdir()


def name_model(parent: str, taken: Collection[str]) -> str:
    """Return a name for a model fine-tuned from `parent`: the same with the next free number."""
    stem = re.sub(r"-\d+$", "", parent)
    return next(f"{stem}-{n}" for n in range(1, len(taken) + 2) if f"{stem}-{n}" not in taken)


def new_run_folder(runs: Path) -> Path:
    """Make a folder named by the time in the project's folder of runs."""
    folder = runs / f"{datetime.now():%Y%m%d-%H%M%S-%f}"
    folder.mkdir(parents=True)
    return folder


def explain_verdict(verdict: Verdict, before: Scores | None, after: Scores | None, share: float = 1.0) -> str:
    """Say how a new model does on held-out corrections, with a ``share`` of what it has learnt."""
    if verdict is Verdict.UNCHANGED:
        return (
            "Nothing changed: the new model draws the same cells as the old one. Correct more cells, or "
            "choose a longer effort."
        )
    if before is None or after is None:
        return (
            "There are too few corrections to measure whether the new model is better: compare the two and "
            "decide yourself, or correct more cells."
        )
    subject = f"With {_PARTS[share]} of what it learnt, the new model" if share in _PARTS else "The new model"
    all_cells = f"{after.objects} cell{'s' * (after.objects != 1)}"
    found = f"{subject} finds {after.matched} of {all_cells} that it was not shown"
    same = after.matched == before.matched
    found += ", as many as the old one." if same else f"; the old one found {before.matched}."
    reason = _explain_rest(verdict, before, after)
    return " ".join(filter(None, (found, reason, _ADVICE.get(verdict, ""))))


def _explain_rest(verdict: Verdict, before: Scores, after: Scores) -> str:
    """Say what made a model better or worse where the number of cells found does not."""
    sign = {Verdict.BETTER: 1, Verdict.WORSE: -1}.get(verdict, 0)
    if sign == 0 or sign * (after.matched - before.matched) > 0:
        return ""
    if sign * (before.false - after.false) > 0:
        wrong = f"{after.false} false cell{'s' * (after.false != 1)}"
        return f"It draws {wrong}; the old one drew {before.false}."
    return f"Its outlines are {'better' if sign > 0 else 'worse'}."


def explain_known(before: float | None, after: float | None) -> str:
    """Say what a new model lost on scenes that the old one knows; nothing where that was not measured."""
    if before is None or after is None:
        return ""
    figures = f"On test images that the old model knows: AP {before:.2f} → {after:.2f}."
    lost = before - after > _LEAST_LOSS
    return f"{figures} The old model stays in your list." if lost else figures
