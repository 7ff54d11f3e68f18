"""Going from place to place, and whose doubts are whose after another segmentation."""

import numpy as np

from napari_unet.core.base.params import SegmentParams
from napari_unet.core.image.axes import PlaneGrid
from napari_unet.core.review.doubt import Doubts
from napari_unet.core.review.queue import Place, Reason, Tour, merge_doubts
from napari_unet.core.review.review import Review
from napari_unet.jobs.protocol import SegmentRequest
from napari_unet.jobs.segmentation import segment_job

GRID = PlaneGrid("TZYX", (2, 3, 8, 8))


def doubts(*planes, faint=0.5):
    none = np.zeros(len(planes), np.float32)
    points = np.array([(plane, 4, 4) for plane in planes], np.int32)
    return Doubts(points, none + np.float32(faint), none, none)


def test_a_new_segmentation_of_all_planes_replaces_all_doubts():
    new = doubts(0, 5)
    assert merge_doubts(GRID, doubts(1), new, None) is new
    assert merge_doubts(GRID, doubts(1), None, None) is None


def test_a_new_segmentation_of_some_planes_replaces_theirs():
    merged = merge_doubts(GRID, doubts(0, 2, 5), doubts(0, 1, faint=0.9), [(0, 2), (1, 0)])
    known = dict(zip(merged.points[:, 0].tolist(), (10 * merged.faint).round().tolist(), strict=True))
    assert known == {0: 5, 2: 9, 3: 9, 5: 5}
    assert merge_doubts(GRID, doubts(0, 2), None, [(0, 2)]).points[:, 0].tolist() == [0]
    assert merge_doubts(PlaneGrid("YX", (8, 8)), None, doubts(0), [()]).points.tolist() == [[0, 4, 4]]


def test_a_tour_passes_what_was_settled_and_remembers_what_was_not():
    labels = np.zeros((8, 24), np.int32)
    for label in (1, 2, 3):
        labels[2:6, 8 * label - 6 : 8 * label - 2] = label
    review, grid = Review.of(labels), PlaneGrid("YX", labels.shape)
    places = [
        Place((), ((2, 6), (8 * label - 6, 8 * label - 2)), label, 0.5, Reason.FAINT) for label in (1, 2, 3)
    ]
    tour = Tour(places)
    tour.advance(review, grid)
    assert tour.place is places[0]
    assert not tour.is_settled(review, grid)
    review.labels[labels == 2] = 0
    tour.advance(review, grid)
    assert tour.place is places[2]
    assert tour.coming == []
    review.marked[:] = True
    assert tour.is_settled(review, grid)
    review.marked[:, :8] = False
    tour.advance(review, grid)
    assert tour.place is None
    assert tour.passed == places[:1]


def test_the_segment_job_tells_its_doubts_about_every_cell_of_every_plane(tiny_model, bright_squares):
    image, labels = bright_squares
    params = SegmentParams(model=str(tiny_model), axes="ZYX")
    request = SegmentRequest(image=np.stack([image, image]), params=params)
    result = segment_job(request, lambda progress: None, lambda: False)
    found, told = result.labels, result.doubts
    assert len(told.points) == 2 * len(np.unique(labels[labels > 0]))
    assert (found[tuple(told.points.T)] > 0).all()
    for plane in (0, 1):
        under = found[tuple(told.points[told.points[:, 0] == plane].T)]
        assert sorted(under) == sorted(np.unique(found[found > 0]))
