import numpy as np
import pytest
from skimage.measure import regionprops

from napari_unet.core.base.errors import InputError
from napari_unet.core.cells.measure import measure


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
