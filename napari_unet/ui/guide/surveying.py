"""What the panel's advice is about, as the session and the canvas are now."""

from __future__ import annotations

from napari_unet.session import OpenImage, Session
from napari_unet.ui.guide.advice import Stop, Work


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


def survey(
    session: Session,
    image: OpenImage | None,
    *,
    has_image: bool,
    broken_axes: bool = False,
    in_sight: bool = True,
) -> Work:
    """Return how far the work is; `in_sight` says whether the canvas shows the place that is looked at."""
    trial = session.trial
    return Work(
        busy=session.run is not None,
        has_model=session.model is not None,
        has_image=has_image,
        broken_axes=broken_axes,
        is_large=image is not None and image.is_large,
        verdict=trial.verdict if trial is not None else None,
        is_segmented=image is not None and image.review is not None,
        counts=image.counts if image is not None and image.review is not None else None,
        reviewed_cells=count_reviewed(session),
        learnt=session.has_learnt_all,
        knows_cells=image is None or session.knowledge.knows_cells(image),
        searching=image is not None and session.knowledge.is_searching(image),
        better=better.stem if image is not None and (better := session.knowledge.find_better(image)) else "",
        stop=_stop(image, in_sight=in_sight),
    )


def count_reviewed(session: Session) -> int | None:
    """Return how many cells of all images that teach are reviewed; None where only the worker counts them."""
    opened = session.images
    teachers = {teacher.key: teacher.used for teacher in session.teachers.known}
    if any(used and key not in opened for key, used in teachers.items()):
        return None
    teaching = [image.counts for key, image in opened.items() if image.counts and teachers.get(key, True)]
    return sum(counts.reviewed_cells for counts in teaching)


def _stop(image: OpenImage | None, *, in_sight: bool) -> Stop | None:
    if image is None or image.tour is None:
        return None
    tour = image.tour
    return Stop(image.open_place, in_sight, len(tour.coming), len(tour.passed))
