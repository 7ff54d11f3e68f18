"""What a user of the Python interface is given: every name can be imported, and nothing is missing."""

import inspect
import subprocess
import sys
import typing
from pathlib import Path

import pytest
from pydantic import BaseModel

import napari_unet

ROOT = Path(__file__).parents[1]
FUNCTIONS = [name for name in napari_unet.__all__ if name.islower()]
CLASSES = [name for name in napari_unet.__all__ if not name.islower()]


def own_classes(annotation: object) -> set[type]:
    """The classes of this package in an annotation, however deep."""
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return {annotation} if annotation.__module__.startswith("napari_unet.") else set()
    arguments = typing.get_args(annotation)
    flat = [one for argument in arguments for one in (argument if isinstance(argument, list) else [argument])]
    return set().union(*map(own_classes, flat))


def hints(function: object) -> dict[str, object]:
    """The types of a signature, those imported for type checkers only included."""
    from napari_unet.nn.backend import keras
    from napari_unet.nn.learn.fine_tune import CorrectedPlane

    extra = {name: getattr(napari_unet, name) for name in CLASSES}
    return typing.get_type_hints(function, localns=extra | {"keras": keras, "CorrectedPlane": CorrectedPlane})


@pytest.mark.parametrize("name", napari_unet.__all__)
def test_every_public_name_is_there_and_described(name: str) -> None:
    value = getattr(napari_unet, name)
    assert inspect.getdoc(value)
    assert name in dir(napari_unet)
    assert f"`{name}" in (ROOT / "docs" / "python.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_a_function_takes_and_returns_can_be_imported(name: str) -> None:
    for annotation in hints(getattr(napari_unet, name)).values():
        assert {one.__name__ for one in own_classes(annotation)} <= set(CLASSES)


@pytest.mark.parametrize("name", CLASSES)
def test_what_a_class_holds_can_be_imported(name: str) -> None:
    held = hints(getattr(napari_unet, name))
    if issubclass(getattr(napari_unet, name), BaseModel):
        held = {key: field.annotation for key, field in getattr(napari_unet, name).model_fields.items()}
    for annotation in held.values():
        assert {one.__name__ for one in own_classes(annotation)} <= set(CLASSES)


def test_errors_are_caught_by_their_public_name() -> None:
    with pytest.raises(napari_unet.InputError, match="no model called"):
        napari_unet.load_model("no-such-model")


def test_importing_the_package_imports_nothing_large() -> None:
    script = """
import sys, napari_unet
large = {"numpy", "pydantic", "keras", "tensorflow", "napari", "qtpy"} & set(sys.modules)
sys.exit(f"loaded: {large}" if large else 0)
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_type_checkers_are_told_that_the_package_is_typed() -> None:
    assert (Path(napari_unet.__file__).parent / "py.typed").is_file()
