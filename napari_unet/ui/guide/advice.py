"""What the panel tells the user to do next: one sentence and one button for each state of the work."""

from __future__ import annotations

from dataclasses import dataclass

from napari_unet.core.learning import FEWEST_CELLS, Verdict
from napari_unet.core.review import Place, Reason, ReviewCounts

OUTLINES = 10
"""Cells to outline of a kind that no model knows, before it can be learnt."""
_MENDS = {
    Reason.FAINT: "D deletes it",
    Reason.SEAM: "J joins them",
    Reason.SMALL: "D deletes it, J joins it",
    Reason.LARGE: "S splits it",
    Reason.FORM: "S splits it, N draws it anew",
    Reason.MISSED: "N draws it",
}
"""The keys that mend what a place may suffer from, over the cell."""
_ALL = 0.999  # of the pixels: no view ends exactly at the edge


@dataclass(frozen=True, slots=True)
class Stop:
    """Where the user is among the doubtful places: the `place` that is open, if any, and whether it is in
    sight; how many places are `coming`, and how many were `passed` over.
    """

    place: Place | None = None
    in_sight: bool = True
    coming: int = 0
    passed: int = 0


@dataclass(frozen=True, slots=True)
class Work:
    """What there is to give advice on.

    `verdict` is that of a model on trial. `counts` are those of the image that is shown, None where they
    are not known yet; `reviewed_cells` those of all images that teach, None where only the worker can count
    them. `learnt` says that the model in use was kept after it had learnt from all corrections. Where the
    model does not know the cells that are shown, `knows_cells` is false, and `better` names a model that
    does; `searching` says that one is being looked for. `stop` is None before the first press of Next to fix.
    """

    busy: bool = False
    has_model: bool = True
    has_image: bool = True
    broken_axes: bool = False
    is_large: bool = False
    is_segmented: bool = False
    verdict: Verdict | None = None
    counts: ReviewCounts | None = None
    reviewed_cells: int | None = 0
    learnt: bool = False
    knows_cells: bool = True
    searching: bool = False
    better: str = ""
    stop: Stop | None = None

    @property
    def missing(self) -> int:
        """How many cells must be reviewed yet before a new model can be compared with the old one."""
        return 0 if self.reviewed_cells is None else max(FEWEST_CELLS - self.reviewed_cells, 0)

    @property
    def has_corrections(self) -> bool:
        """Whether there is anything to learn from in the image that is shown."""
        return self.counts is not None and self.counts.reviewed_pixels > 0

    @property
    def is_reviewed(self) -> bool:
        """Whether all of the image that is shown is."""
        return self.counts is not None and self.counts.reviewed_fraction >= _ALL


@dataclass(frozen=True, slots=True)
class Advice:
    """A sentence, and the object name of the button that it is about; empty where there is none."""

    sentence: str = ""
    button: str = ""


def advise(work: Work) -> Advice:
    """Return what the user should do next."""
    if work.busy:
        return Advice()
    if not work.has_model:
        return Advice("Next: there is no model; install the package again.")
    if not work.has_image:
        return Advice("Next: open an image - drop it here, or take one from File > Open Sample.", "open")
    if work.broken_axes:
        return Advice("Next: mend the axes, or press Escape.")
    if work.verdict is not None and (advice := _ADVICE_ON_TRIAL.get(work.verdict)):
        return advice
    if work.is_large:
        return Advice("Next: zoom in to what you want to correct and press Segment.", "segment")
    if not work.is_segmented:
        return Advice("Next: press Segment.", "segment")
    if work.learnt and work.has_corrections:
        return Advice("The model has learnt from all your corrections. Next: open another image.", "open")
    return _advise_on_labels(work)


_ADVICE_ON_TRIAL = {
    Verdict.BETTER: Advice("Next: compare, then Keep or Roll back.", "keep"),
    Verdict.AS_GOOD: Advice("Next: compare, then Keep or Roll back.", "keep"),
    Verdict.UNTESTED: Advice("Next: compare the two and decide, or go on correcting.", "compare"),
    Verdict.UNCHANGED: Advice("Next: go on correcting, then Fine-tune again.", "next_to_fix"),
}


def _advise_on_labels(work: Work) -> Advice:
    if not work.knows_cells:
        return _advise_on_strangers(work)
    if work.is_reviewed and work.missing:
        needed = f"{_count(work.missing, 'more cell')} to have something to compare"
        return Advice(f"All of this image is reviewed. Next: open another image; you need {needed}.", "open")
    if work.is_reviewed:
        return Advice("All of this image is reviewed. Next: press Fine-tune.", "fine_tune")
    if work.stop is not None:
        return _advise_on_place(work, work.stop)
    if not work.has_corrections:
        return Advice("Next: press Next to fix, then correct the cell or accept it.", "next_to_fix")
    if work.missing:
        return Advice(f"Next: {_ask_for(work.missing)}, then press Fine-tune.", "next_to_fix")
    return Advice("Next: press Fine-tune, or go on correcting.", "fine_tune")


def _advise_on_strangers(work: Work) -> Advice:
    """Lead to a model that knows the cells, or to outlines that one can learn from."""
    if work.better:
        return Advice(
            f"This model does not know such cells; '{work.better}' does. Next: press Use {work.better}.",
            "use_better",
        )
    if work.searching:
        return Advice("This model does not know such cells. Looking whether another one does…")
    left = OUTLINES if work.reviewed_cells is None else max(OUTLINES - work.reviewed_cells, 0)
    if left == 0:
        return Advice("That is enough to learn from. Next: press Fine-tune.", "fine_tune")
    how = "press N and draw around a cell"
    if left == OUTLINES:
        return Advice(f"No model knows such cells yet: outline about {OUTLINES}. Next: {how}.", "draw")
    return Advice(f"{_count(left, 'more outline')} to learn from. Next: {how}.", "draw")


def _advise_on_place(work: Work, stop: Stop) -> Advice:
    """Say why the place that is shown is worth a look, and how many more are."""
    if stop.place is not None and not stop.in_sight:
        return Advice("You have moved on. Next: press Next to fix, or correct what you see.", "next_to_fix")
    more = f"{stop.coming or 'No'} {'other is' if stop.coming < 2 else 'others are'} worth a look."
    if stop.place is not None:
        fix, reason = stop.place.suggestion, stop.place.reason
        if fix is None:
            right = "R if there is none" if reason is Reason.MISSED else "R if it is right"
            return Advice(f"{reason}: {right}, {_MENDS[reason]}.\n{more}")
        return Advice(f"{reason}.\nSuggested (T): {fix.describe()}. {stop.coming or 'No'} more.")
    if stop.coming:
        return Advice(f"Done. {more}", "next_to_fix")
    learn = f"{_ask_for(work.missing)}, then press Fine-tune" if work.missing else "press Fine-tune"
    if stop.passed and work.has_corrections:
        hint = f"All seen. Next: {learn}, or Next to fix for those you passed over."
        return Advice(hint, "next_to_fix" if work.missing else "fine_tune")
    if stop.passed:
        return Advice("You have seen them all. Press Next to fix for those you passed over.")
    if work.has_corrections:
        return Advice(f"Nothing else is worth a look. Next: {learn}.", "" if work.missing else "fine_tune")
    return Advice("Nothing looks wrong. Go on to another image.", "open")


def _ask_for(missing: int) -> str:
    return f"correct or accept {_count(missing, 'more cell')} to have something to compare"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number > 1)}"
