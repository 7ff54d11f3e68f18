"""The command `export`: label images for other programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from napari_unet.cli.console import JsonOption, report, say
from napari_unet.core.base import InputError


def export(
    labels: Annotated[list[Path], typer.Argument(help="Label images, or folders of them.")],
    form: Annotated[str, typer.Option("--format", help="rois (Fiji), geojson (QuPath), csv, zarr or tiff.")],
    output: Annotated[
        Path | None, typer.Option(help="Folder for the files; OME-Zarr images in it get zarr labels inside.")
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            help="Folder of their images, of the same stems; without --output, zarr goes into them."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write label images for other programs, and tables of measurements."""
    from napari_unet.io.export import export_files

    outcomes = []
    for outcome in export_files(labels, output, form, images, report):
        say(outcome.sentence)
        outcomes.append(outcome)
    if as_json:
        print(json.dumps({"exported": [outcome._asdict() for outcome in outcomes]}, indent=2, default=str))
    failed = sum(outcome.error is not None for outcome in outcomes)
    if failed:
        raise InputError(f"{failed} of {len(outcomes)} label images could not be exported; others are done.")
