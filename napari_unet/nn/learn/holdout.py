"""What proves: corrections that are held out, and what a model finds there on the way that Segment takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.base import FineTuneParams, Labels
from napari_unet.core.cells import Scores
from napari_unet.core.image import measure_object_size
from napari_unet.core.learning import score_reviewed, split_corrections
from napari_unet.nn import Model
from napari_unet.nn.learn.child import Piece

OnTile = Callable[[int, int], None]

_MOST_IMAGES = 12
_ENOUGH_CELLS = 8
_MOST_DELAY = 2.0  # times the allowance, after which no more images are looked at whatever they hold


def _ignore(done: int, total: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Proof:
    """Images, as large as the user's, whose reviewed pixels are held out, and what the old model found."""

    pieces: Sequence[Piece]
    found: Sequence[Labels]

    @classmethod
    def of(cls, parent: Model, pieces: Sequence[Piece], on_tile: OnTile = _ignore) -> Proof:
        """Let the old model look at all images."""
        return cls(pieces, [find_cells(parent, piece, on_tile, piece.seen_at) for piece in pieces])

    def find(self, model: Model, on_tile: OnTile = _ignore) -> list[Labels]:
        """Return what a model finds in the images, as it would in the user's hands."""
        return [find_cells(model, piece, on_tile) for piece in self.pieces]

    def score(self, found: Sequence[Labels]) -> Scores | None:
        """Score what was found in the first images; None where there are too few corrections to say."""
        pieces = self.pieces[: len(found)]
        return score_reviewed(found, [p.image.labels for p in pieces], [p.reviewed for p in pieces])


def put_aside(
    parent: Model,
    pieces: Sequence[Piece],
    params: FineTuneParams,
    *,
    allowance: float,
    on_tile: OnTile = _ignore,
) -> tuple[list[Piece], Proof]:
    """Split corrected images into those that teach and those that prove, with their reviewed pixels.

    Only images that ``parent`` has looked at can prove: it looks at them in random order, until ``allowance``
    seconds are over and they hold some cells.
    """
    found: dict[int, Labels] = {}
    start, cells = perf_counter(), 0
    for number in np.random.default_rng(params.seed).permutation(len(pieces))[:_MOST_IMAGES]:
        found[int(number)] = find_cells(parent, pieces[number], on_tile, pieces[number].seen_at)
        cells += int(np.count_nonzero(np.unique(pieces[number].cells)))
        used = perf_counter() - start
        if used > allowance * (1 if cells >= _ENOUGH_CELLS else _MOST_DELAY):
            break
    learn, prove = split_corrections(
        [piece.image.labels for piece in pieces],
        [piece.reviewed for piece in pieces],
        held_out=params.held_out,
        cell_size=measure_object_size([piece.cells for piece in pieces]) or 1,
        seed=params.seed,
        eligible=list(found),
    )
    proving = [number for number in found if prove[number].any()]
    proof = Proof([_review(pieces[n], prove[n]) for n in proving], [found[n] for n in proving])
    return [_review(p, mask) for p, mask in zip(pieces, learn, strict=True) if mask.any()], proof


def find_cells(model: Model, piece: Piece, on_tile: OnTile = _ignore, scale: float | None = None) -> Labels:
    """Return the cells (Y, X) that a model finds in an image when a user presses Segment.

    ``scale`` is the one at which it saw the image when he did, if that is known.
    """
    image = piece.image.image
    return model.predict(image, pixel_size=piece.pixel_size, scale=scale, on_tile=on_tile).labels


def _review(piece: Piece, reviewed: NDArray[np.bool_]) -> Piece:
    return replace(piece, image=replace(piece.image, reviewed=reviewed))
