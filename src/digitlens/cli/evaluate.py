"""``digitlens evaluate``: how well a model reads tiles that it was not trained on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digitlens.cli.options import DataDir, SplitName, SplitOf
from digitlens.cli.parts import Part, safe_name, write_part
from digitlens.cli.rejection import Rejecting, Strange
from digitlens.cli.robustness import Robustly
from digitlens.cli.transfer import On
from digitlens.explain.trained_model import evaluate_model, evaluated_tiles
from digitlens.progress import note

if TYPE_CHECKING:
    from digitlens.datasets.mnist import Split
    from digitlens.evaluation.report import Report
    from digitlens.models.classifier import Classifier
    from digitlens.models.onnx_external import ForeignClassifier

REPORT = "report.json"


class PixelScale(StrEnum):
    """How pixels are scaled for somebody else's model."""

    UNIT = "unit"
    BYTE = "byte"
    MNIST = "mnist"


class OutputKind(StrEnum):
    """What somebody else's model gives."""

    PROBABILITIES = "probabilities"
    LOGITS = "logits"


def evaluate(
    model: Annotated[
        str, typer.Option(help="A shipped model's name, a run or model folder, or an .onnx file.")
    ] = "default",
    data_dir: DataDir = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER|ZIP",
            help="Labelled tiles instead of MNIST, such as corrections downloaded from the page of "
            "`digitlens serve`.",
        ),
    ] = None,
    split: SplitOf = SplitName.TEST,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for report and pictures.", show_default="evaluation-MODEL"),
    ] = None,
    pixels: Annotated[
        PixelScale | None,
        typer.Option(
            help="For an .onnx file, what it expects: 0 to 1, 0 to 255, or 0 to 1 less the mean "
            "and divided by the deviation of MNIST.",
            show_default="byte if it takes uint8, else unit",
        ),
    ] = None,
    outputs: Annotated[
        OutputKind | None,
        typer.Option(help="For an .onnx file, what it gives.", show_default="probabilities"),
    ] = None,
    robustness: Robustly = False,
    on: On = None,
    rejection: Rejecting = False,
    strange: Strange = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Score a model on the MNIST test set or on tiles of your own, with a report and pictures."""
    if data and (data_dir or split is not SplitName.TEST):
        raise typer.BadParameter(
            "--data takes the place of MNIST: leave --data-dir and --split out"
        )
    if strange and not rejection:
        raise typer.BadParameter("--strange belongs to --rejection: give that too")
    classifier = _open(model, pixels, outputs)
    tiles, name = (
        _load_labelled(data) if data else evaluated_tiles(classifier, split.value, data_dir)
    )
    report = evaluate_model(classifier, tiles, name)
    parts = [_report_part(report, tiles)]
    if on:
        parts.append(_transfer_part(classifier, on))
    if rejection:
        validates = split is SplitName.VALIDATION
        parts.append(_rejection_part(classifier, tiles, strange, data_dir, validates))
    if robustness:
        parts.append(_robustness_part(classifier, tiles, report))
    folder = out or Path(f"evaluation-{safe_name(report.model.name)}")
    # Files first, since a reader that closes the pipe early, as head does, ends the program; but
    # the numbers come even when no file can be written.
    try:
        names = [name for part in parts for name in part.write(folder)]
        note(f"written to {folder}: {', '.join(names)}")
    finally:
        _print(parts, as_json)


def _open(
    model: str, pixels: PixelScale | None, outputs: OutputKind | None
) -> Classifier | ForeignClassifier:
    if Path(model).suffix.lower() == ".onnx":
        from digitlens.models.onnx_external import ForeignClassifier

        kind = outputs.value if outputs else "probabilities"
        foreign = ForeignClassifier(model, pixels.value if pixels else None, kind)
        given = "; ".join(f"{topic} {text}" for topic, text in foreign.given.items())
        note(f"{model}: {given}")
        return foreign
    if pixels or outputs:
        raise typer.BadParameter(
            f"--pixels and --outputs are for .onnx files; {model!r} is a model of digitlens, "
            "which has them inside its graph"
        )
    from digitlens.models.classifier import Classifier

    return Classifier(model)


def _load_labelled(path: Path) -> tuple[Split, str]:
    from digitlens.datasets.labelled import load_labelled

    return load_labelled(path), path.name


def _write(report: Report, tiles: Split, folder: Path) -> list[str]:
    def draw() -> list[Path]:
        from digitlens.visualization.figures import draw_report

        return draw_report(report, tiles.tiles, folder)

    return write_part(folder / REPORT, report.as_dict(), draw)


def _report_part(report: Report, tiles: Split) -> Part:
    from digitlens.cli.report_table import most_confused, report_tables

    shown = [*report_tables(report), most_confused(report)]
    return Part(report.as_dict(), shown, partial(_write, report, tiles))


def _transfer_part(classifier: Classifier | ForeignClassifier, on: Sequence[str]) -> Part:
    from digitlens.cli import transfer as part

    found = part.transfer(classifier, on)
    write = partial(part.write_transfer, found)
    return Part(part.transfer_dict(found), part.transfer_tables(found), write)


def _rejection_part(
    classifier: Classifier | ForeignClassifier,
    tiles: Split,
    strange: Sequence[str] | None,
    data_dir: Path | None,
    is_validation: bool,
) -> Part:
    from digitlens.cli import rejection as part

    found = part.rejection(
        classifier, tiles, strange=strange, data_dir=data_dir, is_validation=is_validation
    )
    write = partial(part.write_rejection, found)
    return Part(part.rejection_dict(found), part.rejection_tables(found), write)


def _robustness_part(
    classifier: Classifier | ForeignClassifier, tiles: Split, report: Report
) -> Part:
    from digitlens.cli import robustness as part

    found = part.robustness(classifier, tiles, report)
    write = partial(part.write_robustness, found, tiles)
    return Part(part.robustness_dict(found), part.robustness_tables(found), write)


def _print(parts: Sequence[Part], as_json: bool) -> None:
    if as_json:
        values = {name: value for part in parts for name, value in part.values.items()}
        typer.echo(json.dumps(values, indent=2))
        return
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    shown = [each for part in parts for each in part.shown]
    for place, each in enumerate(shown):
        if place:
            console.print()
        console.print(each, soft_wrap=isinstance(each, str))
