"""What the command line prints: results on standard output, progress and sentences on standard error."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer
from pydantic import BaseModel

from napari_unet.core.base import InputError, Progress, SegmentParams
from napari_unet.core.cells import Scores
from napari_unet.core.image import parse_channels


def _parse_channels(text: str) -> int | tuple[int, ...] | None:
    try:
        return parse_channels(text)
    except InputError as error:
        raise typer.BadParameter(str(error)) from error


def option(params: type[BaseModel], field: str, **extra: Any) -> Any:
    """Return a command-line option with the range and the help of a parameter's field."""
    info = params.model_fields[field]
    limits = {type(rule).__name__: rule for rule in info.metadata}
    more = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    unit = f" In {more['unit']}." if "unit" in more else ""
    return typer.Option(
        help=f"{info.description}{unit}",
        min=getattr(limits.get("Ge"), "ge", None),
        max=getattr(limits.get("Le"), "le", None),
        **extra,
    )


ModelOption = Annotated[str, option(SegmentParams, "model")]
AxesOption = Annotated[str | None, option(SegmentParams, "axes")]
ChannelOption = Annotated[
    Any,  # a number or several: typer takes no unions
    option(SegmentParams, "channel", parser=_parse_channels, metavar="N[,N]"),
]
PixelOption = Annotated[float | None, option(SegmentParams, "pixel_size")]
ViewsOption = Annotated[int, option(SegmentParams, "views")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def report(progress: Progress) -> None:
    """Show progress on one line of standard error, if that is a terminal."""
    if sys.stderr.isatty():
        part = "" if progress.fraction is None else f"{progress.fraction:4.0%} "
        print(f"\r{part}{progress.message:<60}", end="", file=sys.stderr, flush=True)


def say(message: str) -> None:
    """Print a sentence on standard error."""
    if sys.stderr.isatty():
        print("\r" + " " * 70 + "\r", end="", file=sys.stderr)
    print(message, file=sys.stderr)


def print_result(result: dict[str, Any], as_json: bool) -> None:
    """Print a result on standard output, as lines or as one JSON object."""
    if as_json:
        print(json.dumps(result, indent=2))
        return
    for key, value in result.items():
        print(f"{key:<14}{_format(value)}")


def _format(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{k}: {_format(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_format, value))
    return str(value)


def summarise(scores: Scores | None) -> dict[str, Any] | None:
    """Return scores as a dictionary that begins with the figures that are looked at first."""
    if scores is None:
        return None
    summary = {name: getattr(scores, name) for name in ("ap50", "ap75", "ap90", "mean_ap")}
    return {**summary, **scores.model_dump()}
