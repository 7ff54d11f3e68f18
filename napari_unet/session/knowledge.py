"""Which model knows the cells of an image, found by a look of each at a sample of it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from napari_unet.core.base import SegmentParams
from napari_unet.core.cells import LEAST_FIT
from napari_unet.core.image import Channels
from napari_unet.jobs import Choice, ChooseRequest, list_candidates
from napari_unet.session.idle import IdleWork
from napari_unet.session.image import OpenImage
from napari_unet.session.images import OpenImages
from napari_unet.session.runner import Runner
from napari_unet.session.scope import View
from napari_unet.store import Project

FEWEST_FOUND = 3
"""A model that finds fewer cells in a whole image may not know them."""


class Knowledge:
    """What is known of how well the models fit the open images.

    Where a model finds next to nothing, all of them look at the image while nobody waits. `list_names()`
    returns the names of the models there are, `describe(image, channel)` how an image is segmented.
    """

    def __init__(
        self,
        project: Project,
        runner: Runner,
        images: OpenImages,
        idle: IdleWork,
        list_names: Callable[[], Collection[str]],
        describe: Callable[[OpenImage, Channels], SegmentParams],
    ) -> None:
        self._project, self._runner, self._idle = project, runner, idle
        self._images, self._list_names, self._describe = images, list_names, describe
        self._choices: dict[str, Choice] = {}
        self._searched: set[str] = set()
        images.measured.connect(self._consider)

    def note(self, image: OpenImage, choice: Choice) -> None:
        """Take over what the models' looks at an image gave."""
        self._searched.add(image.key)
        self._choices[image.key] = choice

    def order(self, image: OpenImage, params: SegmentParams) -> ChooseRequest:
        """Return a request about an image; called on the background thread, since it reads."""
        indices = list(image.grid.indices())
        pixels, axes = image.read_planes([indices[len(indices) // 2]])
        models = tuple(list_candidates([self._project.models_folder]))
        return ChooseRequest(image=pixels, params=params.model_copy(update={"axes": axes}), models=models)

    def knows_cells(self, image: OpenImage) -> bool:
        """Whether the model that made an image's labels seems to know its cells; if unsure, it does."""
        fits = dict(choice.fits) if (choice := self._choices.get(image.key)) else {}
        if image.origin in fits:
            return fits[image.origin] >= LEAST_FIT
        if image.counts is None or isinstance(image.scope, View) or image.origin not in self._list_names():
            return True
        return image.counts.predicted_cells >= FEWEST_FOUND

    def is_searching(self, image: OpenImage) -> bool:
        """Whether the models are still to look at an image."""
        return image.key in self._searched and image.key not in self._choices

    def find_better(self, image: OpenImage) -> Path | None:
        """Return the model that knows the cells of an image where the one that made its labels does not."""
        choice = self._choices.get(image.key)
        if choice is None or not choice.finds_cells or self.knows_cells(image):
            return None
        return choice.model if choice.model.stem != image.origin else None

    def _consider(self, key: str) -> None:
        image = self._images.get(key)
        if image is None or key in self._searched or self.knows_cells(image):
            return
        self._searched.add(key)

        def take(choice: Choice) -> None:
            self.note(image, choice)
            self._runner.changed.emit()

        def missed() -> None:
            self._searched.discard(key)

        self._runner.later(
            lambda: self.order(image, self._describe(image, image.channel)),
            lambda request: self._idle.do(request, take),
            give_up=missed,
        )
