"""The command line of models: list, show, verify, import, export, delete."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from napari_unet.cli.console import JsonOption, print_result, say
from napari_unet.core.base import InputError

models_app = typer.Typer(help="The models there are.", no_args_is_help=True)

ModelArgument = Annotated[str, typer.Argument(help="Name of a model, or a .keras file.", metavar="NAME|FILE")]
OwnModel = Annotated[str, typer.Argument(help="Name of one of your own models.", metavar="NAME")]


@models_app.command("list")
def list_models(as_json: JsonOption = False) -> None:
    """List the bundled models and your own."""
    from napari_unet.models import find_models

    entries = find_models()
    if as_json:
        rows = [{"path": str(e.path), "bundled": e.bundled, **e.card.model_dump()} for e in entries]
        print(json.dumps({"models": rows}, indent=2))
        return
    for entry in entries:
        print(f"{entry.card.name:<20}{entry.card.title}")


@models_app.command("show")
def show_model(name: ModelArgument, as_json: JsonOption = False) -> None:
    """Show a model's card, the hash of its file and the models it was fine-tuned from."""
    from napari_unet.models import find_model, find_versions, hash_model, read_entry, trace_ancestry

    path = find_model(name)
    card = read_entry(path).card
    ancestry = trace_ancestry(card, find_versions())
    shown = (
        [{"name": a.name, "sha256": a.sha256} for a in ancestry]
        if as_json
        else " <- ".join(map(str, ancestry))
    )
    result = {"path": str(path), "sha256": hash_model(path), "ancestry": shown, **card.model_dump()}
    print_result(result, as_json)


@models_app.command("verify")
def verify_models(
    models: Annotated[
        list[str] | None, typer.Argument(help="All if not given.", metavar="NAME|FILE...")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check that model files are safe and work, and show their hashes; exit code 1 if one does not."""
    from napari_unet.models import find_model, find_model_files, verify_model

    rows = []
    for model in models or find_model_files():
        row = {"model": Path(model).stem, "path": None, "sha256": None, "error": None}
        try:
            path = find_model(model)
            row |= {"path": str(path), "sha256": verify_model(path)}
        except InputError as error:
            row["error"] = str(error)
            say(f"napari-unet: {error}")
        else:
            if not as_json:
                print(f"{row['sha256']}  {row['model']}")
        rows.append(row)
    if as_json:
        print(json.dumps({"models": rows}, indent=2))
    if any(row["error"] for row in rows):
        raise typer.Exit(1)


@models_app.command("import")
def import_file(
    file: Annotated[
        Path, typer.Argument(help="A .keras file, or a bioimage.io package, that napari-unet wrote.")
    ],
    name: Annotated[str | None, typer.Option(help="The model's name here, if not the file's.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Check a model file and copy it to your own models."""
    from napari_unet.models import hash_model, import_model, import_package, is_package

    path = (import_package if is_package(file) else import_model)(file, name)
    say(f"{file.name} is yours now, as '{path.stem}'.")
    print_result({"name": path.stem, "path": str(path), "sha256": hash_model(path)}, as_json)


@models_app.command("export")
def export_file(
    name: ModelArgument,
    file: Annotated[
        Path,
        typer.Argument(help="The file to write: .keras, .zip (bioimage.io) or .onnx; or a folder."),
    ],
    license_id: Annotated[
        str | None, typer.Option("--license", help="SPDX name of the weights' licence, for packages.")
    ] = None,
    author: Annotated[list[str] | None, typer.Option(help="An author, for packages; repeatable.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a model to one file, to share it: for napari-unet, or other programs (bioimage.io, ONNX)."""
    from napari_unet.models import (
        AUTHORS,
        export_model,
        export_onnx,
        export_package,
        find_model,
        hash_model,
        is_package,
    )

    source = find_model(name)
    if is_package(file):
        path = export_package(source, file, authors=author or AUTHORS, license_id=license_id)
    elif file.suffix == ".onnx":
        path = export_onnx(source, file)
    else:
        path = export_model(source, file)
    say(f"'{Path(name).stem}' is written to {path}.")
    print_result({"name": Path(name).stem, "path": str(path), "sha256": hash_model(path)}, as_json)


@models_app.command("delete")
def delete_own(name: OwnModel, as_json: JsonOption = False) -> None:
    """Delete one of your own models, at once and for good."""
    from napari_unet.models import delete_model, find_children, find_versions, shorten_hash

    versions = find_versions()
    version = next((version for version in versions if version.card.name == name), None)
    if version is None:
        own = ", ".join(v.card.name for v in versions if not v.entry.bundled) or "none"
        raise InputError(f"There is no model called '{name}' to delete: your own are {own}.")
    delete_model(version.entry)
    children = [child.card.name for child in find_children(version.sha256, versions)]
    say(f"Deleted '{name}' ({version.entry.path}).")
    if children:
        known_by = shorten_hash(version.sha256)
        say(f"Fine-tuned from it and still there: {', '.join(children)}; they show it as {known_by}")
    print_result(
        {"deleted": str(version.entry.path), "sha256": version.sha256, "children": children}, as_json
    )
