"""The command line: the same use cases as the window, for scripts and servers.

Results go to standard output (with ``--json`` as one JSON object), progress and errors to standard error.
Bad input ends with exit code 1 and one sentence.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer
from platformdirs import user_log_path

from napari_unet.cli.batch import batch, segment
from napari_unet.cli.console import (
    AxesOption,
    ChannelOption,
    JsonOption,
    ModelOption,
    PixelOption,
    ViewsOption,
    option,
    print_result,
    report,
    say,
    summarise,
)
from napari_unet.cli.export import export
from napari_unet.cli.models import models_app
from napari_unet.core.base import (
    AUTO,
    PRESETS,
    DoubtfulError,
    FineTuneParams,
    InputError,
    Progress,
    TrainParams,
)
from napari_unet.models import DEFAULT_MODEL
from napari_unet.session import explain_known, explain_verdict

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Segment microscopy images with a U-Net, and fine-tune it on your corrections.",
)
app.add_typer(models_app, name="models")
app.command()(segment)
app.command()(batch)
app.command()(export)

logger = logging.getLogger("napari_unet")


Folder = Annotated[Path, typer.Option()]


@app.command("open")
def open_window(images: Annotated[list[Path] | None, typer.Argument()] = None) -> None:
    """Open napari with the plugin docked, on the images named or on the sample image."""
    from napari_unet.io import read_layers, sample_path

    opened = {path: read_layers(path) for path in images or [sample_path("nuclei")]}
    import napari

    from napari_unet.ui.common import add_layers

    viewer = napari.Viewer()
    for path, layers in opened.items():
        add_layers(viewer, layers, path.absolute())
    viewer.window.add_plugin_dock_widget("napari-unet", "U-Net: segment, correct, fine-tune")
    napari.run()


@app.command("fine-tune")
def fine_tune(
    images: Annotated[Path, typer.Option(help="Folder of images.")],
    labels: Annotated[
        Path, typer.Option(help="Folder of corrected labels of the same stems, of any format.")
    ],
    output: Annotated[Path, typer.Option(help="The new model's file, ending in .keras.")],
    reviewed: Annotated[
        Path | None, typer.Option(help="Folder of masks: non-zero where the labels are known to be true.")
    ] = None,
    model: ModelOption = AUTO,
    steps: Annotated[int | None, option(FineTuneParams, "steps")] = None,
    seconds: Annotated[float, option(FineTuneParams, "seconds")] = FineTuneParams().seconds,
    seed: Annotated[int, option(FineTuneParams, "seed")] = 0,
    axes: AxesOption = None,
    channel: ChannelOption = None,
    pixel_size: PixelOption = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Learn even if the labels do not seem to fit the images.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Fine-tune a model on corrected labels and compare it with its parent on held-out corrections."""
    from napari_unet.core.image import plan_planes
    from napari_unet.io import check_place, read_image, read_labels
    from napari_unet.io.labels import match_by_stem, read_labels_of
    from napari_unet.jobs import fine_tune as tune
    from napari_unet.jobs import pick_model
    from napari_unet.models import find_model

    if output.suffix != ".keras":
        raise InputError(f"The model cannot be written to {output.name}: choose a name that ends in .keras.")
    check_place(output)
    pairs = match_by_stem(images, labels, reviewed)
    files = [read_image(pair.image) for pair in pairs]
    grid = plan_planes(files[0].data.shape, axes or files[0].axes)
    look = {"channel": channel, "pixel_size": pixel_size or files[0].pixel_size, "report": report}
    model_path, why = pick_model(model if model == AUTO else find_model(model), files[0].data, grid, **look)
    if why:
        say(why)
    masks = None if reviewed is None else [read_labels(pair.reviewed) for pair in pairs if pair.reviewed]
    found = [read_labels_of(pair.labels, file, axes) for pair, file in zip(pairs, files, strict=True)]
    for pair, labelled in zip(pairs, found, strict=True):
        for note in labelled.notes:
            say(f"{pair.labels.name}: {note}")
    try:
        result = tune(
            model_path,
            [file.data for file in files],
            [labelled.labels for labelled in found],
            reviewed=masks,
            steps=steps,
            seconds=seconds,
            seed=seed,
            axes=[axes or file.axes for file in files],
            channel=channel,
            pixel_size=[pixel_size or file.pixel_size for file in files],
            name=output.stem,
            names=[pair.image.name for pair in pairs],
            anyway=anyway,
            progress=report,
        )
    except DoubtfulError as doubt:
        raise InputError(f"{doubt} Or add --anyway to learn from them all the same.") from doubt
    result.model.save(output)
    reason = explain_verdict(result.verdict, result.before, result.after, result.share)
    say(" ".join(filter(None, (reason, explain_known(result.known_before, result.known_after)))))
    print_result(
        {
            "model": str(output),
            "accepted": result.accepted,
            "verdict": str(result.verdict),
            "reason": reason,
            "before": summarise(result.before),
            "after": summarise(result.after),
            "steps": len(result.history),
            "seconds": round(result.seconds, 1),
            "cpu_seconds": round(result.cpu_seconds, 1),
            "known": {"before": result.known_before, "after": result.known_after},
        },
        as_json,
    )


@app.command()
def train(
    images: Annotated[list[Path], typer.Option(help="Folder of images; may be given several times.")],
    labels: Annotated[list[Path], typer.Option(help="Folder of label images, one for each --images.")],
    output: Annotated[Path, typer.Option(help="The model's file, ending in .keras.")],
    validation_images: Annotated[
        list[Path] | None, typer.Option(help="Folder of images to choose the best weights by.")
    ] = None,
    validation_labels: Annotated[list[Path] | None, typer.Option(help="Their label images.")] = None,
    preset: Annotated[str, typer.Option(help=f"Network: {', '.join(PRESETS)}.")] = "unet-32",
    start: Annotated[
        str | None, typer.Option(help="A model to go on from, instead of a preset.", metavar="NAME|FILE")
    ] = None,
    object_size: Annotated[
        float | None, typer.Option(help="Resize images so that a typical cell has this diameter, px.")
    ] = None,
    steps: Annotated[int, option(TrainParams, "steps")] = TrainParams().steps,
    tile: Annotated[int, option(TrainParams, "tile")] = TrainParams().tile,
    batch: Annotated[int, option(TrainParams, "batch")] = TrainParams().batch,
    learning_rate: Annotated[float, option(TrainParams, "learning_rate")] = TrainParams().learning_rate,
    validate_every: Annotated[int, option(TrainParams, "validate_every")] = TrainParams().validate_every,
    seed: Annotated[int, option(TrainParams, "seed")] = 0,
    title: Annotated[str, typer.Option(help="What the model segments, for its card.")] = "",
    data: Annotated[str, typer.Option(help="The training data and their licence, for its card.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Train a model from folders; an interrupted run goes on when the command is given again."""
    from napari_unet.jobs import train_from_folders
    from napari_unet.models import find_model

    params = TrainParams(
        steps=steps,
        tile=tile,
        batch=batch,
        learning_rate=learning_rate,
        validate_every=validate_every,
        seed=seed,
    )

    def on_step(step: int, loss: float) -> None:
        report(Progress(step / steps, f"step {step} of {steps}, loss {loss:.4f}"))

    card, scores = train_from_folders(
        _pair_folders(images, labels),
        output,
        validation=_pair_folders(validation_images or [], validation_labels or []),
        preset=preset,
        start=find_model(start) if start else None,
        object_size=object_size,
        params=params,
        title=title,
        data=data,
        on_step=on_step,
    )
    print_result(
        {"model": str(output), "name": card.name, "steps": steps, "validation": summarise(scores)}, as_json
    )
    if not scores.matched:
        raise InputError(
            f"{output.name} is written but finds none of the cells in the validation images: train it for "
            "more steps, or check that labels and images belong together."
        )


def _pair_folders(images: list[Path], labels: list[Path]) -> list[tuple[Path, Path]]:
    if len(images) != len(labels):
        raise InputError(f"{len(images)} image folders need as many label folders, not {len(labels)}.")
    return list(zip(images, labels, strict=True))


@app.command()
def evaluate(
    predictions: Annotated[Path, typer.Option(help="Folder of predicted label images.")],
    labels: Annotated[Path, typer.Option(help="Folder of true label images of the same stems.")],
    as_json: JsonOption = False,
) -> None:
    """Score predicted label images against true ones, pooled over all images."""
    from napari_unet.core.cells import evaluate as score
    from napari_unet.io import read_labels as read_label_image
    from napari_unet.io.labels import match_by_stem, read_labels

    pairs = match_by_stem(predictions, labels)
    found = [read_label_image(pair.image) for pair in pairs]
    truth = [read_labels(pair.labels, cells.shape).labels for pair, cells in zip(pairs, found, strict=True)]
    scores = score(found, truth)
    print_result({"images": len(pairs), **(summarise(scores) or {})}, as_json)


@app.command()
def benchmark(
    data: Annotated[Path, typer.Argument(help="Folder of data sets, NAME/SPLIT/{images,masks}/*.tif.")],
    model: Annotated[list[str] | None, typer.Option(help="Name of a model, or a .keras file.")] = None,
    names: Annotated[list[str] | None, typer.Option("--set", help="A data set; all if not given.")] = None,
    split: Annotated[str, typer.Option(help="Which of a data set's splits.")] = "val",
    peer: Annotated[list[str] | None, typer.Option(help="otsu, stardist:MODEL or cellpose:MODEL.")] = None,
    views: ViewsOption = 1,
    output: Annotated[Path | None, typer.Option(help="File for the table, in Markdown.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Score models and peers on data sets with true labels; --model, --set and --peer may be repeated."""
    from napari_unet.bench import check_output, find_data_sets, load_methods, render_table, run_benchmark
    from napari_unet.io import write_file

    if output:
        check_output(output)
    data_sets = find_data_sets(data, names or [], split=split)
    methods = load_methods(model or ([] if peer else [DEFAULT_MODEL]), peer or [], views)
    results = []
    for result in run_benchmark(data_sets, methods, report):
        say(f"{result.data_set}, {result.method}: AP50 {result.scores.ap50:.3f}, {result.seconds:.1f} s")
        results.append(result)
        if output:
            write_file(output, f"{render_table(results)}\n".encode())
    rows = [{**result.model_dump(), "scores": summarise(result.scores)} for result in results]
    print(json.dumps({"split": split, "results": rows}, indent=2) if as_json else render_table(results))


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """Check that everything works here, and say how fast it will be."""
    from napari_unet.jobs import examine

    result = examine()
    print_result(result, as_json)
    if result["problems"]:
        raise InputError("Something is missing: see the problems above.")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; without a command, or with image files first, the window opens."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    commands = {command.name or command.callback.__name__ for command in app.registered_commands}  # type: ignore[union-attr]
    commands |= {group.name for group in app.registered_groups if group.name}
    if not words or (words[0] not in commands and not words[0].startswith("-")):
        words = ["open", *words]
    try:
        app(words, prog_name="napari-unet")
    except InputError as error:
        _fail(str(error))
    except (OSError, MemoryError) as error:
        _log_traceback()
        _fail(f"The work could not be finished: {error or 'the machine is out of memory'}.")
    except Exception as error:
        _fail(
            f"Unexpected {type(error).__name__}: {error}. Please report it with the log {_log_traceback()}."
        )


def _log_traceback() -> Path:
    log = user_log_path("napari-unet", appauthor=False) / "cli.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        traceback.print_exc(file=file)
    return log


def _fail(sentence: str) -> None:
    say(f"napari-unet: {sentence}")
    sys.exit(1)


if __name__ == "__main__":
    main()
