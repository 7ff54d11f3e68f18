"""What a simulated user's work is worth: curves of labels that get right, and models that learn from them."""

import numpy as np
import pytest

from napari_unet.bench.adaptation import (
    PER_IMAGE,
    Adaptation,
    Point,
    correct_images,
    measure_adaptation,
    render_adaptations,
)
from napari_unet.bench.annotator import WALKS, Task
from napari_unet.bench.benchmark import find_data_sets
from napari_unet.bench.simulation import Curve, measure_curve, segment_tasks
from napari_unet.core.base.errors import InputError
from napari_unet.core.cells.metrics import evaluate
from napari_unet.io.files import write_image, write_labels


@pytest.fixture
def squares():
    """Labels of 24 squares."""
    y, x = np.indices((160, 240))
    inside = (y % 40 >= 10) & (y % 40 < 30) & (x % 40 >= 10) & (x % 40 < 30)
    return np.where(inside, y // 40 * 6 + x // 40 + 1, 0).astype(np.int32)


@pytest.fixture
def data_set(tmp_path, bright_squares):
    image, labels = bright_squares
    for kind in ("images", "masks"):
        (tmp_path / "data" / "squares" / "val" / kind).mkdir(parents=True)
    folder = tmp_path / "data" / "squares" / "val"
    for name in "ab":
        write_image(folder / "images" / f"{name}.tif", image)
        write_labels(folder / "masks" / f"{name}.tif", labels)
    (found,) = find_data_sets(tmp_path / "data")
    return found


def test_a_curve_begins_with_the_prediction_and_ends_where_all_is_right(squares):
    tasks = [Task(np.where(squares % 3 == 0, 0, squares).astype(np.int32), squares) for _ in range(2)]
    curve = measure_curve(tasks, WALKS["random"], steps=4)
    assert curve.looked == [0, 12, 24, 36, 48]
    assert curve.corrected[-1] == 16
    assert curve.ap50[0] == evaluate(tasks[0].prediction, squares).ap50 == pytest.approx(2 / 3)
    assert curve.ap50[-1] == curve.mean_ap[-1] == 1
    assert curve.ap50 == sorted(curve.ap50)
    assert measure_curve(tasks, WALKS["random"], steps=4) == curve
    assert measure_curve(tasks, WALKS["random"], steps=4, seed=1) != curve


def test_the_looks_that_an_ap_takes_are_read_between_the_steps():
    curve = Curve(looked=[0, 10, 20], corrected=[0, 5, 9], ap50=[0.5, 0.7, 0.8], mean_ap=[0.4, 0.5, 0.6])
    assert curve.count_looks(0.4) == 0
    assert curve.count_looks(0.6) == pytest.approx(5)
    assert curve.count_looks(0.8) == pytest.approx(20)
    assert curve.count_looks(0.9) == float("inf")


def test_images_are_segmented_as_in_the_window_and_stacks_refused(data_set, tiny_model, bright_squares):
    first, second = segment_tasks(data_set, str(tiny_model))
    np.testing.assert_array_equal(first.truth, bright_squares[1])
    assert evaluate(first.prediction, first.truth).ap90 == 1
    np.testing.assert_array_equal(first.prediction, second.prediction)
    assert len(first.doubts.points) == 3
    write_labels(data_set.pairs[0].labels, np.stack([bright_squares[1]] * 2))
    with pytest.raises(InputError, match="single planes"):
        segment_tasks(data_set, str(tiny_model))


def test_more_objects_are_the_fewer_and_others_and_only_what_was_seen_counts(squares):
    tasks = [Task(np.zeros_like(squares), squares) for _ in range(3)]
    point = Point(data_set="squares", model="nuclei", objects=5)
    few = correct_images(tasks, point)
    more = correct_images(tasks, point.model_copy(update={"objects": 12}))
    assert few.looked == few.corrected == 5
    assert more.looked == 12
    assert few.numbers == more.numbers[:1]
    assert len(more.numbers) == 2
    assert len(np.unique(more.labels[0])) - 1 == PER_IMAGE
    kept = few.labels[0] > 0
    assert (more.labels[0][kept] > 0).all()
    assert few.reviewed[0][kept].all()
    assert not few.reviewed[0].all()
    whole = correct_images(tasks, point.model_copy(update={"objects": None}))
    assert (whole.numbers, whole.reviewed, whole.looked) == ([0, 1, 2], None, None)
    assert correct_images(tasks, point.model_copy(update={"objects": 0})).numbers == []


def test_a_point_is_measured_and_comes_back_from_its_file(data_set, tiny_model):
    tasks = segment_tasks(data_set, str(tiny_model))
    results = []
    for objects in (0, 3, None):
        point = Point(data_set="squares", model=str(tiny_model), objects=objects, steps=1)
        found = measure_adaptation(point, correct_images(tasks, point), data_set, data_set, data_set)
        assert Adaptation.model_validate_json(found.model_dump_json()) == found
        results.append(found)
    before, few, whole = results
    assert (before.images, before.steps, before.accepted) == (0, 0, None)
    assert before.val.ap90 == before.old.ap90 == 1
    assert (few.looked, few.corrected, few.steps) == (3, 0, 1)
    assert few.seconds > 0
    assert few.cpu_seconds > 0
    assert (whole.looked, whole.images) == (None, 2)
    lines = render_adaptations(results).splitlines()
    assert len(lines) == 5
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2].startswith("| squares | 0 | 0 | 0 |")
    assert lines[4].startswith("| squares | all |  | 2 | 1 steps |")


def test_every_point_has_a_name_of_its_own():
    base = Point(data_set="dic", model="nuclei", objects=5)
    changes = [{}, {"objects": None}, {"walk": "random"}, {"seconds": 300}, {"steps": 10}, {"seed": 1}]
    assert len({base.model_copy(update=change).name for change in changes}) == len(changes)
