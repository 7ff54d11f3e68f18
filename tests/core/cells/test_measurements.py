import numpy as np
import pytest
from skimage.measure import regionprops

from napari_unet.core.base.errors import InputError
from napari_unet.core.cells.measurements import measure, measure_brightness, measure_form


@pytest.fixture
def labels():
    labels = np.zeros((60, 80), np.int32)
    labels[5:15, 10:30] = 7
    labels[40:50, 60:65] = 3
    labels[20, 20] = 70_000
    return labels


def test_agrees_with_scikit_image(labels):
    image = np.random.default_rng(0).random(labels.shape)
    table = measure(labels, image, pixel_size=0.5)
    props = regionprops(labels, image)
    assert table["index"].tolist() == [p.label for p in props] == [3, 7, 70_000]
    np.testing.assert_array_equal(table["area"], [p.area for p in props])
    np.testing.assert_allclose(table["centroid_y"], [p.centroid[0] for p in props], atol=0.005)
    np.testing.assert_allclose(table["centroid_x"], [p.centroid[1] for p in props], atol=0.005)
    np.testing.assert_allclose(table["mean_intensity"], [p.intensity_mean for p in props])
    np.testing.assert_allclose(table["diameter"], [p.equivalent_diameter_area for p in props], atol=0.005)
    np.testing.assert_allclose(table["area_um2"], table["area"] / 4)


def test_a_stack_has_a_centroid_along_z(labels):
    table = measure(np.stack([labels, labels, labels]))
    assert table["centroid_z"].tolist() == [1, 1, 1]
    assert table["area"].tolist() == [150, 600, 3]
    assert "diameter" not in table


def test_no_cells():
    assert measure(np.zeros((4, 5), np.int32))["area"].size == 0


def test_any_number_a_user_may_type(labels):
    labels[0, 0] = 2_000_000_000
    assert measure(labels)["index"].tolist() == [3, 7, 70_000, 2_000_000_000]
    assert measure(labels + 1)["index"].size == 5


def test_what_does_not_fit_is_refused(labels):
    with pytest.raises(InputError, match="does not fit"):
        measure(labels, np.zeros((3, 3)))
    with pytest.raises(InputError, match="negative"):
        measure(-labels)


@pytest.fixture
def cells() -> np.ndarray:
    """A disc of radius 10, a bar of 4 x 20 and a single pixel; the ids are far apart."""
    labels = np.zeros((60, 60), np.int32)
    rows, columns = np.indices(labels.shape)
    labels[(rows - 15) ** 2 + (columns - 15) ** 2 <= 100] = 3
    labels[40:44, 10:30] = 2_000_000_000
    labels[59, 59] = 7
    return labels


def test_form_is_that_of_the_drawn_cells_by_ascending_id(cells: np.ndarray) -> None:
    form = measure_form(cells)
    disc, pixel, bar = range(3)
    assert form["eccentricity"][disc] == pytest.approx(0, abs=0.01)
    assert form["circularity"][disc] > 0.9 > form["circularity"][bar]
    assert form["axis_major_length"][disc] == pytest.approx(20, rel=0.05)
    assert form["axis_major_length"][bar] / form["axis_minor_length"][bar] == pytest.approx(5, rel=0.05)
    assert abs(form["orientation"][bar]) == pytest.approx(np.pi / 2)
    assert form["solidity"][bar] == pytest.approx(1)
    assert np.isnan(form["circularity"][pixel])


def test_lengths_in_um_follow_the_pixel_size(cells: np.ndarray) -> None:
    form = measure_form(cells, 0.5)
    for name in ("perimeter", "axis_major_length", "axis_minor_length"):
        np.testing.assert_allclose(form[f"{name}_um"], form[name] / 2)
    assert "perimeter_um" not in measure_form(cells)


def test_brightness_of_every_cell(cells: np.ndarray) -> None:
    image = np.where(cells == 7, 250, 10).astype(np.uint8)
    image[40, 10] = 90
    brightness = measure_brightness(cells, image)
    np.testing.assert_allclose(brightness["mean_intensity"], [10, 250, 11])
    np.testing.assert_allclose(brightness["max_intensity"], [10, 250, 90])
    np.testing.assert_allclose(brightness["min_intensity"], [10, 250, 10])
    np.testing.assert_allclose(brightness["std_intensity"], [0, 0, np.sqrt(79)])


@pytest.mark.parametrize("fill", [0, 5])
def test_planes_without_cells_or_without_background(fill: int) -> None:
    labels = np.full((6, 7), fill, np.int32)
    count = int(fill > 0)
    assert {len(values) for values in measure_form(labels, 1.0).values()} == {count}
    assert {len(values) for values in measure_brightness(labels, labels).values()} == {count}
