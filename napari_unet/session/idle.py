"""What the worker does while nobody waits for it, and drops at once for what the user asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from napari_unet.session.runner import Runner
from napari_unet.worker import Job, Request, Result, Worker

_PATIENCE = 60.0  # s, that a job has to make way in

Kind = type[Request[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class _Order:
    request: Request[Any]
    done: Callable[[Any], object]


class IdleWork:
    """Jobs that are done one after the other between the runs of a `runner`, and anew where one began.

    Used from the thread of the runner. Of one class of requests there is one at most: a later one takes its
    place.
    """

    def __init__(self, worker: Worker, runner: Runner) -> None:
        self._worker, self._runner = worker, runner
        self._orders: dict[Kind, _Order] = {}
        self._begun: _Order | None = None
        self._job: Job[Any] | None = None
        runner.changed.connect(self._go_on)

    def do(self, request: Request[Result], done: Callable[[Result], object]) -> None:
        """Let the worker do a job once there is nothing else to do, and call `done(result)`."""
        self.drop(type(request))
        self._orders[type(request)] = _Order(request, done)
        self._go_on()

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to be done."""
        return self._begun is None and not self._orders

    def drop(self, kind: Kind) -> None:
        """Do the job for requests of this class no more."""
        self._orders.pop(kind, None)
        if self._begun is not None and type(self._begun.request) is kind:
            self._make_way()

    def _go_on(self) -> None:
        if self._runner.run is not None:
            self._make_way()
        elif self._begun is None and self._orders:
            self._begun = order = next(iter(self._orders.values()))
            self._job = self._worker.submit(order.request)
            self._runner.follow_quietly(
                self._job, lambda result: self._end(order, result), lambda: self._end(order, failed=True)
            )

    def _make_way(self) -> None:
        """Cancel the job that has begun; its order stays."""
        if self._job is not None:
            self._job.cancel(_PATIENCE)
        self._job = None

    def _end(self, order: _Order, result: Any = None, *, failed: bool = False) -> None:
        """Note that a job has come to its end, with a result or without."""
        gave_up = self._job is not None and failed  # it would fail again
        self._begun = self._job = None
        if self._orders.get(type(order.request)) is order and (gave_up or not failed):
            del self._orders[type(order.request)]
            if not failed:
                order.done(result)
        self._go_on()
