import pytest

from napari_unet.core.base.params import FineTuneParams
from napari_unet.core.learning.budget import FEWEST_STEPS, Budget


class Machine:
    """A clock that goes on only while something is done."""

    def __init__(self, step):
        self.now, self.step = 100.0, step

    def __call__(self):
        return self.now

    def work(self, seconds):
        self.now += seconds


def learn(machine, seconds, *, before=4.0, after=5.0, steps=None, slower=lambda step: 1.0):
    """Go through a fine-tuning; return its steps and the seconds that all of it took."""
    budget = Budget(FineTuneParams(seconds=seconds, steps=steps), machine.now, machine)
    machine.work(before)
    budget.begin(after)
    step, progress, seen = 0, 0.0, []
    while progress < 1:
        machine.work(machine.step * slower(step) * (4 if step == 0 else 1))
        step += 1
        progress = budget.note_step(step)
        seen.append(progress)
    assert seen == sorted(seen)
    machine.work(after * slower(step))
    return step, budget.elapsed


@pytest.mark.parametrize("seconds", [20, 60, 300])
@pytest.mark.parametrize("step", [0.05, 0.2, 0.5])
def test_all_is_done_when_the_time_is_over_and_none_is_wasted(seconds, step):
    steps, elapsed = learn(Machine(step), seconds)
    assert seconds - 2 * step <= elapsed <= seconds + step
    assert steps == pytest.approx((seconds - 9) / step - 3, abs=2)


def test_a_slow_machine_learns_less_and_does_not_take_longer():
    fast, _ = learn(Machine(0.2), 60)
    slow, elapsed = learn(Machine(1.0), 60, before=12.0, after=15.0)
    assert slow < fast / 3
    assert elapsed <= 61


def test_a_machine_that_gets_busy_meanwhile_is_noticed():
    _, elapsed = learn(Machine(0.2), 60, slower=lambda step: 3.0 if step > 40 else 1.0)
    assert elapsed <= 60 * 1.1


def test_some_steps_are_made_however_slow_the_machine_is():
    steps, _ = learn(Machine(5.0), 20)
    assert steps == FEWEST_STEPS


def test_steps_that_were_asked_for_are_made_whatever_they_take():
    steps, elapsed = learn(Machine(5.0), 20, steps=30)
    assert steps == 30
    assert elapsed > 100


def test_what_is_done_between_steps_does_not_count_as_a_step():
    machine = Machine(1.0)
    budget = Budget(FineTuneParams(), machine.now, machine)
    budget.begin(0.0)
    for step in range(1, 8):
        machine.work(1.0)
        budget.note_step(step)
        machine.work(9.0)
        budget.skip()
    assert budget.step_seconds == 1.0
