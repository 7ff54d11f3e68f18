from dataclasses import replace

import numpy as np
import pytest

from napari_unet.core.base.params import SegmentParams
from napari_unet.core.image.axes import PlaneGrid
from napari_unet.core.review.doubt import Doubts
from napari_unet.core.review.review import Review
from napari_unet.jobs.protocol import ViewResult
from napari_unet.session.image import open_image
from napari_unet.session.scope import WHOLE, Planes, View, add_planes
from napari_unet.session.source import Source
from napari_unet.store.project import Project

GRID = PlaneGrid("ZYX", (3, 20, 30))
VIEW = View((1,), ((2, 9), (3, 8)))


@pytest.fixture
def project(tmp_path):
    return Project.open(tmp_path / "project")


@pytest.mark.parametrize(
    ("known", "scope", "expected"),
    [
        (None, WHOLE, WHOLE),
        (None, Planes(((2,),)), Planes(((2,),))),
        (Planes(((2,),)), Planes(((0,),)), Planes(((0,), (2,)))),
        (Planes(((0,), (2,))), Planes(((1,),)), WHOLE),
        (WHOLE, Planes(((1,),)), WHOLE),
        (Planes(((2,),)), VIEW, Planes(((2,),))),
        (None, VIEW, None),
    ],
)
def test_the_planes_that_were_segmented_add_up(known, scope, expected):
    assert add_planes(known, scope, GRID) == expected


@pytest.mark.parametrize("kept", [WHOLE, Planes(((0,), (2,)))])
def test_what_was_segmented_is_known_in_a_later_session(project, kept):
    """Not guessed from the labels: those of a whole stack may lie in one plane only."""
    labels = np.zeros((3, 20, 30), np.int32)
    labels[1, 5:9, 5:9] = 1
    source = Source(id="1", name="a", data=np.arange(1800).reshape(3, 20, 30), axes="ZYX")
    image = open_image(project, source, {})
    image.segmented = kept
    image.begin(Review.of(labels), "nuclei")
    image.writer.close()
    again = open_image(project, source, {})
    again.writer.close()
    assert again.next_scope == kept
    assert again.next_shapes() == [(20, 30)] * (3 if kept == WHOLE else 2)
    again.scope = VIEW
    assert again.next_scope == VIEW
    assert again.next_shapes() == [(7, 5)]


@pytest.mark.parametrize("planes", ["all", [7], [[9]], [[0, 1]], [], None])
def test_planes_that_are_not_there_are_not_remembered(project, planes):
    source = Source(id="1", name="a", data=np.arange(1800).reshape(3, 20, 30), axes="ZYX")
    image = open_image(project, source, {})
    image.begin(Review.of(np.zeros((3, 20, 30), np.int32)), "nuclei")
    image.record.remember(planes=planes)
    image.writer.close()
    again = open_image(project, source, {})
    again.writer.close()
    assert again.next_scope == WHOLE


def test_a_view_is_seen_as_the_whole_plane_was(project):
    image = open_image(
        project, Source(id="1", name="a", data=np.zeros((3, 20, 30), np.uint8), axes="ZYX"), {}
    )
    image.scales = {("m", None, (1,)): 0.5}
    box = ((2, 9), (3, 8))
    asked = View((1,), box).request(image, SegmentParams(model="m", axes="ZYX"))
    assert (asked.box, asked.scale, asked.params.axes) == (box, 0.5, "YX")
    assert asked.image.shape == (20, 30)
    assert View((2,), box).request(image, SegmentParams(model="m")).scale is None
    assert View((1,), box).request(image, SegmentParams(model="other")).scale is None
    image.writer.close()


def test_the_doubts_about_what_is_seen_take_the_place_of_those_that_were_there():
    def doubts(*points):
        one = np.ones(len(points), np.float32)
        return Doubts(np.array(points, np.int32).reshape(-1, 3), one, one, one)

    view = View((1,), ((2, 9), (3, 8)))
    grid = PlaneGrid("ZYX", (3, 20, 30))
    known = doubts((1, 5, 5), (1, 1, 5), (0, 5, 5), (2, 5, 5), (1, 12, 4), (1, 12, 9))
    labels = np.zeros((14, 12), np.int32)  # of rows 0 to 13, columns 1 to 12
    labels[7:13, 2:5], labels[11:13, 7:9] = 1, 2
    result = ViewResult(labels=labels, window=((0, 14), (1, 13)), seconds=1.23, notes=("Mind the scale.",))
    found = doubts((0, 4, 4), (0, 11, 4), (0, 12, 9))
    merged = view.merge_doubts(grid, known, replace(result, doubts=found))
    points = {tuple(point) for point in merged.points.tolist()}
    assert points == {(1, 1, 5), (0, 5, 5), (2, 5, 5), (1, 12, 9), (1, 4, 4), (1, 11, 4)}
    assert len(view.merge_doubts(grid, None, result).points) == 0
    said = view.describe(114, result)
    assert said == "1 cell found in view in 1.2 s, 114 in all. Mind the scale."
