"""A batch for the tests of its session, without a network; imported by the worker's child process only.

What becomes of an image depends on its name.
"""

import os
import time

from napari_unet.core.base.errors import InputError
from napari_unet.core.base.progress import Cancelled, Progress
from napari_unet.jobs.batch import BatchRequest
from napari_unet.jobs.batch_task import Outcome


def segment_files(request, report, cancelled):
    outcomes = []
    report(Progress(message="Starting 1 worker process"))
    for file in request.inputs:
        if file.stem == "deadly":
            os._exit(3)
        if file.stem == "refused":
            raise InputError("Nothing can be written there: choose another folder.")
        if file.stem == "endless":
            while not cancelled():
                time.sleep(0.01)
            raise Cancelled
        outcome = Outcome(file, 3, 0.1, "here:1", "done")
        if file.stem == "broken":
            outcome = Outcome(file, status="failed", error="broken.tif is damaged.")
        if file.stem == "odd":
            outcome = Outcome(file, 3, 0.1, "here:1", "done", notes="Its pixels are odd.")
        outcomes.append(outcome)
        report(Progress(news=(outcome,)))
    return outcomes


JOBS = {BatchRequest: segment_files}
