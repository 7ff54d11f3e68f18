"""A fine-tuned model between its proof and the user's decision."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from napari_unet.core.cells import Scores
from napari_unet.core.image import Channels
from napari_unet.core.learning import Verdict
from napari_unet.core.review import Review, restore_review
from napari_unet.io import atomic
from napari_unet.session.judgement import explain_known, explain_verdict


@dataclass(slots=True)
class Trial:
    """A model that the user has neither kept nor rolled back yet; its file lies among the project's runs.

    `result` is what the fine_tune job returned, `left_out` says which corrected images it did not get.
    `before` and `start` are the review of image `key` before the model was used there and right after; None
    as long as it was not.
    """

    key: str
    channel: Channels
    parent: Path
    model: Path
    result: dict[str, Any]
    left_out: list[str] = field(default_factory=list)
    before: Review | None = None
    start: Review | None = None

    @property
    def verdict(self) -> Verdict:
        """How the new model does beside the old one on what neither had learnt from."""
        return Verdict(self.result["verdict"])

    @property
    def accepted(self) -> bool:
        """Whether it did not do worse, so that its labels can be shown."""
        return self.verdict is not Verdict.WORSE

    @property
    def reason(self) -> str:
        """What is to be said about it."""
        scores = (self.result[when] for when in ("before", "after"))
        before, after = (Scores.model_validate(it) if it is not None else None for it in scores)
        said = explain_verdict(self.verdict, before, after, self.result.get("share", 1.0))
        return " ".join([said, *self.left_out])

    @property
    def known(self) -> str:
        """What is to be said of scenes that the old model knows; nothing as long as that is not measured."""
        return explain_known(*(self.result.get(f"known_{when}") for when in ("before", "after")))

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
