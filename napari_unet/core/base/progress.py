"""How long work tells how far it is, and how it is told to stop."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a piece of work is.

    `fraction` is the part done, 0 to 1, or None while it is not known. `message` is what a user reads.
    `values` are named numbers that a plot can follow, such as the loss and the step of a training. `news` are
    what must arrive even where one report takes the place of another because they come too fast.
    """

    fraction: float | None = None
    message: str = ""
    values: dict[str, float] = field(default_factory=dict)
    news: tuple[object, ...] = ()


class Cancelled(Exception):  # noqa: N818 - the word for an outcome, not for an error
    """The work stopped because it was told to."""


Report = Callable[[Progress], None]
IsCancelled = Callable[[], bool]


def ignore(progress: Progress) -> None:
    """Report to nobody."""
