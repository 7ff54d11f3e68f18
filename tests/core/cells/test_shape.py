import numpy as np
import pytest

from napari_unet.core.cells.shape import measure_brightness, measure_form


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
