"""Jobs for the tests of the worker, imported by its child process too; `ask` makes the request for one."""

import ctypes
import os
import sys
import threading
import time
from dataclasses import dataclass, field, make_dataclass
from typing import Any

import numpy as np

from napari_unet.core.base.errors import InputError
from napari_unet.core.base.progress import Cancelled, Progress
from napari_unet.worker.job import Request


@dataclass(frozen=True)
class Asked(Request[Any]):
    """Base of the requests: one class for each job, with what that is told."""

    told: dict[str, Any] = field(default_factory=dict)


def echo(request, report, cancelled):
    return request.told


def describe(request, report, cancelled):
    return {
        "pid": os.getpid(),
        "modules": sorted(sys.modules),
        "nice": os.nice(0) if sys.platform != "win32" else 5,
        "cwd_first": sys.path[0] in ("", os.getcwd()),  # noqa: PTH109
    }


def count(request, report, cancelled):
    for step in range(request.told["steps"]):
        report(Progress(step / request.told["steps"], f"step {step}", {"step": step}))
    if request.told.get("then_wait"):
        wait_for_cancel(request, report, cancelled)


def wait_for_cancel(request, report, cancelled):
    report(Progress(message="waiting"))
    while not cancelled():
        time.sleep(0.01)
    raise Cancelled


def ignore_cancel(request, report, cancelled):
    report(Progress(message="busy"))
    time.sleep(600)


def hold_the_interpreter(request, report, cancelled):
    report(Progress(message="busy"))
    if sys.platform == "win32":
        ctypes.PyDLL("kernel32").Sleep(600_000)
    else:
        ctypes.PyDLL(None).sleep(600)


def compute(request, report, cancelled):
    report(Progress(message=str(os.getpid())))
    while True:
        np.linalg.svd(np.ones((200, 200)))


def refuse(request, report, cancelled):
    raise InputError("The image has no pixels: choose another one.")


def divide(request, report, cancelled):
    return 1 / 0


def exhaust(request, report, cancelled):
    raise MemoryError


def leave(request, report, cancelled):
    sys.exit(3)


def crash(request, report, cancelled):
    os._exit(3)


def fault(request, report, cancelled):
    ctypes.string_at(0)


def unpicklable(request, report, cancelled):
    return {"labels": np.zeros(100_000), "lock": threading.Lock()}


def large(request, report, cancelled):
    return np.full(request.told["size"], 7, np.uint8)


DOING = (
    echo,
    describe,
    count,
    wait_for_cancel,
    ignore_cancel,
    hold_the_interpreter,
    compute,
    refuse,
    divide,
    exhaust,
    leave,
    crash,
    fault,
    unpicklable,
    large,
)
KINDS = {job.__name__: make_dataclass(job.__name__.title(), [], bases=(Asked,), frozen=True) for job in DOING}
for kind in KINDS.values():  # so that pickle finds them
    kind.__module__ = __name__
    globals()[kind.__name__] = kind
JOBS = {KINDS[job.__name__]: job for job in DOING}


def ask(name, **told):
    """Return the request for the job of that name; one for which there is none, where no job is called so."""
    return KINDS.get(name, Asked)(told)
