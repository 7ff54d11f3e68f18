from pathlib import Path

from napari_unet.core.learning.holdout import Verdict
from napari_unet.jobs.protocol import FineTuned
from napari_unet.session.pace import Pace


def tuned(**told):
    known = {"output": Path("new.keras"), "verdict": Verdict.BETTER, "before": None, "after": None}
    return FineTuned(**known, seconds=58.0, **told)


def test_the_steps_of_an_effort_are_reckoned_from_a_run_before():
    result = tuned(step_seconds=0.2, learning_seconds=40.0)
    pace = Pace.of(result, 58.0)
    assert pace.count_steps(60) == 210
    assert pace.count_steps(300) == 1400
    assert 10 <= pace.count_steps(20) < pace.count_steps(60) / 3


def test_a_slow_machine_has_fewer_steps_but_never_none():
    assert Pace.expect(2.0).count_steps(60) < Pace.expect(0.2).count_steps(60)
    assert Pace.expect(30.0).count_steps(20) == 10


def test_a_run_that_says_nothing_tells_nothing():
    assert Pace.of(tuned(), 60.0) is None
