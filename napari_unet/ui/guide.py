"""What the panel tells the user to do next."""

from __future__ import annotations

from napari_unet.app.opened import OpenImage
from napari_unet.app.session import Session


def greet(session: Session) -> str:
    """Return the sentence shown as long as nothing has been done."""
    if session.model is None:
        return ""
    return "Ready." if session.warm else "Getting the network ready…"


def explain_no_learning(image: OpenImage | None) -> str:
    """Say why there is nothing to learn from yet; nothing where there is."""
    if image is None or image.review is None:
        return "Segment an image and correct some of its cells first."
    if not image.has_corrections:
        return "Correct some cells, or mark a view as reviewed, first."
    return ""


def find_next_step(session: Session, image: OpenImage | None, *, has_layer: bool) -> tuple[str, str]:
    """Return what the user should do next, and the object name of the button for it, empty for none."""
    if session.run is not None:
        return "", ""
    if session.model is None:
        return "Next: there is no model; install the package again.", ""
    if not has_layer:
        return "Next: open an image - drop it here, or take one from File > Open Sample.", "open"
    if session.trial is not None and session.trial.accepted:
        return "Next: compare, then Keep or Roll back.", "keep"
    if image is None or image.review is None:
        return "Next: press Segment.", "segment"
    if not image.has_corrections:
        return "Next: correct what is wrong, mark what is right.", ""
    return "Next: press Fine-tune, or go on correcting.", "fine_tune"
