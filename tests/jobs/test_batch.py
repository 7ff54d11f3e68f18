"""Batches on real schedulers with real worker processes, and what may befall them."""

import csv
import json
import os
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

import numpy as np
import psutil
import pytest
import tifffile
from distributed import Client, LocalCluster
from distributed.client import _get_global_client

import napari_unet
from napari_unet.cli.main import main
from napari_unet.core.base.errors import InputError
from napari_unet.core.base.params import BatchParams, SegmentParams
from napari_unet.core.base.progress import Cancelled
from napari_unet.io.export.export import export_labels
from napari_unet.jobs.batch import TABLE, BatchRequest, Order, plan_batch, run_batch, segment_files
from napari_unet.jobs.batch_task import Settings, Task, hash_image, segment_file
from napari_unet.jobs.cluster import check_versions, join_cluster, plan_threads, start_cluster

from ..patience import PATIENCE, TO_END


def plan(inputs, output, model, **options):
    return plan_batch(inputs, output, SegmentParams(model=str(model), **options))


@pytest.fixture(scope="module")
def processes():
    """A client of two worker processes, shared by the tests: each has TensorFlow to load."""
    with start_cluster(2) as client:
        yield client


@pytest.fixture
def threads():
    """The address of a real scheduler whose two workers are threads of this process."""
    with LocalCluster(
        n_workers=2, threads_per_worker=2, processes=False, protocol="tcp://", dashboard_address="127.0.0.1:0"
    ) as cluster:
        yield cluster.scheduler_address
    assert _get_global_client() is None, "whoever reads lazy pixels now would wait for a cluster that is gone"


@pytest.fixture
def make_images(tmp_path, bright_squares):
    """A function that writes a number of different images and returns their folder."""

    def make(count):
        (tmp_path / "images").mkdir()
        for index in range(count):
            image = np.roll(bright_squares[0], index, 0)
            tifffile.imwrite(tmp_path / "images" / f"field{index:02}.tif", image)
        return tmp_path / "images"

    return make


def read_table(output):
    with (output / TABLE).open(newline="") as file:
        return {Path(row["file"]).stem: row for row in csv.DictReader(file)}


def count(outcomes):
    return dict(Counter(outcome.status for outcome in outcomes))


def assert_complete(output, images, model):
    """Every image has its labels, record and row, once, and the labels are those of `segment`."""
    paths = sorted(images.glob("*.tif"))
    assert list(read_table(output)) == [path.stem for path in paths]
    expected = {TABLE, *(f"{path.stem}{ending}" for path in paths for ending in (".tif", ".json"))}
    assert {path.name for path in output.iterdir()} == expected
    for path in paths:
        labels = napari_unet.segment(tifffile.imread(path), model)
        np.testing.assert_array_equal(tifffile.imread(output / path.name), labels)


def test_two_processes_give_what_segment_gives_and_nothing_is_done_twice(
    processes, make_images, tiny_model, tmp_path
):
    images, output = make_images(8), tmp_path / "out"
    told = []
    outcomes = run_batch(processes, plan([images], output, tiny_model), told.append)
    assert count(outcomes) == {"done": 8}
    assert sorted(told, key=lambda outcome: outcome.file) == outcomes
    assert len({outcome.worker for outcome in outcomes}) == 2
    assert_complete(output, images, tiny_model)
    assert [(row["cells"], row["status"]) for row in read_table(output).values()] == [("3", "done")] * 8

    tifffile.imwrite(images / "field03.tif", np.roll(tifffile.imread(images / "field03.tif"), 5, 1))
    (output / "field05.tif").unlink()
    (output / "field06.json").write_text("{")
    again = run_batch(processes, plan([images], output, tiny_model))
    assert [int(o.file.stem[-2:]) for o in again if o.status == "done"] == [3, 5, 6]
    assert count(again) == {"done": 3, "kept": 5}
    assert_complete(output, images, tiny_model)
    other = run_batch(processes, plan([images], output, tiny_model, pixel_size=0.5))
    assert count(other) == {"done": 8}


def test_a_killed_worker_costs_nothing(make_images, tiny_model, tmp_path):
    images, output = make_images(24), tmp_path / "out"
    killed = []

    def kill_once(outcome):
        if not killed:
            killed.append(int(outcome.worker.split(":")[1]))
            psutil.Process(killed[0]).kill()
            (output / ".field02.json.a85a273e.tmp").touch()  # as if it had been writing that

    with start_cluster(2) as client:
        outcomes = run_batch(client, plan([images], output, tiny_model), kill_once)
    assert not psutil.pid_exists(killed[0])
    # What it had written when it died, but not yet told, is found finished by the next one.
    assert {outcome.status for outcome in outcomes} <= {"done", "kept"}
    assert_complete(output, images, tiny_model)


def test_a_killed_batch_goes_on_where_it_was(processes, make_images, tiny_model, tmp_path):
    images, output = make_images(60), tmp_path / "out"
    words = ["batch", images, "--output", output, "--model", tiny_model, "--workers", 2]
    batch = subprocess.Popen([sys.executable, "-m", "napari_unet.cli.main", *map(str, words)])
    deadline = time.monotonic() + PATIENCE
    while len(list(output.glob("*.json"))) < 3:
        assert batch.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    workers = psutil.Process(batch.pid).children(recursive=True)
    batch.kill()
    batch.wait()
    psutil.wait_procs(workers, timeout=TO_END)
    finished = {path.stem: path.stat().st_mtime_ns for path in output.glob("*.json")}
    assert len(finished) < 60
    (output / ".field59.tif.0badc0de.tmp").write_bytes(b"half")
    outcomes = run_batch(processes, plan([images], output, tiny_model))
    assert {outcome.file.stem for outcome in outcomes if outcome.status == "kept"} == set(finished)
    assert {stem: (output / f"{stem}.json").stat().st_mtime_ns for stem in finished} == finished
    assert count(outcomes) == {"kept": len(finished), "done": 60 - len(finished)}
    assert_complete(output, images, tiny_model)


def test_the_command_names_a_broken_file_and_goes_on(
    make_images, tiny_model, threads, write_ome_zarr, tmp_path, capsys
):
    images, output = make_images(3), tmp_path / "out"
    write_ome_zarr(images / "lazy.zarr", tifffile.imread(images / "field00.tif"), "YX")
    (images / "broken.tif").write_bytes(b"no image")
    tifffile.imwrite(images / "blank.tif", np.full((32, 32), 7, np.uint8))
    words = ["batch", images, "--output", output, "--model", tiny_model, "--scheduler", threads, "--json"]
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    assert ended.value.code == 1
    said = capsys.readouterr()
    assert "field01.tif: 3 cells" in said.err
    summary = said.err[said.err.index("napari-unet: ") :]
    assert "2 of 6 images failed" in summary
    assert "broken.tif is damaged" in summary
    assert "blank.tif: " in summary
    results = json.loads(said.out)["results"]
    status = {Path(row["file"]).name: row["status"] for row in results}
    assert status == {f"field0{n}.tif": "done" for n in range(3)} | {
        "lazy.zarr": "done",
        "broken.tif": "failed",
        "blank.tif": "failed",
    }
    assert read_table(output)["broken"]["error"] in said.err
    np.testing.assert_array_equal(
        tifffile.imread(output / "lazy.tif"), tifffile.imread(output / "field00.tif")
    )


def test_what_is_to_be_said_of_images_is_in_records_the_table_and_at_the_end(
    make_images, tiny_model, threads, write_ome_zarr, bright_squares, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("napari_unet.io.lazy.LARGE", 64 * 80)
    images, output = make_images(2), tmp_path / "out"
    write_ome_zarr(images / "plate.zarr", np.tile(bright_squares[0], (2, 2)), "YX")
    words = ["batch", images, "--output", output, "--model", tiny_model, "--scheduler", threads, "--json"]
    for status in ("done", "kept"):
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        assert not ended.value.code
        said = capsys.readouterr()
        notes = {Path(row["file"]).stem: row["notes"] for row in json.loads(said.out)["results"]}
        assert "of memory" in notes["plate"]
        assert notes == {"field00": "", "field01": "", "plate": notes["plate"]}
        assert {stem: row["notes"] for stem, row in read_table(output).items()} == notes
        assert said.err.rstrip().endswith(f"plate.zarr: {notes['plate']}")
        assert [notes["plate"]] == json.loads((output / "plate.json").read_text())["notes"]
        assert read_table(output)["plate"]["status"] == status


def test_a_pixel_size_that_is_not_borne_out_is_noted(make_images, tiny_model, tmp_path, monkeypatch):
    def question(model, prediction, pixel_size):
        return f"Pixels of {pixel_size} um are too large."

    monkeypatch.setattr("napari_unet.nn.model.Model.question_pixels", question)
    (task, _) = plan([make_images(2)], tmp_path / "out", tiny_model, pixel_size=5.0)
    assert segment_file(task).notes == "Pixels of 5.0 um are too large."
    kept = segment_file(task)
    assert (kept.status, kept.notes) == ("kept", "Pixels of 5.0 um are too large.")
    record = json.loads(task.record.read_text())
    del record["notes"]  # as before there were notes
    task.record.write_text(json.dumps(record))
    assert (segment_file(task).status, segment_file(task).notes) == ("kept", "")


def test_a_full_disk_stops_the_batch_and_keeps_what_is_finished(
    make_images, tiny_model, threads, tmp_path, monkeypatch
):
    images, output = make_images(6), tmp_path / "out"

    def full(*args):
        raise OSError(28, "No space left on device")

    def fill(outcome):
        monkeypatch.setattr("napari_unet.io.atomic.write", full)

    with join_cluster(threads) as client:
        with pytest.raises(InputError, match=r"No space left on device.*same command again"):
            run_batch(client, plan([images], output, tiny_model), fill)
        with pytest.raises(InputError, match=r"Nothing can be written.*No space left"):
            plan([images], output, tiny_model)
        monkeypatch.undo()
        finished = len(list(output.glob("*.json")))
        assert 1 <= finished < 6
        outcomes = run_batch(client, plan([images], output, tiny_model))
    # An image that was being written when the disk was full may be finished once there is room again.
    kept = count(outcomes)["kept"]
    assert finished <= kept < 6
    assert count(outcomes) == {"kept": kept, "done": 6 - kept}
    assert_complete(output, images, tiny_model)


def test_a_batch_that_cannot_work_is_refused_before_it_starts(make_images, tiny_model, tmp_path):
    images = make_images(2)
    with pytest.raises(InputError, match="choose another folder"):
        plan([images], images, tiny_model)
    with pytest.raises(InputError, match="Nothing can be written"):
        plan([images], tiny_model / "out", tiny_model)
    with pytest.raises(InputError, match="no model called 'unknown'"):
        plan([images], tmp_path / "out", "unknown")
    (images / "FIELD00.ome.tif").write_bytes(b"x")
    with pytest.raises(InputError, match="both be written"):
        plan([images], tmp_path / "out", tiny_model)


@pytest.mark.parametrize(
    "error", [PermissionError(13, "Permission denied"), OSError(30, "Read-only file system")]
)
def test_a_folder_that_cannot_be_written_is_refused_before_and_stops_a_batch_on_its_way(
    make_images, tiny_model, threads, tmp_path, monkeypatch, error
):
    """By the errors that systems give: nothing is read-only to the owner of the machine, who may run this."""
    images, output = make_images(20), tmp_path / "out"

    def refuse(*args):
        raise error

    def protect(outcome):
        monkeypatch.setattr("napari_unet.io.atomic.write", refuse)

    with join_cluster(threads) as client:
        with pytest.raises(InputError, match=rf"{error.strerror}.*same command again"):
            run_batch(client, plan([images], output, tiny_model), protect)
        with pytest.raises(
            InputError, match=rf"Nothing can be written to .*out \({error.strerror}\): choose"
        ):
            plan([images], output, tiny_model)
        finished = len(list(output.glob("*.json")))
        assert 1 <= finished < 20
        assert len(list(output.glob("*.tif"))) >= finished


def test_a_cancelled_batch_stops_soon_with_its_table_and_goes_on(make_images, tiny_model, threads, tmp_path):
    images, output, told = make_images(12), tmp_path / "out", []
    order = Order(output, SegmentParams(model=str(tiny_model)), BatchParams(scheduler=threads))
    request = BatchRequest((images,), order)

    def hear(progress):
        told.extend(progress.news)

    with pytest.raises(Cancelled):
        segment_files(request, hear, lambda: bool(told))
    assert 1 <= len(told) < 12
    rows = read_table(output)
    assert len(rows) == 12
    assert sum(row["status"] == "done" for row in rows.values()) == len(told)
    outcomes = segment_files(request, hear, lambda: False)
    assert count(outcomes)["kept"] >= 1
    assert set(count(outcomes)) <= {"kept", "done"}
    assert_complete(output, images, tiny_model)


def test_images_are_segmented_again_by_a_network_that_looks_more_often(make_images, tiny_model, tmp_path):
    folder = make_images(1)

    def run(views):
        (task,) = plan([folder], tmp_path / "labels", tiny_model, views=views)
        return segment_file(task)

    assert [run(views).status for views in (1, 1, 2, 2)] == ["done", "kept", "done", "kept"]
    with pytest.raises(InputError, match="Views: Input should be less than or equal to 8"):
        SegmentParams.of(views=9)


def test_a_worker_with_another_model_is_found_out(make_images, tiny_model, tmp_path):
    image = make_images(1) / "field00.tif"
    task = Task(image, tmp_path / "field00.tif", (str(tiny_model),), Settings(model="0" * 64))
    outcome = segment_file(task)
    assert outcome.status == "failed"
    assert "another model" in outcome.error
    assert not task.labels.exists()


def test_exported_labels_do_not_make_an_ome_zarr_image_another(write_ome_zarr, bright_squares, tmp_path):
    path = write_ome_zarr(tmp_path / "a.zarr", bright_squares[0], "YX")
    before = hash_image(path)
    export_labels(path, bright_squares[1])
    assert hash_image(path) == before
    next(file for file in (path / "s0" / "c").rglob("*") if file.is_file()).write_bytes(b"other")
    assert hash_image(path) != before


def test_a_cluster_of_ours_is_closed_to_others(processes):
    here = psutil.Process()
    addresses = {
        connection.laddr.ip
        for process in (here, *here.children(recursive=True))
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses == {"127.0.0.1"}
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(
            f"{processes.cluster.dashboard_link.split('/status')[0]}/info/main/workers.html"
        )
    address = processes.scheduler.address
    assert address.startswith("tls://")
    # A stranger who does not mind whom it talks to, and has no certificate of its own.
    careless = ssl.create_default_context()
    careless.check_hostname, careless.verify_mode = False, ssl.CERT_NONE
    host, port = address.removeprefix("tls://").split(":")
    with (
        pytest.raises(ssl.SSLError, match=r"(?i)certificate.required"),
        socket.create_connection((host, int(port)), timeout=PATIENCE) as plain,
        careless.wrap_socket(plain) as stranger,
    ):
        stranger.recv(1)
    with Client(address, security=processes.security, timeout=PATIENCE, set_as_default=False) as friend:
        assert len(friend.scheduler_info()["workers"]) == 2


def test_no_time_is_spent_on_what_to_correct_next(make_images, tiny_model, tmp_path, monkeypatch):
    def find(card, cells, plane):
        pytest.fail("nobody corrects anything during a batch")

    monkeypatch.setattr("napari_unet.jobs.segmentation.find_doubts", find)
    (task, _) = plan([make_images(2)], tmp_path / "out", tiny_model)
    assert segment_file(task).status == "done"


def test_workers_keep_their_memory(processes):
    assert set(processes.run(os.environ.get, "MALLOC_TRIM_THRESHOLD_").values()) == {None}


def test_workers_share_the_cores(processes):
    names = ["TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"]
    told = processes.run(lambda: [os.environ[name] for name in names])
    assert list(told.values()) == [[str(plan_threads(2))] * 2] * 2


def test_an_unusable_scheduler_is_one_sentence(monkeypatch):
    monkeypatch.setattr("napari_unet.jobs.cluster._SECONDS_TO_CONNECT", 1)
    monkeypatch.setattr("napari_unet.jobs.cluster._SECONDS_FOR_A_WORKER", 1)
    for address in ("tcp://127.0.0.1:1", "127.0.0.1:1", "nonsense://x", "tls://127.0.0.1:1"):
        with pytest.raises(InputError, match="No Dask scheduler answers at"), join_cluster(address):
            pass
    with (
        LocalCluster(
            n_workers=0, processes=False, protocol="tcp://", dashboard_address="127.0.0.1:0"
        ) as empty,
        pytest.raises(InputError, match="has no workers"),
        join_cluster(empty.scheduler_address),
    ):
        pass


def test_other_versions_are_named(threads):
    with join_cluster(threads) as client:
        told = client.get_versions(packages=["napari-unet", "keras"])
    check_versions(told)
    worker = next(iter(told["workers"]))
    told["workers"][worker] = {"packages": {**told["client"]["packages"], "keras": "2.0"}}
    with pytest.raises(InputError, match=f"Here is keras .* but the worker {worker} has 2.0"):
        check_versions(told)
    told["scheduler"] = {"packages": {**told["client"]["packages"], "distributed": None}}
    with pytest.raises(InputError, match="but the scheduler has none"):
        check_versions(told)


def test_a_missing_extra_is_one_sentence(make_images, tiny_model, tmp_path, monkeypatch, capsys):
    words = ["batch", make_images(1), "--output", tmp_path / "out", "--model", tiny_model]
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SystemExit):
        main([*map(str, words), "--workers", "1"])
    assert "pip install 'napari-unet[cluster]'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*map(str, words), "--workers", "1", "--scheduler", "tcp://127.0.0.1:1"])
    assert "not both" in capsys.readouterr().err
