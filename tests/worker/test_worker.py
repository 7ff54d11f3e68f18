"""Jobs run elsewhere and come back, can be stopped, and take nothing with them when they crash."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
from sample_jobs import ask

from napari_unet.core.base.errors import InputError
from napari_unet.core.base.progress import Cancelled
from napari_unet.worker.worker import JobError, JobState, Worker, WorkerCrashed

from ..patience import PATIENCE

HERE = Path(__file__).parent
SHARED = Path("/dev/shm")


def segments() -> set[str]:
    return {path.name for path in SHARED.glob("unet-*")} if SHARED.exists() else set()


def wait_until(condition, timeout=PATIENCE):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


class Listener:
    """Notes what a job emits."""

    def __init__(self, job):
        self.progress, self.endings = [], []
        self.ended = threading.Event()
        job.connect(
            progress=self.progress.append,
            done=lambda value: self.end("done", value),
            failed=lambda message, traceback: self.end("failed", message, traceback),
            cancelled=lambda: self.end("cancelled"),
        )

    def end(self, *ending):
        self.endings.append(ending)
        self.ended.set()

    def wait(self):
        assert self.ended.wait(PATIENCE)
        return self.endings


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log" / "worker.log"


@pytest.fixture
def worker(log):
    before = segments()
    worker = Worker("sample_jobs", log, paths=[HERE])
    yield worker
    worker.stop()
    assert not worker.alive
    assert segments() <= before
    assert "resource_tracker" not in (log.read_text() if log.exists() else "")


@pytest.fixture(scope="module")
def steady(tmp_path_factory):
    """A worker for the tests that leave its child alive."""
    before = segments()
    worker = Worker("sample_jobs", tmp_path_factory.mktemp("log") / "worker.log", paths=[HERE])
    pid = pid_of(worker)
    yield worker
    assert pid_of(worker) == pid
    worker.stop()
    assert segments() <= before
    assert "resource_tracker" not in worker.log.read_text()


def pid_of(worker) -> int:
    return worker.submit(ask("describe")).result(PATIENCE)["pid"]


def test_what_is_sent_comes_back(steady):
    before = segments()
    rng = np.random.default_rng(1)
    request = {
        "volume": rng.integers(0, 9, (5, 200, 300), np.int32),
        "strided": rng.random((600, 700))[::2, ::3],
        "fortran": np.asfortranarray(rng.random((300, 200), np.float32)),
        "big_endian": np.arange(50_000, dtype=">u2"),
        "empty": np.zeros((0, 4)),
        "scalar": np.array(3.5),
        "nested": [{"mask": np.ones((400, 400), bool)}, ("text", None, 2)],
    }
    result = steady.submit(ask("echo", **request)).result(PATIENCE)
    assert list(result) == list(request)
    for name in ("volume", "strided", "fortran", "big_endian", "empty", "scalar"):
        np.testing.assert_array_equal(result[name], request[name])
        assert result[name].dtype == request[name].dtype
    assert result["nested"][0]["mask"].all()
    assert result["nested"][1] == ("text", None, 2)
    result["volume"][0] = 0
    wait_until(lambda: segments() <= before)


def test_request_is_what_it_was_when_submitted(steady):
    first = steady.submit(ask("count", steps=1))
    labels = np.ones((500, 500), np.int32)
    job = steady.submit(ask("echo", labels=labels))
    labels[:] = 2
    first.result(PATIENCE)
    assert (job.result(PATIENCE)["labels"] == 1).all()


def test_child_works_in_the_background_and_away_from_the_current_folder(steady, tmp_path, monkeypatch):
    found = steady.submit(ask("describe")).result(PATIENCE)
    assert found["pid"] != os.getpid()
    assert "tensorflow" not in found["modules"]
    assert "napari" not in found["modules"]
    assert not found["cwd_first"]
    if sys.platform != "win32":
        assert found["nice"] > os.nice(0)


def test_script_beside_the_user_does_not_stand_in_for_a_module(worker, tmp_path, monkeypatch):
    (tmp_path / "numpy.py").write_text("raise RuntimeError('not this one')")
    monkeypatch.chdir(tmp_path)
    assert worker.submit(ask("echo", a=1)).result(PATIENCE) == {"a": 1}


def test_progress_is_thinned_but_the_first_and_the_last_arrive(steady):
    begin = time.monotonic()
    job = steady.submit(ask("count", steps=20_000))
    heard = Listener(job)
    assert heard.wait() == [("done", None)]
    seconds = time.monotonic() - begin
    steps = [progress.values["step"] for progress in heard.progress]
    assert steps == sorted(set(steps))
    assert steps[-1] == 19_999
    assert heard.progress[-1].fraction == pytest.approx(1, abs=1e-3)
    assert len(steps) <= seconds * 20 + 2


def test_latest_progress_arrives_though_the_job_is_silent_afterwards(steady):
    job = steady.submit(ask("count", steps=50, then_wait=True))
    heard = Listener(job)
    wait_until(lambda: heard.progress and heard.progress[-1].message == "waiting")
    job.cancel()
    assert heard.wait() == [("cancelled",)]


def test_jobs_run_in_order_even_when_submitted_from_several_threads(steady):
    results = {}

    def submit(thread):
        jobs = [steady.submit(ask("echo", value=(thread, n), pad=np.full(20_000, n))) for n in range(5)]
        results[thread] = [job.result(PATIENCE) for job in jobs]

    threads = [threading.Thread(target=submit, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    for thread in range(4):
        assert [result["value"] for result in results[thread]] == [(thread, n) for n in range(5)]
        assert all((result["pad"] == result["value"][1]).all() for result in results[thread])


def test_input_error_reaches_the_user_as_it_is(steady):
    heard = Listener(job := steady.submit(ask("refuse")))
    assert heard.wait() == [("failed", "The image has no pixels: choose another one.", "")]
    with pytest.raises(InputError, match="choose another one"):
        job.result(PATIENCE)


@pytest.mark.parametrize(
    ("name", "sentence", "traceback"),
    [
        ("divide", "ZeroDivisionError: division by zero", "return 1 / 0"),
        ("exhaust", "not enough memory", "MemoryError"),
        ("leave", "SystemExit: 3", "sys.exit(3)"),
        ("no_such_job", "no job for Asked", "LookupError"),
        ("unpicklable", "cannot pickle", "TypeError"),
    ],
)
def test_unexpected_error_gives_a_sentence_and_a_traceback_in_the_log(steady, name, sentence, traceback):
    heard = Listener(job := steady.submit(ask(name)))
    [(kind, message, details)] = heard.wait()
    assert kind == "failed"
    assert sentence in message
    assert "\n" not in message
    assert traceback in details
    assert traceback in steady.log.read_text()
    with pytest.raises(JobError) as caught:
        job.result(PATIENCE)
    assert caught.value.traceback == details
    assert steady.submit(ask("echo", a=1)).result(PATIENCE) == {"a": 1}


def test_module_that_cannot_be_imported_fails_its_jobs(log):
    worker = Worker("no_such_module", log, paths=[HERE])
    job = worker.submit(ask("echo"))
    with pytest.raises(JobError, match="no_such_module"):
        job.result(PATIENCE)
    worker.stop()


def test_request_that_cannot_be_pickled_is_refused_at_once(steady):
    with pytest.raises((TypeError, AttributeError)):
        steady.submit(ask("echo", lock=threading.Lock()))


def test_cancel_stops_a_job_that_listens_and_keeps_the_child(worker):
    pid = pid_of(worker)
    job = worker.submit(ask("wait_for_cancel", image=np.zeros((500, 500))))
    heard = Listener(job)
    wait_until(lambda: heard.progress)
    job.cancel(grace=PATIENCE)
    assert heard.wait() == [("cancelled",)]
    assert job.state is JobState.CANCELLED
    with pytest.raises(Cancelled):
        job.result(PATIENCE)
    job.cancel()
    assert job.state is JobState.CANCELLED
    assert pid_of(worker) == pid


@pytest.mark.parametrize("name", ["ignore_cancel", "hold_the_interpreter"])
def test_cancel_kills_a_job_that_does_not_listen_and_the_next_one_runs(worker, name):
    pid = pid_of(worker)
    job = worker.submit(ask(name, image=np.zeros((500, 500))))
    after = worker.submit(ask("describe"))
    heard = Listener(job)
    wait_until(lambda: heard.progress)
    job.cancel(grace=0.1)
    assert heard.wait() == [("cancelled",)]
    assert after.result(PATIENCE)["pid"] != pid
    assert not psutil.pid_exists(pid)


def test_job_that_has_not_begun_is_cancelled_without_the_child(worker):
    running = worker.submit(ask("wait_for_cancel"))
    waiting = worker.submit(ask("echo", image=np.zeros((500, 500))))
    heard = Listener(waiting)
    waiting.cancel()
    assert heard.endings == [("cancelled",)]
    running.cancel()
    with pytest.raises(Cancelled):
        running.result(PATIENCE)


def test_cancel_while_the_child_is_starting(worker):
    job = worker.submit(ask("wait_for_cancel"))
    job.cancel(grace=PATIENCE)
    with pytest.raises(Cancelled):
        job.result(PATIENCE)
    killed = worker.submit(ask("ignore_cancel"))
    worker.stop()
    with pytest.raises(Cancelled):
        killed.result(PATIENCE)


def test_child_that_is_killed_fails_its_job_only(worker):
    pid = pid_of(worker)
    job = worker.submit(ask("ignore_cancel", image=np.zeros((500, 500))))
    waiting = worker.submit(ask("echo", image=np.full((500, 500), 3)))
    heard = Listener(job)
    wait_until(lambda: heard.progress)
    psutil.Process(pid).kill()
    [(kind, message, _)] = heard.wait()
    assert kind == "failed"
    if sys.platform != "win32":
        assert message == (
            "The segmentation process stopped unexpectedly (killed by signal 9; the machine may be out of "
            "memory). Your work is safe; press the button again."
        )
    with pytest.raises(WorkerCrashed):
        job.result(PATIENCE)
    assert (waiting.result(PATIENCE)["image"] == 3).all()
    assert pid_of(worker) != pid


@pytest.mark.parametrize(("name", "reason"), [("crash", "exit code 3"), ("fault", "signal 11|exit code")])
def test_child_that_crashes_says_how(worker, name, reason):
    with pytest.raises(WorkerCrashed, match=reason) as caught:
        worker.submit(ask(name)).result(PATIENCE)
    if name == "fault":
        assert "sample_jobs.py" in caught.value.traceback
    assert worker.submit(ask("echo", a=1)).result(PATIENCE) == {"a": 1}


@pytest.mark.skipif(sys.platform == "win32", reason="there a segment ends with its last handle")
def test_child_killed_at_any_moment_of_sending_a_result_leaves_nothing(worker):
    rng = np.random.default_rng(5)
    for _ in range(8):
        pid = pid_of(worker)
        job = worker.submit(ask("large", size=60_000_000))
        time.sleep(rng.uniform(0, 0.1))
        os.kill(pid, signal.SIGKILL)
        with suppress(WorkerCrashed):
            assert (job.result(PATIENCE) == 7).all()
        wait_until(lambda: not worker.alive)


def test_killed_while_idle_goes_unnoticed(worker):
    pid = pid_of(worker)
    psutil.Process(pid).kill()
    wait_until(lambda: not worker.alive)
    assert worker.submit(ask("echo", a=1)).result(PATIENCE) == {"a": 1}


def test_stop_ends_everything_and_submit_starts_again(worker):
    pid = pid_of(worker)
    running = worker.submit(ask("hold_the_interpreter"))
    waiting = worker.submit(ask("echo", image=np.zeros((500, 500))))
    heard = Listener(running)
    wait_until(lambda: heard.progress)
    worker.stop()
    assert not psutil.pid_exists(pid)
    assert heard.wait() == [("cancelled",)]
    with pytest.raises(Cancelled):
        waiting.result(PATIENCE)
    worker.stop()
    assert worker.submit(ask("echo", a=1)).result(PATIENCE) == {"a": 1}


def test_two_workers_side_by_side(worker, log):
    other = Worker("sample_jobs", log, paths=[HERE])
    blocked = worker.submit(ask("wait_for_cancel"))
    assert other.submit(ask("echo", a=1)).result(PATIENCE) == {"a": 1}
    other.stop()
    assert blocked.state is JobState.RUNNING
    blocked.cancel()
    with pytest.raises(Cancelled):
        blocked.result(PATIENCE)


def test_start_makes_ready(worker):
    ready = threading.Event()
    worker.ready.connect(lambda: ready.set())
    worker.start()
    assert worker.alive
    worker.start()
    assert ready.wait(PATIENCE)


def test_end_of_a_job_that_has_ended_is_told_to_who_comes_late(steady):
    job = steady.submit(ask("echo", a=1))
    job.result(PATIENCE)
    assert Listener(job).endings == [("done", {"a": 1})]


def test_latest_progress_is_told_to_who_comes_late(steady):
    job = steady.submit(ask("wait_for_cancel"))
    first = Listener(job)
    wait_until(lambda: first.progress)
    second = Listener(job)
    assert second.progress == first.progress
    job.cancel()
    assert second.wait() == [("cancelled",)]


def test_listener_that_fails_does_not_stop_the_worker(steady):
    job = steady.submit(ask("count", steps=1))
    job.connect(done=lambda value: 1 / 0)
    job.result(PATIENCE)
    assert steady.submit(ask("echo", a=1)).result(PATIENCE) == {"a": 1}


def test_result_waits_no_longer_than_asked(worker):
    job = worker.submit(ask("wait_for_cancel"))
    with pytest.raises(TimeoutError):
        job.result(0.05)


def test_submit_costs_about_a_copy(steady):
    image = np.ones(64 * 2**20, np.uint8)
    steady.submit(ask("echo", a=1)).result(PATIENCE)
    copy, submit = [], []
    for _ in range(7):
        begin = time.perf_counter()
        np.copyto(np.empty_like(image), image)  # into memory that is new, as that of the request is
        copy.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        job = steady.submit(ask("count", steps=0, image=image))
        submit.append(time.perf_counter() - begin)
        job.result(PATIENCE)
    # Shared memory comes in small pages, the other in huge ones: 3 to 5 times a copy where all is quiet.
    assert min(submit) < 20 * min(copy)


def test_log_is_put_aside_when_it_has_grown(worker, log):
    log.parent.mkdir()
    log.write_bytes(b"x" * 2_000_000)
    worker.submit(ask("echo")).result(PATIENCE)
    assert log.stat().st_size < 10_000
    assert log.with_name("worker.log.1").stat().st_size == 2_000_000


def test_log_that_cannot_be_written_is_done_without(tmp_path):
    (tmp_path / "file").write_text("")
    worker = Worker("sample_jobs", tmp_path / "file" / "worker.log", paths=[HERE])
    assert worker.submit(ask("echo", a=1)).result(PATIENCE) == {"a": 1}
    worker.stop()


PARENT = """
import sys, time
import numpy as np
sys.path.insert(0, str({here!r}))
from sample_jobs import ask
from napari_unet.worker.worker import Worker
worker = Worker("sample_jobs", {log!r}, paths=[{here!r}])
job = worker.submit(ask({job!r}, image=np.zeros((500, 500))))
job.progress.connect(lambda progress: print(progress.message, flush=True))
time.sleep({seconds})
"""


def run_parent(log: Path, job: str, seconds: float) -> subprocess.Popen[str]:
    code = PARENT.format(log=log, here=HERE, job=job, seconds=seconds)
    code = code.replace("PosixPath", "Path").replace("WindowsPath", "Path")
    return subprocess.Popen(
        [sys.executable, "-c", "from pathlib import Path\n" + code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_child_ends_when_its_parent_is_killed(log):
    before = segments()
    parent = run_parent(log, "compute", PATIENCE)
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    _, errors = parent.communicate(timeout=PATIENCE)
    child.wait(PATIENCE)
    assert errors == ""
    wait_until(lambda: segments() <= before)


def test_parent_that_ends_takes_the_child_along_in_silence(log):
    before = segments()
    parent = run_parent(log, "compute", 1)
    child = psutil.Process(int(parent.stdout.readline()))
    _, errors = parent.communicate(timeout=PATIENCE)
    child.wait(PATIENCE)
    assert parent.returncode == 0
    assert errors == ""
    assert segments() <= before
    assert "resource_tracker" not in log.read_text()
