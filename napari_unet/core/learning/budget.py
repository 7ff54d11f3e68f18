"""How long to learn, so that all that follows is done in time, too."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import median
from time import perf_counter

from napari_unet.core.base import FineTuneParams

FEWEST_STEPS = 10
_MOST_RESERVED = 0.6  # of the time that is left
_FIRST_STEPS = 2  # they compile, and say nothing about the others
_WINDOW = 8
_BEFORE_STEPS, _AFTER_STEPS = 0.1, 0.9  # where a number of steps is asked for: their part of the bar
_MOST_SHOWN = 0.99


class Budget:
    """The steps that were asked for, or as many as fit before the time is over.

    ``params`` says which. ``started`` (seconds of ``clock``) is when the user pressed the button. What is to
    be done after the learning is `reserve`d in seconds; if the steps become slower meanwhile, because the
    machine has other work, so will that, and the learning ends sooner.
    """

    def __init__(
        self, params: FineTuneParams, started: float, clock: Callable[[], float] = perf_counter
    ) -> None:
        self.seconds = params.seconds if params.steps is None else math.inf
        self.started = started
        self._clock, self._steps = clock, params.steps
        self._reserved, self._most = 0.0, math.inf
        self._begun = self._last = started
        self._laps: list[float] = []
        self._progress = self._shown = 0.0

    @property
    def elapsed(self) -> float:
        """Seconds since the press of the button."""
        return self._clock() - self.started

    @property
    def step_seconds(self) -> float | None:
        """Seconds that a step took, None where none has been made that could tell."""
        return median(self._laps) if self._laps else None

    @property
    def learning_seconds(self) -> float:
        """Seconds from the beginning of the learning to its last step."""
        return self._last - self._begun

    @property
    def fraction(self) -> float:
        """How much of all is done, 0 to 1; it never falls."""
        if self._steps is None:
            done = self.elapsed / self.seconds
        else:
            done = _BEFORE_STEPS + (_AFTER_STEPS - _BEFORE_STEPS) * self._progress
        self._shown = max(self._shown, min(done, _MOST_SHOWN))
        return self._shown

    def begin(self, reserve: float) -> None:
        """Begin to learn; ``reserve`` seconds, as fast as the machine is now, are needed afterwards."""
        self._begun = self._last = self._clock()
        self._reserved = reserve
        self._most = _MOST_RESERVED * max(self.seconds - self.elapsed, 0.0)

    def skip(self) -> None:
        """Leave what was done since the last step out of the steps' times."""
        self._last = self._clock()

    def note_step(self, step: int) -> float:
        """Note that step number ``step`` is done; return the share of the learning that is, 1 at its end."""
        now = self._clock()
        if step > _FIRST_STEPS:
            self._laps.append(now - self._last)
        self._last = now
        if self._steps is not None:
            self._progress = step / self._steps
            return self._progress
        end = self.started + self.seconds - min(self._reserved * self._slowdown(), self._most)
        next_step = self._laps[-1] if self._laps else 0.0
        share = (now + next_step - self._begun) / max(end - self._begun, 1e-3)
        self._progress = max(self._progress, share)
        return min(self._progress, 0.999) if step < FEWEST_STEPS else self._progress

    def _slowdown(self) -> float:
        if len(self._laps) < 2 * _WINDOW:
            return 1.0
        return max(1.0, median(self._laps[-_WINDOW:]) / median(self._laps[:_WINDOW]))
