from napari_unet.core.base.errors import DoubtfulError, InputError


def test_callers_may_treat_what_a_user_gave_as_a_value_error() -> None:
    for kind in (InputError, DoubtfulError):
        assert issubclass(kind, ValueError)
        assert str(kind("The image is empty: choose another.")) == "The image is empty: choose another."


def test_what_need_not_be_wrong_is_told_apart_from_what_is() -> None:
    assert issubclass(DoubtfulError, InputError)
    assert not isinstance(InputError("wrong"), DoubtfulError)
