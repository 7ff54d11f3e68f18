"""What is said of a fine-tuned model: every sentence about it, in one place."""

from __future__ import annotations

from napari_unet.core.cells import Scores
from napari_unet.core.learning import Verdict

_PARTS = {0.5: "half", 0.25: "a quarter"}
_LEAST_LOSS = 0.005


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
    figures = f"mean AP {before.mean_ap:.2f} before, {after.mean_ap:.2f} after, on {after.objects} cells"
    how = {Verdict.BETTER: "better", Verdict.AS_GOOD: "about as good", Verdict.WORSE: "worse"}[verdict]
    end = ": the old one stays in use. Correct more cells and try again." if verdict is Verdict.WORSE else "."
    return f"{subject} is {how} on held-out corrections ({figures}){end}"


def explain_known(before: float | None, after: float | None) -> str:
    """Say what a new model lost on scenes that the old one knows; nothing where that was not measured."""
    if before is None or after is None:
        return ""
    figures = f"On test images that the old model knows: AP {before:.2f} → {after:.2f}."
    lost = before - after > _LEAST_LOSS
    return f"{figures} The old model stays in your list." if lost else figures
