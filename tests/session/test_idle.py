"""What is done while nobody waits makes way for what the user asks, and comes again afterwards."""

import logging
from pathlib import Path

import numpy as np
import pytest
from window_jobs import Wait

from napari_unet.core.base.params import SegmentParams
from napari_unet.jobs.protocol import EstimateRequest, Known, Outline, VerifyRequest
from napari_unet.session.idle import IdleWork
from napari_unet.session.runner import Activity, Runner
from napari_unet.session.session import Session
from napari_unet.session.source import Source
from napari_unet.store.project import Project
from napari_unet.worker.worker import Worker

from .test_session import UI_TESTS, write_model

ESTIMATE = EstimateRequest(image=Outline((9, 9), "uint8", ()), params=SegmentParams())


@pytest.fixture
def worker(tmp_path):
    worker = Worker("window_jobs", tmp_path / "log", paths=[UI_TESTS], grace=1.0)
    yield worker
    worker.stop()


@pytest.fixture
def runner(loop):
    runner = Runner(loop.calls.put, loop.calls.put)
    yield runner
    runner.close()


def test_a_job_is_done_when_there_is_nothing_else_to_do(worker, runner, loop):
    idle, results = IdleWork(worker, runner), []
    run = runner.begin(Activity.SEGMENTING, "busy")
    idle.do(ESTIMATE, results.append)
    run_for_a_while(loop)
    assert not results
    runner.end(run)
    runner.say("done")
    loop.run_until(lambda: results)
    assert "needs" in results[0]


def test_a_job_makes_way_and_is_done_afterwards(worker, runner, loop, tmp_path):
    idle, results, gate = IdleWork(worker, runner), [], tmp_path / "gate"
    idle.do(Wait(gate), results.append)
    loop.run_until(Path(f"{gate}.begun").exists)
    run = runner.begin(Activity.SEGMENTING, "busy")
    loop.run_until(Path(f"{gate}.cancelled").exists)
    gate.touch()
    assert not results
    runner.end(run)
    runner.say("done")
    loop.run_until(lambda: results)
    assert results == [2]


def test_a_job_that_fails_is_not_tried_again_and_the_next_one_is_done(worker, runner, loop, caplog):
    idle, results = IdleWork(worker, runner), []
    idle.do(VerifyRequest(Path("refusing.keras")), results.append)
    idle.do(ESTIMATE, results.append)
    with caplog.at_level(logging.INFO, "napari_unet"):
        loop.run_until(lambda: results)
    assert ["needs" in result for result in results] == [True]
    assert [record.levelname for record in caplog.records if "constant" in record.message] == ["INFO"]


def test_a_job_that_was_dropped_is_not_done(worker, runner, loop, tmp_path):
    idle, results, gate = IdleWork(worker, runner), [], tmp_path / "gate"
    idle.do(Wait(gate), results.append)
    loop.run_until(Path(f"{gate}.begun").exists)
    idle.drop(Wait)
    idle.do(ESTIMATE, results.append)
    loop.run_until(lambda: results)
    assert ["needs" in result for result in results] == [True]


def test_what_was_forgotten_is_measured_where_keep_has_put_the_model(tmp_path, loop, monkeypatch, caplog):
    monkeypatch.setattr("napari_unet.models.registry.BUNDLED", tmp_path / "nothing ships here")
    project = Project.open(tmp_path / "project")
    write_model(project.models_folder / "slow.keras")
    worker = Worker("window_jobs", tmp_path / "log", paths=[UI_TESTS], grace=1.0)
    session = Session(project, worker, loop.calls.put)
    data = np.full((60, 80), 10, np.uint8)
    data[10:30, 10:30] = 200
    session.segment(Source(id="1", name="plate", data=data))
    loop.run_until(lambda: session.run is None)
    (image,) = session.images.values()
    session.images.mark_reviewed(image.key, ((0, 60), (0, 80)))
    session.fine_tune(image.key)
    loop.run_until(lambda: session.trial is not None and session.run is None)
    trial, gate = session.trial, project.models_folder / "slow.gate"
    loop.run_until(Path(f"{gate}.begun").exists)
    assert not trial.known
    session.keep()
    gate.touch()
    loop.run_until(lambda: trial.known)
    assert trial.known_scores == Known(0.93, 0.92)  # of a file that is there
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    session.close()


def run_for_a_while(loop, seconds=0.5):
    import time

    end = time.monotonic() + seconds
    loop.run_until(lambda: time.monotonic() > end)
