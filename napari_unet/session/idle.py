"""What the worker does while nobody waits for it, and drops at once for what the user asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from napari_unet.session.runner import Runner
from napari_unet.worker import Job, Worker

_PATIENCE = 60.0  # s, that a job has to make way in

Done = Callable[[Any], object]


@dataclass(frozen=True, slots=True, eq=False)
class _Order:
    name: str
    request: dict[str, Any]
    done: Done


class IdleWork:
    """Jobs that are done one after the other between the runs of a `runner`, and anew where one began.

    Used from the thread of the runner. Of one name there is one job at most: a later one takes its place.
    """

    def __init__(self, worker: Worker, runner: Runner) -> None:
        self._worker, self._runner = worker, runner
        self._orders: dict[str, _Order] = {}
        self._begun: _Order | None = None
        self._job: Job | None = None
        runner.changed.connect(self._go_on)

    def do(self, name: str, done: Done, **request: Any) -> None:
        """Let the worker do the job `name` once there is nothing else to do, and call `done(result)`."""
        self.drop(name)
        self._orders[name] = _Order(name, request, done)
        self._go_on()

    def drop(self, name: str) -> None:
        """Do the job `name` no more."""
        self._orders.pop(name, None)
        if self._begun is not None and self._begun.name == name:
            self._make_way()

    def _go_on(self) -> None:
        if self._runner.run is not None:
            self._make_way()
        elif self._begun is None and self._orders:
            self._begun = order = next(iter(self._orders.values()))
            self._job = self._worker.submit(order.name, **order.request)
            self._runner.follow_quietly(
                self._job, lambda result: self._end(order, result), lambda: self._end(order)
            )

    def _make_way(self) -> None:
        """Cancel the job that has begun; its order stays."""
        if self._job is not None:
            self._job.cancel(_PATIENCE)
        self._job = None

    def _end(self, order: _Order, result: Any = None) -> None:
        """Note that a job has come to its end, with a result or without."""
        gave_up = self._job is not None and result is None  # it failed: it would fail again
        self._begun = self._job = None
        if self._orders.get(order.name) is order and (gave_up or result is not None):
            del self._orders[order.name]
            if result is not None:
                order.done(result)
        self._go_on()
