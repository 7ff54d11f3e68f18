"""How much can be learnt in a time: what a step takes on this machine, and all that is not a step."""

from __future__ import annotations

from dataclasses import dataclass

from napari_unet.core.learning import FEWEST_STEPS
from napari_unet.jobs import FineTuned

_OTHER_WORK = 20.0  # steps, that all but the learning takes about as long as
_MOST_OTHER = 0.6  # of the time
_ENOUGH_STEPS = 40  # from which on something is learnt of cells that the model does not know


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds that one step takes, and that all else takes, from the press to the new labels."""

    step_seconds: float
    other_seconds: float

    @classmethod
    def expect(cls, step_seconds: float) -> Pace:
        """Reckon before the first fine-tuning."""
        return cls(step_seconds, _OTHER_WORK * step_seconds)

    @classmethod
    def of(cls, result: FineTuned, seconds: float) -> Pace | None:
        """Take it from the result of a fine-tuning that came after `seconds`."""
        step, learning = result.step_seconds, result.learning_seconds
        return cls(step, seconds - learning) if step and learning else None

    def is_enough(self, seconds: float) -> bool:
        """Whether the steps there will be suffice to learn something."""
        return self.count_steps(seconds) >= _ENOUGH_STEPS

    def count_steps(self, seconds: float) -> int:
        """Return about how many steps there will be, two digits of it."""
        left = seconds - min(self.other_seconds, _MOST_OTHER * seconds)
        steps = max(left / self.step_seconds, FEWEST_STEPS)
        return int(float(f"{steps:.2g}"))
