"""What a model knew before, practised while it learns something new (distillation, Hinton et al. 2015;
for learning without forgetting, Li and Hoiem 2016).

No image of anybody's is needed: the scenes are rendered, and what is to be drawn in them is what the parent
draws.
"""

from __future__ import annotations

import numpy as np

from napari_unet.core.normalise import normalise
from napari_unet.core.render import Scene, render_cells, render_membranes, render_nuclei
from napari_unet.core.sampling import TrainingImage
from napari_unet.nn.predictor import Model

_SIDE = (256, 256)
_RADII = (5.0, 7.0, 10.0, 14.0, 20.0, 26.0)
_COVERED = 0.3  # of a scene by cells


def rehearse(parent: Model) -> list[TrainingImage]:
    """Return rendered scenes with their true labels and the maps that ``parent`` draws in them."""
    return [
        TrainingImage(image, scene.labels, maps=parent.predict_maps(image))
        for scene in _render_scenes()
        for image in [normalise(scene.image[..., None].astype(np.float32))]
    ]


def _render_scenes() -> list[Scene]:
    nuclei = [
        render_nuclei(
            _SIDE, objects=round(_COVERED * _SIDE[0] * _SIDE[1] / (np.pi * r**2)), radius=r, seed=seed
        )
        for seed, r in enumerate(_RADII, start=100)
    ]
    return [*nuclei, render_cells(_SIDE, objects=15, seed=100), render_membranes(_SIDE, objects=25, seed=100)]
