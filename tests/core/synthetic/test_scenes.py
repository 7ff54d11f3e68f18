import functools
import itertools
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

from napari_unet.core.synthetic.scenes import (
    Scene,
    render_cells,
    render_membranes,
    render_nuclei,
    render_stack,
    render_timelapse,
)

Renderer = Callable[..., Scene]
PLANES: list[Renderer] = [render_nuclei, render_cells, render_membranes]
SMALL: list[tuple[Renderer, tuple[int, ...]]] = [
    (render_nuclei, (96, 128)),
    (render_cells, (96, 128)),
    (render_membranes, (96, 128)),
    (render_timelapse, (6, 80, 96)),
    (render_stack, (8, 64, 80)),
]
small = pytest.mark.parametrize(("render", "shape"), SMALL)


@functools.cache
def scene_of(render: Renderer) -> Scene:
    """The scene that `render` makes unasked."""
    return render()


def segment_by_threshold(image: NDArray[np.integer], *, bright: bool = True) -> NDArray[np.int32]:
    """What a beginner would do: smooth, Otsu, connected components, no specks."""
    smooth = ndimage.gaussian_filter(image.astype(float), 1.5)
    level = threshold_otsu(smooth)
    pieces, _ = ndimage.label(smooth > level if bright else smooth < level)
    sizes = np.bincount(pieces.ravel())
    pieces[sizes[pieces] < 40] = 0
    return pieces.astype(np.int32)


def share_found(prediction: NDArray[np.int32], labels: NDArray[np.int32]) -> float:
    """Share of the true objects that some predicted object overlaps with IoU > 0.5."""
    pairs = np.stack([labels.ravel(), prediction.ravel()])[:, (labels > 0).ravel() & (prediction > 0).ravel()]
    overlaps, counts = np.unique(pairs, axis=1, return_counts=True)
    true_sizes, sizes = np.bincount(labels.ravel()), np.bincount(prediction.ravel())
    union = true_sizes[overlaps[0]] + sizes[overlaps[1]] - counts
    return float(np.count_nonzero(counts / union > 0.5) / (len(np.unique(labels)) - 1))


@small
def test_same_seed_same_scene_other_seed_other_scene(render: Renderer, shape: tuple[int, ...]) -> None:
    one, same, other = render(shape, objects=8), render(shape, objects=8), render(shape, objects=8, seed=1)
    np.testing.assert_array_equal(one.image, same.image)
    np.testing.assert_array_equal(one.labels, same.labels)
    assert (one.image != other.image).mean() > 0.3


@small
def test_image_and_labels_have_the_shape_asked_for(render: Renderer, shape: tuple[int, ...]) -> None:
    scene = render(shape, objects=8)
    assert scene.image.shape == scene.labels.shape == shape
    assert len(scene.axes) == len(shape)
    assert scene.labels.dtype == np.int32
    assert scene.labels.max() > 3
    assert scene.image.dtype in (np.uint8, np.uint16)


@pytest.mark.parametrize("render", [*PLANES, render_stack])
def test_labels_are_whole_objects_without_gaps_in_their_numbers(render: Renderer) -> None:
    labels = scene_of(render).labels
    names = np.unique(labels)
    np.testing.assert_array_equal(names, np.arange(len(names)))
    whole = [ndimage.label(labels[window] == name)[1] == 1 for name, window in boxes(labels)]
    assert np.mean(whole) > 0.97


def boxes(labels: NDArray[np.int32]) -> list[tuple[int, tuple[slice, ...]]]:
    return [(name, box) for name, box in enumerate(ndimage.find_objects(labels), start=1) if box]


@pytest.mark.parametrize("render", [render_nuclei, render_cells, render_stack, render_timelapse])
def test_as_many_objects_as_asked_for(render: Renderer) -> None:
    for objects in (5, 20):
        scene = render(objects=objects)
        first = scene.labels[0] if scene.axes == "TYX" else scene.labels
        assert objects - 2 <= len(np.unique(first)) - 1 <= objects


def test_number_of_membrane_profiles_follows_the_number_asked_for() -> None:
    few, many = (render_membranes((256, 256), objects=n).labels.max() for n in (10, 60))
    assert 5 <= few <= 25
    assert 40 <= many <= 120


@pytest.mark.parametrize("render", [render_nuclei, render_cells, render_stack])
def test_many_objects_touch(render: Renderer) -> None:
    labels = scene_of(render).labels
    grown = ndimage.grey_dilation(labels, size=(3,) * labels.ndim)
    touching = np.unique(labels[(labels > 0) & (grown > labels)])
    assert len(touching) > 0.3 * labels.max()


@pytest.mark.parametrize("render", [render_nuclei, render_stack])
def test_threshold_merges_touching_nuclei(render: Renderer) -> None:
    scene = scene_of(render)
    pieces = segment_by_threshold(scene.image)
    assert len(np.unique(pieces)) - 1 < 0.75 * scene.labels.max()
    assert share_found(pieces, scene.labels) < 0.6


def test_threshold_fails_on_cells_and_membranes() -> None:
    cells, membranes = scene_of(render_cells), scene_of(render_membranes)
    assert share_found(segment_by_threshold(cells.image, bright=False), cells.labels) < 0.4
    assert share_found(segment_by_threshold(membranes.image), membranes.labels) < 0.4


@pytest.mark.parametrize("render", [render_nuclei, render_stack])
def test_nuclei_are_brighter_than_what_is_around_them(render: Renderer) -> None:
    scene = scene_of(render)
    inside, outside = scene.image[scene.labels > 0], scene.image[scene.labels == 0]
    assert inside.mean() > 2 * outside.mean()


def test_membranes_are_darker_than_profiles() -> None:
    scene = scene_of(render_membranes)
    assert scene.image[scene.labels > 0].mean() > scene.image[scene.labels == 0].mean() + 30


def test_time_lapse_keeps_labels_and_divides_one_nucleus_halfway() -> None:
    scene = scene_of(render_timelapse)
    present = [set(np.unique(frame)) - {0} for frame in scene.labels]
    half = len(present) // 2
    ended, begun = present[half - 1] - present[half], present[half] - present[half - 1]
    (mother,) = ended
    assert len(begun) == 2
    assert all(mother in frame for frame in present[:half])
    assert all(mother not in frame and begun <= frame for frame in present[half:])
    born = ndimage.center_of_mass(np.isin(scene.labels[half], list(begun)))
    before = ndimage.center_of_mass(scene.labels[half - 1] == mother)
    assert np.hypot(*np.subtract(born, before)) < 8


def test_nuclei_of_a_time_lapse_move_but_not_far_in_a_frame() -> None:
    labels = scene_of(render_timelapse).labels
    steps = []
    for frame, following in itertools.pairwise(labels):
        for name in set(np.unique(frame)) & set(np.unique(following)) - {0}:
            here, there = (ndimage.center_of_mass(plane == name) for plane in (frame, following))
            steps.append(np.hypot(*np.subtract(here, there)))
    assert 0.5 < np.median(steps) < 5
    assert max(steps) < 11


def test_stack_is_blurrier_along_z_than_in_the_plane() -> None:
    scene = scene_of(render_stack)
    image = ndimage.gaussian_filter(scene.image.astype(float), 0.7)
    bodies = ndimage.binary_dilation(scene.labels > 0)
    slopes = [np.abs(np.gradient(image, step, axis=axis))[bodies].mean() for axis, step in ((0, 2), (1, 1))]
    assert slopes[0] < 0.9 * slopes[1]


def test_more_objects_than_fit_gives_fewer() -> None:
    labels = render_nuclei((64, 64), objects=500).labels
    assert 3 < labels.max() < 60
