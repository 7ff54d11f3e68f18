"""What is done with images that are too large to be corrected as a whole: cut out regions, segment all of it.

The cells of all of it lie in the project, as a label image on the disk; those of a region are taken from
there where it is there, and put back there.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_unet.core.base import Cancelled, InputError, Progress, SegmentParams
from napari_unet.core.image import Channels
from napari_unet.core.review import Review
from napari_unet.io import add_labels, is_zarr
from napari_unet.jobs import EstimateRequest, LargeRequest, LargeResult, Outline
from napari_unet.session.image import OpenImage
from napari_unet.session.images import OpenImages
from napari_unet.session.runner import Activity, Run, Runner
from napari_unet.session.scope import WHOLE, Scope, View
from napari_unet.store import DiskCells, ImageRecord, Project, Region, check_size, find_known, read_region
from napari_unet.worker import Job, Worker

_HIGHEST, _WRITTEN = "highest_cell", "written"

Shown = tuple[list[Any], int]
"""The levels of cells on the disk, and how many steps can be taken back."""


class Regions:
    """The regions of large images, and their cells on the disk; used from the window's thread.

    `model()` returns the model in use, `describe(image, channel)` how it segments. `cells_written(key,
    levels)` is emitted when a window should show the cells of a large image, lazy arrays, the finest first.
    `cut_out(key, region, pixels, channel)` is emitted when it should show a region of one, whose pixels have
    all axes.
    """

    cells_written = Signal(str, list)
    cut_out = Signal(str, Region, np.ndarray, object)

    def __init__(
        self,
        project: Project,
        worker: Worker,
        runner: Runner,
        images: OpenImages,
        model: Callable[[], Path | None],
        describe: Callable[[OpenImage, Channels], SegmentParams],
    ) -> None:
        self._project, self._worker, self._runner, self._images = project, worker, runner, images
        self._model, self._describe = model, describe
        self._steps: dict[str, int] = {}

    def has_cells(self, key: str) -> bool:
        """Whether the cells of a large image are on the disk and shown."""
        return key in self._steps

    def can_take_back(self, key: str) -> bool:
        """Whether cells of a region were put into those of a large image."""
        return self._steps.get(key, 0) > 0

    def segment(self, image: OpenImage, scope: Scope, channel: Channels) -> None:
        """Segment all of a large image, or cut the region out of it that is in view."""
        if isinstance(scope, View):
            self._cut(image, scope, channel)
        elif scope == WHOLE:
            self._segment_all(image, channel)
        else:
            self._runner.refuse(f"'{image.name}' is large: choose what of it to segment, then press Segment.")

    def _cut(self, image: OpenImage, view: View, channel: Channels) -> None:
        """Read what is seen of a plane of a large image, then emit `cut_out`.

        If most of it was cut out before, that region is taken. A box that is too large is refused.
        """
        wanted = Region(image=image.key, plane=view.plane, box=view.box)
        try:
            check_size(view.box)
        except InputError as error:
            self._runner.refuse(str(error))
            return
        opened = [other.source.region for other in self._images.values() if other.source.region]
        run = self._runner.begin(Activity.SEGMENTING, f"Reading {wanted.describe()} of '{image.name}'")

        def work() -> tuple[Region, NDArray[Any]]:
            known = [region for region, _ in self._find_regions(image.key)]
            region = find_known([*opened, *known], wanted) or wanted
            return region, region.cut(image.source.data, image.grid.axes)

        def finish(cut: tuple[Region, NDArray[Any]]) -> None:
            self._runner.end(run)
            if run.cancelled:
                self._runner.say("Stopped. Everything is as it was before.")
            else:
                self.cut_out.emit(image.key, *cut, channel)

        self._runner.later(work, finish, run=run)

    def fill(self, run: Run, image: OpenImage) -> bool:
        """Give a region the cells that it has already, and end the run; False where it has none yet.

        They are its own, corrected, or else those of the large image on the disk.
        """
        region = image.source.region
        if image.review is not None:
            self._runner.end(run)
            self._runner.changed.emit()
            return True
        large = self._images.get(region.image) if region is not None else None
        if region is None or large is None or not self.has_cells(large.key):
            return False
        cells = _cells_of(large)

        def describe() -> str:
            count = image.counts.cells if image.counts else 0
            return f"{count} cell{'s' * (count != 1)}, taken from those of '{large.name}'."

        self._images.replace_review(
            run, image, lambda _: Review.of(cells.read(region)), model=cells.path.stem, describe=describe
        )
        return True

    def estimate(self, image: OpenImage, channel: Channels) -> None:
        """Say how much memory and disk it takes to segment all of a large image, and where its cells go."""
        model = self._model()
        if model is None or self._runner.run is not None:
            return
        outline, params = Outline.of(image.source.data), self._describe(image, channel)
        request = EstimateRequest(image=outline, params=params)
        path = _cells_of(image).path

        def done(needs: str) -> None:
            if self._runner.run is None:
                self._runner.say(f"All of '{image.name}' {needs}. Its cells go to {path}.")

        self._runner.submit_quietly(lambda: self._worker.submit(request), done)

    def _segment_all(self, image: OpenImage, channel: Channels) -> None:
        """Segment all of a large image in the worker, from the disk to the disk.

        Corrected regions that had been put into its old cells are put into the new ones again.
        """
        model = self._model()
        if model is None or self._runner.run is not None:
            return
        run = self._runner.begin(Activity.SEGMENTING, f"Opening '{image.name}'")
        cells = _cells_of(image)
        image.channel = channel

        params = self._describe(image, channel)
        request = LargeRequest(image=image.source.data, params=params, output=cells.path)

        def order() -> Job[LargeResult]:
            image.remember()
            cells.sweep()
            try:
                return self._worker.submit(request)
            except (pickle.PicklingError, TypeError, AttributeError) as error:
                raise InputError(
                    f"'{image.name}' cannot be handed to another process ({error}): save it as OME-Zarr and "
                    "open that."
                ) from error

        def done(result: LargeResult) -> None:
            said = f"{result.cells} cells found in {result.seconds:.0f} s; they are in {cells.path}."
            self._runner.later(
                lambda: self._put_back(image, cells, result.cells),
                partial(self._show, run, image, " ".join([said, *result.notes])),
                run=run,
            )

        def cancelled() -> None:
            self._runner.later(cells.sweep, lambda _: None)

        self._runner.submit(run, order, done, cancelled)

    def write(self, image: OpenImage | None) -> None:
        """Put the cells of a region, as they are now, into those of the image that it was cut from."""
        region = image.source.region if image is not None else None
        large = self._images.get(region.image) if region is not None else None
        if image is None or region is None or large is None or self._runner.run is not None:
            return
        self._images.flushing.emit()
        review = image.snapshot()
        if review is None:
            return
        run = self._runner.begin(Activity.SEGMENTING, f"Putting the cells into '{large.name}'")
        cells = _cells_of(large)

        def work() -> Shown:
            highest = large.record.context.get(_HIGHEST)
            large.record.remember(**{_HIGHEST: cells.write(region, review.labels, highest)})
            image.record.remember(**{_WRITTEN: True})
            return _look_at(cells)

        said = f"The cells of '{image.name}' are in those of '{large.name}' now: {cells.path}."
        self._runner.later(work, partial(self._show, run, large, said), run=run)

    def take_back(self, image: OpenImage | None) -> None:
        """Put back what was there before the last `write` into a large image, or into that of a region."""
        large = self.find_large(image)
        if large is None or self._runner.run is not None or not self.can_take_back(large.key):
            return
        run = self._runner.begin(Activity.SEGMENTING, f"Taking cells back out of '{large.name}'")
        cells = _cells_of(large)

        def work() -> tuple[str, Shown]:
            place = cells.take_back()
            if place not in cells.list_places():
                for region, record in self._find_regions(large.key):
                    if region.select(large.grid.label_axes) == place:
                        record.remember(**{_WRITTEN: False})
            where = ", ".join(f"{span.start}:{span.stop}" for span in place)
            return f"The cells of '{large.name}' at [{where}] are as they were before.", _look_at(cells)

        self._runner.later(work, lambda done: self._show(run, large, *done), run=run)

    def add_to_image(self, image: OpenImage | None) -> None:
        """Write the cells of a large OME-Zarr image, as they are on the disk, into the image's own labels."""
        if image is None or self._runner.run is not None or not self.can_add_to_image(image):
            return
        run = self._runner.begin(Activity.SEGMENTING, f"Writing the cells into '{image.name}'")
        cells, path = _cells_of(image), Path(image.source.path or "")

        def on_part(done: int, total: int) -> None:
            if run.cancelled:
                raise Cancelled
            progress = Progress(
                done / total, f"Writing the cells into {path.name}: part {done + 1} of {total}"
            )
            self._runner.post(lambda: self._runner.progress.emit(progress))

        def work() -> str:
            try:
                written = add_labels(path, cells.open_levels()[0], on_part=on_part)
            except Cancelled:
                return "Stopped. Everything is as it was before."
            return f"The cells of '{image.name}' are in the image itself now, as its labels: {written}."

        def finish(said: str) -> None:
            self._runner.end(run)
            self._runner.say(said)

        self._runner.later(work, finish, run=run)

    def can_add_to_image(self, image: OpenImage) -> bool:
        """Whether an image has cells on the disk and can take them as labels of its own."""
        path = image.source.path
        return self.has_cells(image.key) and path is not None and is_zarr(Path(path))

    def find_large(self, image: OpenImage | None) -> OpenImage | None:
        """Return the open image that a region was cut from, or a large image itself."""
        if image is None or image.is_large:
            return image
        return self._images.get(image.source.region.image) if image.source.region is not None else None

    def show_cells(self, image: OpenImage) -> None:
        """Show the cells of a large image if they are on the disk."""
        cells = _cells_of(image)

        def finish(shown: Shown | None) -> None:
            if shown is not None:
                self._show(None, image, "", shown)

        self._runner.later(lambda: _look_at(cells) if cells.exist else None, finish)

    def _show(self, run: Run | None, image: OpenImage, said: str, shown: Shown) -> None:
        levels, self._steps[image.key] = shown
        self._runner.end(run)
        if image.key in self._images:
            self.cells_written.emit(image.key, levels)
        if said:
            self._runner.say(said)
        self._runner.changed.emit()

    def _put_back(self, image: OpenImage, cells: DiskCells, highest: int) -> Shown:
        cells.forget_steps()
        for region, record in self._find_regions(image.key):
            review = record.load_review() if record.context.get(_WRITTEN) else None
            if review is not None:
                highest = cells.write(region, review.labels, highest)
        image.record.remember(**{_HIGHEST: highest})
        return _look_at(cells)

    def _find_regions(self, key: str) -> Iterator[tuple[Region, ImageRecord]]:
        """Find the regions of an image that have been segmented."""
        for record in self._project.images():
            region = read_region(record)
            if region is not None and region.image == key:
                yield region, record


def _cells_of(image: OpenImage) -> DiskCells:
    return DiskCells(image.record.folder, image.name, image.grid)


def _look_at(cells: DiskCells) -> Shown:
    return cells.open_levels(), len(cells.steps)
