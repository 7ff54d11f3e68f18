"""Where models come from: which was fine-tuned from which, on how much, and what that brought."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from napari_unet.core.base import ModelCard
from napari_unet.core.cells import Scores
from napari_unet.models.registry import ModelEntry

UNKNOWN = "–"
HASH_DIGITS = 12  # of a hash where it stands for a model


@dataclass(frozen=True, slots=True)
class Version:
    """A model and the SHA-256 of its file, by which its children know it."""

    entry: ModelEntry
    sha256: str

    @property
    def card(self) -> ModelCard:
        """The model's card."""
        return self.entry.card


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A model that others were fine-tuned from; `name` is None where its file is not here any more."""

    sha256: str
    name: str | None

    def __str__(self) -> str:
        return self.name or shorten_hash(self.sha256)


@dataclass(frozen=True, slots=True)
class Change:
    """What made a model, as its card tells; None where it does not.

    `seconds` is how long it took, `before` and `after` are the scores of the parent and of the model on
    what neither had learnt from; a model without a parent has only `after`. `known` are their AP at IoU 0.5
    on scenes that the parent knows.
    """

    name: str
    title: str
    parent: Ancestor | None
    created: str
    images: int | None
    cells: int | None
    pixels: int | None
    steps: int | None
    seconds: float | None
    before: Scores | None
    after: Scores | None
    known: tuple[float, float] | None = None


def trace_ancestry(card: ModelCard, versions: Sequence[Version]) -> list[Ancestor]:
    """Return the parent of a model, its parent, and so on; the last may be one whose file is gone."""
    family = {version.sha256: version.card for version in versions}
    ancestry: list[Ancestor] = []
    parent = card.parent
    while parent is not None and parent not in {ancestor.sha256 for ancestor in ancestry}:
        known = family.get(parent)
        ancestry.append(Ancestor(parent, known.name if known else None))
        parent = known.parent if known else None
    return ancestry


def find_children(sha256: str, versions: Sequence[Version]) -> list[Version]:
    """Return the models that were fine-tuned from the file with this hash."""
    return [version for version in versions if version.card.parent == sha256]


def sort_by_descent(versions: Sequence[Version]) -> list[tuple[Version, int]]:
    """Return each model with its generation (0: its parent is not among them), children after their parent.

    Models of one parent keep their order.
    """
    here = {version.sha256 for version in versions}
    children: defaultdict[str | None, list[Version]] = defaultdict(list)
    for version in versions:
        children[version.card.parent if version.card.parent in here else None].append(version)
    waiting = [(version, 0) for version in reversed(children.pop(None, []))]
    family: list[tuple[Version, int]] = []
    while waiting:
        version, generation = waiting.pop()
        family.append((version, generation))
        # Of two copies of a file the first gets the children.
        offspring = children.pop(version.sha256, [])
        waiting += [(child, generation + 1) for child in reversed(offspring)]
    return family


def describe_change(version: Version, versions: Sequence[Version]) -> Change:
    """Return what made one model of several."""
    card = version.card
    learnt = _mapping(card.training.get("fine_tuned_on")) or card.training
    recipe = _mapping(card.training.get("recipe"))
    held_out = _mapping(card.scores.get("held_out"))
    return Change(
        name=card.name,
        title=card.title,
        parent=next(iter(trace_ancestry(card, versions)), None),
        created=card.created,
        images=_number(learnt.get("images")),
        cells=_number(learnt.get("reviewed_cells", learnt.get("cells"))),
        pixels=_number(learnt.get("reviewed_pixels")),
        steps=_number(card.training.get("steps", recipe.get("steps"))),
        seconds=_number(card.training.get("seconds")),
        before=_scores(held_out.get("before")),
        after=_scores(held_out.get("after") if held_out else card.scores.get("validation")),
        known=_pair(card.scores.get("known")),
    )


def describe_changes(versions: Sequence[Version]) -> list[Change]:
    """Return what made each model, in the order of descent."""
    return [describe_change(version, versions) for version, _ in sort_by_descent(versions)]


def tabulate(change: Change) -> dict[str, str]:
    """Return a change as rows of text, the same for each model; what the card does not tell is a dash."""
    return {
        "Segments": change.title or UNKNOWN,
        "Parent": str(change.parent or UNKNOWN),
        "Made": format_date(change.created),
        "Images learnt from": format_count(change.images),
        "Cells learnt from": format_count(change.cells),
        "Reviewed pixels": format_count(change.pixels),
        "Steps": format_count(change.steps),
        "Duration": UNKNOWN if change.seconds is None else f"{change.seconds:.0f} s",
        "Held-out cells": format_count(change.after.objects if change.after else None),
        "Found (AP at IoU 0.5)": format_gain(change, lambda scores: scores.ap50),
        "Outlines (mean AP)": format_gain(change, lambda scores: scores.mean_ap),
        "Missed cells": format_gain(change, lambda scores: scores.missed),
        "False cells": format_gain(change, lambda scores: scores.false),
        "Split cells": format_gain(change, lambda scores: scores.split),
        "Merged cells": format_gain(change, lambda scores: scores.merged),
        "On images the parent knows (AP)": _format_known(change.known),
    }


def format_gain(change: Change, figure: Callable[[Scores], float]) -> str:
    """Return a figure of the scores before and after as text, "0.71 → 0.85"; only one where there is one."""
    figures = [figure(scores) for scores in (change.before, change.after) if scores is not None]
    shown = [str(f) if isinstance(f, int) else f"{f:.2f}" for f in figures]
    return " → ".join(shown) or UNKNOWN


def _format_known(known: tuple[float, float] | None) -> str:
    return UNKNOWN if known is None else f"{known[0]:.2f} → {known[1]:.2f}"


def format_count(count: float | None) -> str:
    """Return a count as text."""
    return UNKNOWN if count is None else f"{count:,.0f}".replace(",", "\u202f")


def format_date(created: str) -> str:
    """Return the date and time of a card in the time of this place; as it is where it is none."""
    try:
        return f"{datetime.fromisoformat(created).astimezone():%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError, OSError):
        return created


def shorten_hash(sha256: str) -> str:
    """Return the start of a hash, enough to tell models apart."""
    return f"{sha256[:HASH_DIGITS]}…"


# Cards come from anywhere: their free parts hold whatever was written there.


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> Any:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _scores(value: Any) -> Scores | None:
    try:
        scores = Scores.model_validate(value)
        scores.ap50  # noqa: B018 - a card may lack it
    except (ValidationError, KeyError):
        return None
    return scores


def _pair(value: Any) -> tuple[float, float] | None:
    both = _mapping(value)
    before, after = _number(both.get("before")), _number(both.get("after"))
    return None if before is None or after is None else (before, after)
