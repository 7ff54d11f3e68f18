"""Worker processes for many images: a cluster of our own on this machine, or one that is already running.

Whoever can talk to a Dask scheduler can run code as its owner, and other users of this machine reach its
loopback addresses. A cluster that is started here therefore listens on 127.0.0.1 only *and* asks everyone for
a certificate that is made for this one run and known to its processes alone.
"""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from napari_unet.core.base import InputError

if TYPE_CHECKING:
    from distributed import Client

MISSING = (
    "A batch needs the packages distributed and cryptography: install them with "
    "pip install 'napari-unet[cluster]'."
)
BYTES_PER_WORKER = 2 << 30
"""What a worker process may need: TensorFlow, a model and the planes of an image."""

_SAME_VERSIONS = ("napari-unet", "keras", "numpy", "dask", "distributed")
_LOOPBACK = "127.0.0.1"
_SECONDS_TO_CONNECT = 10
_SECONDS_FOR_A_WORKER = 60

_LOCAL_SETTINGS: dict[str, Any] = {
    # One image at a time for each worker: if it dies, no other image is suspected of having killed it.
    "distributed.scheduler.worker-saturation": 1.0,
    # A large image may keep a worker from answering for minutes; one that has died is noticed at once.
    "distributed.scheduler.worker-ttl": None,
    # Pages about the cluster would be open to every user of this machine.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.profile.enabled": False,
    # With Dask's value every array is given back, and a network has to ask for it again and again.
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
}


def plan_workers(tasks: int) -> int:
    """Return how many worker processes suit `tasks` images here: one for each core that has the memory."""
    with _needs_distributed():
        from dask.system import CPU_COUNT
        from distributed.system import MEMORY_LIMIT
    return max(1, min(CPU_COUNT, MEMORY_LIMIT // BYTES_PER_WORKER, tasks))


def plan_threads(workers: int) -> int:
    """Return how many threads the network may use in each of `workers` processes that share the cores."""
    with _needs_distributed():
        from dask.system import CPU_COUNT
    return max(1, CPU_COUNT // workers)


def is_installed() -> bool:
    """Return whether the extra `cluster` is installed; nothing of it is imported, for that takes a second."""
    return all(find_spec(name) is not None for name in ("distributed", "cryptography"))


@contextmanager
def open_cluster(
    scheduler: str | None, workers: int | None, tasks: int, say: Callable[[str], object]
) -> Iterator[Client]:
    """Yield a client of the scheduler at an address, else of processes that end with the block.

    Of those there are `workers`, by default as many as suit `tasks` images; `say` is told. Raises InputError
    as `join_cluster` and `start_cluster` do.
    """
    if scheduler:
        say(f"Connecting to {scheduler}")
        opened = join_cluster(scheduler)
    else:
        count = min(workers or plan_workers(tasks), tasks)
        processes, threads = f"{count} worker process{'es' * (count > 1)}", plan_threads(count)
        share = f"of {threads} thread{'s' * (threads > 1)}{' each' * (count > 1)}"
        say(f"Starting {processes} {share} for {tasks} image{'s' * (tasks > 1)}")
        opened = start_cluster(count)
    with opened as client:
        yield client


@contextmanager
def start_cluster(workers: int, threads: int | None = None) -> Iterator[Client]:
    """Start `workers` processes on this machine and yield a client of theirs; they end with the block.

    The network uses `threads` threads in each (default: the cores, shared equally). A process that dies is
    replaced. Raises InputError where the extra `cluster` is not installed.
    """
    with _needs_distributed():
        import cryptography  # noqa: F401 - distributed asks for it only when the certificate is made
        import dask
        from distributed import Client, LocalCluster
        from distributed.security import Security
    count = str(threads or plan_threads(workers))
    environment = {
        "TF_NUM_INTRAOP_THREADS": count,
        "TF_NUM_INTEROP_THREADS": count,
        # By default the first process takes the whole memory of a graphics card.
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    }
    with (
        dask.config.set(_LOCAL_SETTINGS),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            host=_LOOPBACK,
            security=Security.temporary(),
            dashboard_address=f"{_LOOPBACK}:0",
            scheduler_kwargs={"dashboard": False},
            # Dask would pause a worker for good whose libraries keep most of its share.
            memory_limit=None,
            env=environment,
            preload=__name__,
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


@contextmanager
def join_cluster(address: str) -> Iterator[Client]:
    """Yield a client of the scheduler at `address`, such as tcp://host:8786.

    For tls:// the certificates are those of Dask's configuration (`distributed.comm.tls`). Raises InputError
    for an address without a scheduler, a cluster without workers, and other versions than those here.
    """
    with _needs_distributed():
        from distributed import Client
        from distributed.utils import silence_logging_cmgr
        from distributed.versions import VersionMismatchWarning
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", VersionMismatchWarning)  # told below, in a sentence
            client = Client(address, timeout=_SECONDS_TO_CONNECT, set_as_default=False)
    except (OSError, ValueError, TypeError, ImportError) as error:
        raise InputError(
            f"No Dask scheduler answers at {address}: check that it is running, the address "
            "(tcp://host:port, or tls://host:port with certificates), and that its Dask has the version of "
            "the one here."
        ) from error
    with silence_logging_cmgr(logging.CRITICAL), client:
        try:
            client.wait_for_workers(1, timeout=_SECONDS_FOR_A_WORKER)
        except TimeoutError as error:
            raise InputError(
                f"The scheduler at {address} has no workers: start some with 'dask worker {address} "
                "--nthreads 1'."
            ) from error
        check_versions(client.get_versions(packages=[*_SAME_VERSIONS]))
        yield client


def dask_setup(_worker: object) -> None:
    """Called by Dask in each process of our clusters: Ctrl-C is for the batch, which then ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def check_versions(told: Any) -> None:
    """Raise InputError where the scheduler or a worker has other versions than this process.

    `told` is what `Client.get_versions` returns. Results must not depend on which worker computes them.
    """
    here = _list_versions(told["client"])
    places = {"the scheduler": told["scheduler"]}
    places |= {f"the worker {address}": of_worker for address, of_worker in told["workers"].items()}
    for place, of_place in places.items():
        there = _list_versions(of_place)
        for name, version in here.items():
            if place == "the scheduler" and name not in ("python", "dask", "distributed"):
                continue
            if there.get(name) != version:
                raise InputError(
                    f"Here is {name} {version}, but {place} has {there.get(name) or 'none'}: install the "
                    "same versions everywhere."
                )


def _list_versions(told: Any) -> dict[str, str | None]:
    packages = told["packages"]
    python = ".".join(str(packages["python"]).split(".")[:2])
    return {"python": python, **{name: packages.get(name) for name in _SAME_VERSIONS}}


@contextmanager
def _needs_distributed() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise InputError(MISSING) from error
