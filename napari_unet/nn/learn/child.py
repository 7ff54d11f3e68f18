"""The model that is to learn: its parent's weights, and a card that fits the cells that were corrected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.base import MOST_ENLARGED, MOST_SHRUNK, FineTuneParams, InstanceParams, ModelCard
from napari_unet.core.cells import Scores
from napari_unet.core.image import Range, measure_diameters, measure_size_range
from napari_unet.core.learning import TrainingImage
from napari_unet.nn import Model, build_network, fast_policy, keras

_TUNED = ", fine-tuned"
_SPLITTING = {"prominence", "blend"}


@dataclass(frozen=True, slots=True)
class Piece:
    """A corrected image, or a part of one, as the user sees it, with its pixel size in µm, if known.

    ``seen_at`` is the scale at which the old model saw the image when the user segmented it, if known.
    """

    image: TrainingImage
    pixel_size: float | None = None
    seen_at: float | None = None

    @property
    def reviewed(self) -> NDArray[np.bool_]:
        """The pixels (Y, X) that the user has looked at."""
        mask = self.image.reviewed
        return np.ones(self.image.labels.shape, bool) if mask is None else mask

    @property
    def cells(self) -> NDArray[np.int32]:
        """The cells (Y, X) among them."""
        return np.where(self.reviewed, self.image.labels, 0).astype(np.int32)

    def for_network(self, card: ModelCard) -> TrainingImage:
        """Return the image at the scale at which a model sees it."""
        return self.image.resized(card.image_scale(self.pixel_size))


def conceive(
    parent: Model, name: str, pieces: Sequence[Piece], before: Scores | None, params: FineTuneParams
) -> Model:
    """Return the child before it learns; ``before`` is what its parent scores on such cells, if known."""
    network = build_network(parent.card.network, dtype=fast_policy())
    network.set_weights(parent.network.get_weights())
    return Model(network, describe_child(parent, name, pieces, before, params))


def describe_child(
    parent: Model, name: str, pieces: Sequence[Piece], before: Scores | None, params: FineTuneParams
) -> ModelCard:
    """Return the card of a child, which says at what scale it sees cells and how they are split.

    Where its parent finds them, that stays, since a few cells tell less than all that the parent has learnt.
    Otherwise, the scale is one at which the corrected cells are neither too small nor too large. Cells of the
    sizes that the parent knows are looked for still, so that it finds its scale in the parent's images, too.
    """
    card, pixel_size = parent.card, _find_pixel_size(pieces)
    seen = [measure_diameters(piece.cells) * card.image_scale(piece.pixel_size) for piece in pieces]
    size = float(np.median(np.concatenate(seen))) if any(map(len, seen)) else card.object_size
    known = _is_known(card, size, before, params)
    factor = _fit(card, size, known, params)
    scale = float(np.clip(card.image_scale(pixel_size) * factor, MOST_SHRUNK, MOST_ENLARGED))
    scales = [card.image_scale(piece.pixel_size) * factor for piece in pieces]
    seen_range = measure_size_range([piece.cells for piece in pieces], scales)
    learnt: dict[str, object] = {"size_range": _widen(card.size_range, seen_range)}
    if not known:
        learnt |= {"instances": card.instances.model_copy(update=_default_splitting())}
        learnt |= {"object_size": size * factor if size is not None else None}
    return card.model_copy(
        update={
            "name": name,
            "title": f"{(card.title or card.name).removesuffix(_TUNED)}{_TUNED}",
            "description": f"Fine-tuned from '{card.name}'.",
            "parent": parent.sha256 or None,
            "scale": scale,
            "pixel_size": pixel_size,
            "versions": {**card.versions, "keras": keras.__version__},
            **learnt,
        }
    )


def _find_pixel_size(pieces: Sequence[Piece]) -> float | None:
    """Return the pixel size of most reviewed pixels, among those that are known."""
    weights: dict[float, int] = {}
    for piece in pieces:
        if piece.pixel_size is not None:
            weights[piece.pixel_size] = weights.get(piece.pixel_size, 0) + int(piece.reviewed.sum())
    return max(weights, key=lambda size: weights[size]) if weights else None


def _is_known(card: ModelCard, size: float | None, before: Scores | None, params: FineTuneParams) -> bool:
    if before is not None:
        return before.mean_ap >= params.known
    return size is None or _fit(card, size, known=True, params=params) == 1


def _fit(card: ModelCard, size: float | None, known: bool, params: FineTuneParams) -> float:
    """Return the factor by which cells of ``size`` (network px) have to be enlarged to be seen well."""
    if size is None:
        return 1.0
    if not known:
        low, high = params.cell_sizes
        return 1.0 if low <= size <= high else params.cell_size / size
    if card.size_range is None:
        return 1.0
    low, high = card.size_range
    return 1.0 if low <= size <= high else float(np.sqrt(low * high)) / size


def _default_splitting() -> dict[str, float]:
    return InstanceParams().model_dump(include=_SPLITTING)


def _widen(known: Range | None, seen: Range | None) -> Range | None:
    """Return a range that holds what was known and what was seen; None where none was known."""
    if known is None or seen is None:
        return known
    return min(known[0], seen[0]), max(known[1], seen[1])
