"""What the panel tells the user to do next."""

from __future__ import annotations

from napari_unet.core.learning import FEWEST_CELLS, Verdict
from napari_unet.core.review import Review, Tour
from napari_unet.session import OpenImage, Session


def greet(session: Session) -> str:
    """Return the sentence shown as long as nothing has been done."""
    if session.model is None:
        return ""
    return "Ready." if session.warm else "Getting the network ready…"


def explain_no_learning(image: OpenImage | None) -> str:
    """Say why there is nothing to learn from yet; nothing where there is."""
    if image is not None and image.is_large:
        return "Cut out a region first: zoom in, press Segment, correct some of its cells."
    if image is None or image.review is None:
        return "Segment an image and correct some of its cells first."
    if not image.has_corrections:
        return "Correct some cells, or mark a view as reviewed, first."
    return ""


# One return for each state of the work.
def find_next_step(  # noqa: PLR0911
    session: Session, image: OpenImage | None, *, has_layer: bool
) -> tuple[str, str]:
    """Return what the user should do next, and the object name of the button for it, empty for none."""
    if session.run is not None:
        return "", ""
    if session.model is None:
        return "Next: there is no model; install the package again.", ""
    if not has_layer:
        return "Next: open an image - drop it here, or take one from File > Open Sample.", "open"
    if session.trial is not None and session.trial.verdict.is_proven:
        return "Next: compare, then Keep or Roll back.", "keep"
    if session.trial is not None and session.trial.verdict is Verdict.UNTESTED:
        return "Next: compare the two and decide, or go on correcting.", "compare"
    if session.trial is not None and session.trial.verdict is Verdict.UNCHANGED:
        return "Next: go on correcting, then Fine-tune again.", "next_to_fix"
    if image is not None and image.is_large:
        return "Next: zoom in to what you want to correct and press Segment.", "segment"
    if image is None or image.review is None:
        return "Next: press Segment.", "segment"
    if image.tour is not None:
        return _describe_tour(image, image.review, image.tour, count_missing(session))
    if not image.has_corrections:
        return "Next: press Next to fix, then correct the cell or accept it.", "next_to_fix"
    if missing := count_missing(session):
        return f"Next: {_ask_for(missing)}, then press Fine-tune.", "next_to_fix"
    return "Next: press Fine-tune, or go on correcting.", "fine_tune"


def count_missing(session: Session) -> int:
    """Return how many cells must be reviewed yet before a new model can be compared with the old one."""
    opened = session.images
    teachers = {teacher.key: teacher.used for teacher in session.teachers.known}
    if any(used and key not in opened for key, used in teachers.items()):
        return 0  # of these only the worker counts the cells
    teaching = [image.counts for key, image in opened.items() if image.counts and teachers.get(key, True)]
    return max(FEWEST_CELLS - sum(counts.reviewed_cells for counts in teaching), 0)


def _ask_for(missing: int) -> str:
    return f"correct or accept {missing} more cell{'s' * (missing > 1)} to have something to compare"


def _describe_tour(image: OpenImage, review: Review, tour: Tour, missing: int) -> tuple[str, str]:
    """Say why the place that is shown is worth a look, and how many more are."""
    count = len(tour.coming)
    more = f"{count or 'No'} {'other is' if count < 2 else 'others are'} worth a look."
    if tour.place is not None and not tour.is_settled(review, image.grid):
        fix, reason = tour.place.suggestion, f"{tour.place.reason}."
        if fix is None:
            return f"{reason}\n{more}", ""
        return f"{reason}\nSuggested (T): {fix.describe()}. {count or 'No'} more.", ""
    if tour.coming:
        return f"Done. {more}", "next_to_fix"
    learn = f"{_ask_for(missing)}, then press Fine-tune" if missing else "press Fine-tune"
    if tour.passed and image.has_corrections:
        hint = f"All seen. Next: {learn}, or Next to fix for those you passed over."
        return hint, "next_to_fix" if missing else "fine_tune"
    if tour.passed:
        return "You have seen them all. Press Next to fix for those you passed over.", ""
    if image.has_corrections:
        return f"Nothing else is worth a look. Next: {learn}.", "" if missing else "fine_tune"
    return "Nothing looks wrong. Go on to another image.", ""
