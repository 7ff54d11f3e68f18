"""Forms made of parameters: title, range, unit, help and default are those of the pydantic fields."""

from __future__ import annotations

import math
import types
from collections.abc import Sequence
from typing import Any, Generic, Literal, TypeVar, Union, get_args, get_origin

from magicgui.widgets import CheckBox, ComboBox, Container, FloatSpinBox, LineEdit
from magicgui.widgets.bases import ValueWidget
from pydantic.fields import FieldInfo
from qtpy.QtWidgets import QWidget

from napari_unet.core.base import ChannelNumbers, Params
from napari_unet.core.image import format_channels, parse_channels

ParamsT = TypeVar("ParamsT", bound=Params)

_LARGEST = 1_000_000_000
_DECIMALS = 4


class Form(Generic[ParamsT]):
    """A form for some fields of a parameter set, all by default; `read` returns what the user has given.

    Numbers have spin boxes with the field's range and unit, choices combo boxes, switches check boxes, texts
    lines; channels are typed and shown counted from 1. A field that may be None is empty, or shows its `none`
    text, for None. `prefix` is what the names of the widgets begin with. The values begin as those of
    `start`, or the defaults.
    """

    def __init__(
        self,
        params: type[ParamsT],
        fields: Sequence[str] = (),
        *,
        start: ParamsT | None = None,
        prefix: str = "",
    ) -> None:
        self._params = params
        self._start = start if start is not None else params()
        infos = params.model_fields
        self.fields = {name: _make_field(name, infos[name]) for name in fields or infos}
        self._channels = [name for name in self.fields if infos[name].annotation == ChannelNumbers]
        self.container = Container(widgets=list(self.fields.values()), labels=True)
        self.container.margins = (0, 0, 0, 0)
        for name, field in self.fields.items():
            field.native.setObjectName(f"{prefix}{name}")
        self.show(self._start)

    @property
    def native(self) -> QWidget:
        """The form as a Qt widget."""
        return self.container.native

    def find(self, name: str) -> QWidget:
        """Return the Qt widget of a field."""
        return self.fields[name].native

    def show(self, params: ParamsT) -> None:
        """Show these values."""
        for name, field in self.fields.items():
            value = getattr(params, name)
            _show_value(field, format_channels(value) if name in self._channels else value)

    def read(self) -> ParamsT:
        """Return the values in the form, those of `start` for fields that are not in it.

        Raises InputError, one sentence about the first field that cannot be so.
        """
        given = {name: _read_value(field) for name, field in self.fields.items()}
        for name in self._channels:
            given[name] = parse_channels(given[name] or "")
        return self._params.of(**{**self._start.model_dump(), **given})


def _make_field(name: str, info: FieldInfo) -> ValueWidget[Any]:
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    kind, optional = _split_optional(info.annotation)
    options: dict[str, Any] = {"name": name, "label": info.title or name, "tooltip": info.description or ""}
    none, unit = str(extra.get("none", "")) if optional else "", str(extra.get("unit", ""))
    field: ValueWidget[Any]
    if get_origin(kind) is Literal:
        field = ComboBox(choices=[*([None] if optional else []), *get_args(kind)], **options)
    elif kind is bool:
        field = CheckBox(text="", **options)
    elif kind in (int, float):
        field = _make_number(kind, info, optional, options)
        field.native.setSuffix(f" {unit}" if unit else "")
        field.native.setSpecialValueText(none or ("none" if optional else ""))
    elif kind is str or info.annotation == ChannelNumbers:
        field = LineEdit(nullable=optional, **options)
        field.native.setPlaceholderText(none)
    else:
        raise TypeError(f"no form for {name}: {info.annotation}")
    return field


def _make_number(kind: type, info: FieldInfo, optional: bool, options: dict[str, Any]) -> FloatSpinBox:
    """Return a spin box with the field's limits; one step below the least stands for None.

    Of whole numbers, too: magicgui's own box for these shows no unit and no text for None.
    """
    limits = _read_limits(info)
    decimals = 0 if kind is int else _DECIMALS
    step = 10.0**-decimals
    low = limits.get("ge", limits["gt"] + step if "gt" in limits else 0.0) - step * optional
    high = limits.get("le", limits["lt"] - step if "lt" in limits else _LARGEST)
    number = FloatSpinBox(min=low, max=high, step=_choose_step(kind, high - low), **options)
    number.native.setDecimals(decimals)
    return number


def _choose_step(kind: type, span: float) -> float:
    """Return what an arrow adds: 1, or a tenth or so of the range."""
    return 1.0 if kind is int or span > _LARGEST / 2 else float(10 ** math.floor(math.log10(span / 2)))


def _read_limits(info: FieldInfo) -> dict[str, float]:
    names = ("ge", "gt", "le", "lt")
    return {
        name: getattr(limit, name)
        for limit in info.metadata
        for name in names
        if getattr(limit, name, None) is not None
    }


def _split_optional(annotation: Any) -> tuple[Any, bool]:
    """Return the type that a field has where it is not None, and whether it may be None."""
    if get_origin(annotation) not in (Union, types.UnionType):
        return annotation, False
    kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
    return (kinds[0] if len(kinds) == 1 else annotation), len(kinds) < len(get_args(annotation))


def _is_none(field: ValueWidget[Any]) -> bool:
    """Whether a spin box stands at the value that means None."""
    native = field.native
    return bool(native.specialValueText()) and native.value() == native.minimum()


def _read_value(field: ValueWidget[Any]) -> Any:
    if isinstance(field, FloatSpinBox):
        whole = field.native.decimals() == 0
        return None if _is_none(field) else round(field.value) if whole else field.value
    if isinstance(field, LineEdit):
        return str(field.value or "").strip() or None
    return field.value


def _show_value(field: ValueWidget[Any], value: Any) -> None:
    if value is None and isinstance(field, FloatSpinBox):
        field.native.setValue(field.native.minimum())
    elif value is None and isinstance(field, LineEdit):
        field.value = ""
    else:
        field.value = value
