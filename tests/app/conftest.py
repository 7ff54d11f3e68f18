import queue
import time

import pytest


class Loop:
    """A stand-in for a window's event loop."""

    def __init__(self) -> None:
        self.calls = queue.SimpleQueue()

    def run_until(self, condition, seconds=60):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "waited in vain"
            try:
                self.calls.get(timeout=0.05)()
            except queue.Empty:
                continue


@pytest.fixture
def loop():
    return Loop()
