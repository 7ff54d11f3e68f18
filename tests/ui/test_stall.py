"""The window answers while TensorFlow is imported, while it predicts and while it trains."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from qtpy.QtCore import QTimer

from napari_unet.io.files import read_image, sample_path
from napari_unet.models.registry import find_model

TICK = 5  # ms
LIMIT = 100  # ms
STEPS = 20
REST = 5000  # ms
SCHEDULE = Path("/proc/thread-self/schedstat")
"""Where Linux counts, in nanoseconds, for how long this thread ran and for how long it waited to run."""


def read_waiting() -> float:
    """Return the seconds that this thread was ready to run but no processor was free; 0 if nobody counts."""
    return int(SCHEDULE.read_text().split()[1]) / 1e9 if SCHEDULE.exists() else 0.0


@dataclass
class Stall:
    """The longest time between two ticks, ms: on the clock, and less what other processes took from it."""

    clock: float = 0.0
    own: float = 0.0

    def __str__(self) -> str:
        return f"{self.clock:.0f} ms, {self.own:.0f} ms of it the window's own"


class Pulse:
    """A timer that notes the longest stall of the event loop."""

    def __init__(self) -> None:
        self.timer = QTimer(interval=TICK)
        self.timer.timeout.connect(self._tick)
        self.begin()
        self.timer.start()

    def begin(self) -> None:
        self.longest = Stall()
        self.last = time.perf_counter(), read_waiting()

    def _tick(self) -> None:
        now = time.perf_counter(), read_waiting()
        elapsed, waited = (1000 * (new - old) for new, old in zip(now, self.last, strict=True))
        if elapsed - waited > self.longest.own:
            self.longest = Stall(elapsed, elapsed - waited)
        self.last = now


def test_the_event_loop_never_stalls(bundled_model, open_window, project, capsys, record_property):
    for path in project.models_folder.glob("*.keras"):
        path.unlink()
    shutil.copy(bundled_model, project.models_folder)
    window = open_window("napari_unet.jobs.table")
    panel, session = window.panel, window.panel.session
    window.add_image(read_image(sample_path("nuclei")).data)
    stalls, pulse = {}, Pulse()

    assert not session.warm
    window.wait(lambda: session.warm)
    stalls["import"] = pulse.longest

    for phase in ("predict", "predict again"):
        pulse.begin()
        window.hands.click(panel.step1.segment)
        window.wait(lambda: session.run is None and panel.canvas.image.counts is not None)
        window.settle()
        stalls[phase] = pulse.longest

    window.paint((100, 100), (100, 140), brush=30)
    panel.step2.mark.click()
    window.wait(panel.step3.fine_tune.isEnabled)
    pulse.begin()
    session.fine_tune(panel.canvas.image.key, steps=STEPS)
    window.wait(lambda: session.run is None)
    window.settle()
    stalls["train"] = pulse.longest
    assert len(panel.step3.plot.points) >= STEPS / 2, session.notice

    control = stall_without_us(window, pulse)
    pulse.timer.stop()
    with capsys.disabled():
        print(f"\nlongest stall of the event loop; without the plugin: {control}")
        for phase, stall in stalls.items():
            print(f"  {phase}: {stall}")
            record_property(f"longest stall, {phase}", stall.own)
    for phase, stall in stalls.items():
        assert stall.own <= max(LIMIT, 2 * control.own), phase


def stall_without_us(window, pulse: Pulse) -> Stall:
    """Return the longest stall of a window that rests a while and then is given layers of labels."""
    pulse.begin()
    window.qtbot.wait(REST)
    for _ in range(3):
        layer = window.viewer.add_labels(window.labels.data.copy())
        window.qtbot.wait(200)
        window.viewer.layers.remove(layer)
        window.qtbot.wait(200)
    return pulse.longest


@pytest.fixture
def bundled_model() -> Path:
    """The model that ships, found before the windows of these tests are told that none does."""
    return find_model("nuclei")
