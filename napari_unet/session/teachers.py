"""The corrected images of a project, and which of them the network learns from."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass

from napari_unet.core.base.errors import InputError
from napari_unet.session.images import OpenImages
from napari_unet.session.runner import Runner
from napari_unet.store.project import ImageRecord, Project

logger = logging.getLogger("napari_unet")

_USED = "teaches"
_CORRECTED = "corrected"


@dataclass(frozen=True, slots=True)
class Teacher:
    """A corrected image: its key and name in the project, and whether the network learns from it."""

    key: str
    name: str
    used: bool


def is_used(record: ImageRecord, *, default: bool = True) -> bool:
    """Whether the user wants the network to learn from an image; `default` where he has not chosen."""
    return bool(record.context.get(_USED, default))


class Teachers:
    """The corrected images; used from the window's thread. `known` follows what is corrected with a delay.

    Where the user has not chosen the network learns from the images that are open, and from those that
    taught the model in use: `taught()` returns their hashes.
    """

    def __init__(
        self, project: Project, runner: Runner, images: OpenImages, taught: Callable[[], Collection[str]]
    ) -> None:
        self._project, self._runner, self._images = project, runner, images
        self._taught = taught
        self.known: list[Teacher] = []
        self._seen: dict[str, bool] | None = None
        images.measured.connect(self._notice)
        images.closed.connect(self._notice)

    def refresh(self) -> None:
        """Look again which images there are, in the background."""
        opened = {key: (image.record, image.has_corrections) for key, image in self._images.items()}
        taught = self._taught()

        def work() -> list[Teacher]:
            for record, corrected in opened.values():
                try:
                    record.remember(**{_CORRECTED: corrected})
                except InputError:  # found out again the next time; what cannot be saved is told elsewhere
                    logger.warning("it is not noted whether %s is corrected", record.name, exc_info=True)
            seen = {key for key, (_, corrected) in opened.items() if corrected}
            return self._list(seen, set(opened), taught)

        def finish(known: list[Teacher]) -> None:
            self.known = known
            self._runner.changed.emit()

        self._runner.later(work, finish)

    def choose(self, key: str, used: bool) -> None:
        """Let the network learn from an image from now on, or no longer; the project remembers it."""
        image = self._images.get(key)

        def work() -> None:
            earlier = (record for record in self._project.images() if record.key == key)
            record = image.record if image is not None else next(earlier, None)
            if record is not None:
                record.remember(**{_USED: used})

        self._runner.later(work, lambda _: self.refresh())

    def _notice(self) -> None:
        now = {key: image.has_corrections for key, image in self._images.items()}
        if now != self._seen:
            self._seen = now
            self.refresh()

    def _list(
        self, corrected: Collection[str], opened: Collection[str], taught: Collection[str]
    ) -> list[Teacher]:
        return [
            Teacher(
                record.key,
                record.name,
                is_used(record, default=record.key in opened or record.info.hash in taught),
            )
            for record in self._project.images()
            if record.key in corrected or (record.key not in opened and record.context.get(_CORRECTED, True))
        ]
