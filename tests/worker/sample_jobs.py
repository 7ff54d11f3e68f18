"""Jobs for the tests of the worker; imported by its child process only."""

import ctypes
import os
import sys
import threading
import time

import numpy as np

from napari_unet.core.base.errors import InputError
from napari_unet.core.base.progress import Cancelled, Progress


def echo(request, report, cancelled):
    return request


def describe(request, report, cancelled):
    return {
        "pid": os.getpid(),
        "modules": sorted(sys.modules),
        "nice": os.nice(0) if sys.platform != "win32" else 5,
        "cwd_first": sys.path[0] in ("", os.getcwd()),  # noqa: PTH109
    }


def count(request, report, cancelled):
    for step in range(request["steps"]):
        report(Progress(step / request["steps"], f"step {step}", {"step": step}))
    if request.get("then_wait"):
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
    return np.full(request["size"], 7, np.uint8)


JOBS = {
    job.__name__: job
    for job in (
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
}
