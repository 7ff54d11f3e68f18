"""How long a test waits before it gives up: the one place for limits, in proportion to the machine's speed.

A wait ends when the thing happens, so a limit is only ever reached where something is wrong.
"""

import os
from time import perf_counter

_USUAL = 0.25
"""Seconds that the loop below takes on an idle machine of two cores."""
_MOST = 10.0


def measure_slowness() -> float:
    """Return how many times slower than usual a fixed loop runs on this machine now, 1 to 10."""
    start, total = perf_counter(), 0
    for number in range(2_000_000):
        total += number * number % 7
    return min(max(1.0, (perf_counter() - start) / _USUAL), _MOST)


SLOWNESS = float(os.environ.setdefault("NAPARI_UNET_TESTS_SLOWNESS", f"{measure_slowness():.2f}"))
"""Measured once, before the first test; the test run's other processes inherit it."""
PATIENCE = 900 * SLOWNESS
"""Seconds that any single wait may last."""
TO_END = 60 * SLOWNESS
"""Seconds that a process may take to end after its test."""
LONGEST_TEST = 3000 * SLOWNESS
"""Seconds after which a test that hangs is ended."""
