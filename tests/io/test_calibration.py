import pytest

from napari_unet.io.calibration import MICROMETRES, Calibration


def test_each_axis_has_its_step_and_unit_and_colours_have_none() -> None:
    said = Calibration(axes="TZYXS", pixel_size=0.25, z_step=2.0)
    assert said.rgb
    assert said.scale == (1.0, 2.0, 0.25, 0.25)
    assert said.units == ("pixel", "um", "um", "um")
    assert said.axis_labels == ("t", "z", "y", "x")


def test_what_the_file_does_not_say_is_in_pixels() -> None:
    said = Calibration(axes="CZYX", z_step=0.5)
    assert not said.rgb
    assert said.scale == (1.0, 0.5, 1.0, 1.0)
    assert said.units == ("pixel", "um", "pixel", "pixel")


@pytest.mark.parametrize(
    ("name", "micrometres"), [("nm", 0.001), ("µm", 1), ("μm", 1), ("mm", 1000), ("inch", 25400)]
)
def test_units_are_known_by_name_with_either_sign_for_micro(name: str, micrometres: float) -> None:
    assert MICROMETRES[name] == pytest.approx(micrometres)
