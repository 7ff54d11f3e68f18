"""Work on a thread of its own, one piece after the other; results come back to the thread that asked."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from napari_unet.core.base.progress import Progress
from napari_unet.worker.job import Job

Post = Callable[[Callable[[], object]], object]
Result = TypeVar("Result")


class Background:
    """One thread. `post(function)` must soon call the function on the thread that is to have the results."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._closed = False
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="napari-unet background")

    def do(
        self,
        work: Callable[[], Result],
        finish: Callable[[Result], object],
        fail: Callable[[BaseException], object],
        post: Post | None = None,
    ) -> None:
        """Do `work` on the thread; then `finish(result)` or `fail(error)` is posted, with `post` if given."""
        if self._closed:
            return

        def conclude(future: Future[Result]) -> None:
            if self._closed or future.cancelled():
                return
            try:
                result = future.result()
            except (Exception, CancelledError) as error:
                fail(error)
            else:
                finish(result)

        future = self._executor.submit(work)
        future.add_done_callback(lambda future: (post or self._post)(partial(conclude, future)))

    def follow(
        self,
        job: Job,
        *,
        progress: Callable[[Progress], object],
        done: Callable[[object], object],
        failed: Callable[[str, str], object],
        cancelled: Callable[[], object],
    ) -> None:
        """Post what a job in the worker process tells."""

        def posted(function: Callable[..., object]) -> Callable[..., None]:
            def tell(*values: object) -> None:
                self._post(lambda: None if self._closed else function(*values))

            return tell

        # psygnal looks at a callback's arguments, so that each needs its own signature.
        tell_progress, tell_done, tell_failed = posted(progress), posted(done), posted(failed)
        job.connect(
            progress=lambda value: tell_progress(value),
            done=lambda result: tell_done(result),
            failed=lambda message, trace: tell_failed(message, trace),
            cancelled=lambda: posted(cancelled)(),
        )

    def close(self) -> None:
        """Begin nothing more and post nothing more; returns at once."""
        self._closed = True
        self._executor.shutdown(wait=False, cancel_futures=True)
