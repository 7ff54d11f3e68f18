"""What a model knew before, practised while it learns something new (distillation, Hinton et al. 2015;
for learning without forgetting, Li and Hoiem 2016), and, when nobody waits, tested on other scenes.

No image of anybody's is needed: the scenes are rendered, and what is to be drawn in them is what the parent
draws. In the forgetting test the true cells count.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.base import Progress, Report
from napari_unet.core.cells import evaluate
from napari_unet.core.image import normalise
from napari_unet.core.learning import TrainingImage
from napari_unet.core.synthetic import Scene, render_cells, render_membranes, render_nuclei
from napari_unet.nn import Model

_SIDE = (256, 256)
_RADII = (5.0, 7.0, 10.0, 14.0, 20.0, 26.0)
_TEST_RADII = (8.0, 12.0, 22.0)
_COVERED = 0.3  # of a scene by cells
_KNOWN = 0.5  # AP at IoU 0.5 from which on a model is said to know a scene


def prepare(parent: Model, report: Report) -> None:
    """Do beforehand what a fine-tuning and the forgetting test after it need of ``parent``.

    What ``report``, which is called after each scene, raises ends the work.
    """
    rehearse(parent, report)
    measure_known(parent, None, report)


def rehearse(parent: Model, report: Report = lambda progress: None) -> list[TrainingImage]:
    """Return rendered scenes with their true labels and the maps that ``parent`` draws in them.

    They are grey: none where ``parent`` looks at several channels. What ``report`` raises ends the work.
    """
    if parent.sha256 and parent.sha256 in _rehearsed:
        return _rehearsed[parent.sha256]
    scenes = _render_scenes(_RADII, 100) if parent.card.network.channels == 1 else []
    images = []
    for image, labels in scenes:
        images.append(TrainingImage(image, labels, maps=parent.predict_maps(image)))
        report(Progress())
    _rehearsed.clear()
    _rehearsed[parent.sha256] = images
    return images


_rehearsed: dict[str, list[TrainingImage]] = {}  # of the last parent, by its hash


def measure_known(
    parent: Model, child: Model | None, report: Report = lambda progress: None
) -> tuple[float | None, float | None]:
    """Return the AP at IoU 0.5 of both models on drawn scenes that the parent segments well.

    None where it knows no such scene, and of a child that is None. What the parent scores is measured once,
    as long as it is the last one. What ``report``, which is called after each scene, raises ends the work.
    """
    if parent.sha256 not in _tested or not parent.sha256:
        test = ForgettingTest.of(parent, report)
        _tested.clear()
        _tested[parent.sha256] = test
    test = _tested[parent.sha256]
    return test.before, None if child is None else test.score(child, report)


@dataclass(frozen=True, slots=True)
class ForgettingTest:
    """Rendered scenes that nobody learns from and that a model segments well: ``images`` and true ``labels``.

    ``before`` is that model's AP at IoU 0.5 on them, None where it knows no such scene.
    """

    images: list[NDArray[np.float32]]
    labels: list[NDArray[np.int32]]
    before: float | None

    @classmethod
    def of(cls, parent: Model, report: Report = lambda progress: None) -> ForgettingTest:
        """Find out which scenes ``parent`` knows."""
        images, labels, found = [], [], []
        scenes = _render_scenes(_TEST_RADII, 200) if parent.card.network.channels == 1 else []
        for image, truth in scenes:
            prediction = parent.predict(image).labels
            report(Progress())
            if evaluate(prediction, truth).ap50 >= _KNOWN:
                images.append(image)
                labels.append(truth)
                found.append(prediction)
        return cls(images, labels, evaluate(found, labels).ap50 if found else None)

    def score(self, model: Model, report: Report = lambda progress: None) -> float | None:
        """Return the AP at IoU 0.5 of another model on the same scenes."""
        if not self.images:
            return None
        found = []
        for image in self.images:
            found.append(model.predict(image).labels)
            report(Progress())
        return evaluate(found, self.labels).ap50


_tested: dict[str, ForgettingTest] = {}  # of the last parent, by its hash


@cache
def _render_scenes(
    radii: tuple[float, ...], seed: int
) -> list[tuple[NDArray[np.float32], NDArray[np.int32]]]:
    """Return normalised images (Y, X, 1) of nuclei of some radii, of cells and of membranes, with labels."""
    nuclei = [_render_nuclei(radius, number) for number, radius in enumerate(radii, start=seed)]
    cells = render_cells(_SIDE, objects=15, seed=seed)
    membranes = render_membranes(_SIDE, objects=25, seed=seed)
    scenes = (*nuclei, cells, membranes)
    return [(normalise(scene.image[..., None].astype(np.float32)), scene.labels) for scene in scenes]


def _render_nuclei(radius: float, seed: int) -> Scene:
    objects = round(_COVERED * _SIDE[0] * _SIDE[1] / (np.pi * radius**2))
    return render_nuclei(_SIDE, objects=objects, radius=radius, seed=seed)
