"""What is said of a fine-tuned model: every sentence about it, in one place."""

from __future__ import annotations

from napari_unet.core.cells import Scores
from napari_unet.core.learning import Verdict

_PARTS = {0.5: "half", 0.25: "a quarter"}
_LEAST_LOSS = 0.005
_ADVICE = {
    Verdict.AS_GOOD: "It is no better than the old one.",
    Verdict.WORSE: "The old one stays in use. Correct more cells and try again.",
}


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
