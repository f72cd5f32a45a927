"""``digitlens evaluate``: how well a model reads tiles that it was not trained on."""

from __future__ import annotations

import json
import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from digitlens.errors import DataError, MissingExtraError, ModelError, needs_extra
from digitlens.progress import note, work_bar

if TYPE_CHECKING:
    from rich.table import Table

    from digitlens.data.mnist import Split
    from digitlens.evaluation.report import Report, Score
    from digitlens.model.classifier import Classifier
    from digitlens.model.foreign import ForeignClassifier

REPORT = "report.json"


class SplitName(StrEnum):
    """The tiles to evaluate on."""

    TEST = "test"
    VALIDATION = "validation"


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
    data_dir: Annotated[Path | None, typer.Option(help="Folder with the MNIST files.")] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER|ZIP",
            help="Labelled tiles instead of MNIST, such as corrections downloaded from the page of "
            "`digitlens serve`.",
        ),
    ] = None,
    split: Annotated[
        SplitName, typer.Option(help="validation: the tiles that the model's recipe kept back.")
    ] = SplitName.TEST,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for report and pictures. [default: evaluation-MODEL]"),
    ] = None,
    pixels: Annotated[
        PixelScale | None,
        typer.Option(
            help="For an .onnx file, what it expects: 0 to 1, 0 to 255, or 0 to 1 less the mean "
            "and divided by the deviation of MNIST. [default: byte if it takes uint8, else unit]"
        ),
    ] = None,
    outputs: Annotated[
        OutputKind | None,
        typer.Option(help="For an .onnx file, what it gives. [default: probabilities]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Score a model on the MNIST test set or on tiles of your own, with a report and pictures."""
    if data and (data_dir or split is not SplitName.TEST):
        raise typer.BadParameter(
            "--data takes the place of MNIST: leave --data-dir and --split out"
        )
    classifier = _open(model, pixels, outputs)
    tiles, name = _load_labelled(data) if data else _load(classifier, split, data_dir)
    report = _evaluate(classifier, tiles, name)
    folder = out or Path("evaluation-" + re.sub(r"[^\w.-]+", "-", report.model.name))
    # Files first, since a reader that closes the pipe early, as head does, ends the program; but
    # the numbers come even when no file can be written.
    try:
        note(f"written to {folder}: {', '.join(_write(report, tiles, folder))}")
    finally:
        if as_json:
            typer.echo(json.dumps(report.as_dict(), indent=2))
        else:
            _print(report)


def _open(
    model: str, pixels: PixelScale | None, outputs: OutputKind | None
) -> Classifier | ForeignClassifier:
    if Path(model).suffix.lower() == ".onnx":
        from digitlens.model.foreign import ForeignClassifier

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
    from digitlens.model.classifier import Classifier

    return Classifier(model)


def _load_labelled(path: Path) -> tuple[Split, str]:
    from digitlens.data.labelled import load_labelled

    return load_labelled(path), path.name


def _load(
    classifier: Classifier | ForeignClassifier, split: SplitName, data_dir: Path | None
) -> tuple[Split, str]:
    from digitlens.data.mnist import load_mnist
    from digitlens.model.classifier import Classifier
    from digitlens.training.recipes import recipe_from

    if split is SplitName.TEST:
        return load_mnist(data_dir).test, "MNIST test"
    if not isinstance(classifier, Classifier) or not classifier.card.recipe:
        raise ModelError(
            f"{classifier.name} does not say which tiles it was not trained on: "
            "expected a model with its recipe; use --split test"
        )
    recipe = recipe_from(classifier.card.recipe)
    _, validation = recipe.split(load_mnist(data_dir).train)
    name = f"MNIST validation, {recipe.validation_share:.0%} by {recipe.validation}"
    return validation, f"{name}, seed {recipe.seed}"


def _evaluate(classifier: Classifier | ForeignClassifier, tiles: Split, data_name: str) -> Report:
    from digitlens.evaluation.evaluate import evaluate as measure
    from digitlens.evaluation.report import ModelInfo

    info = ModelInfo(classifier.name, classifier.sha256, classifier.given)
    with work_bar() as bar:
        task = bar.add_task("evaluating", total=len(tiles))
        return measure(
            classifier.predict_proba,
            tiles,
            model=info,
            data_name=data_name,
            on_progress=lambda n: bar.advance(task, n),
        )


def _write(report: Report, tiles: Split, folder: Path) -> list[str]:
    from digitlens import files

    try:
        files.write_json(folder / REPORT, report.as_dict())
        return [REPORT, *(path.name for path in _draw(report, tiles, folder))]
    except OSError as error:
        raise DataError(f"{folder} cannot be written ({error}): name another --out") from error


def _draw(report: Report, tiles: Split, folder: Path) -> list[Path]:
    try:
        with needs_extra("plots"):
            from digitlens.visualization.figures import draw_report
    except MissingExtraError as error:
        note(f"no pictures: {error}")
        return []
    return draw_report(report, tiles.tiles, folder)


def _print(report: Report) -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    for part in (_summary(report), _classes(report), _confusions(report)):
        console.print(part)
        console.print()
    pairs = ", ".join(f"{p.truth} as {p.predicted} ({p.count})" for p in report.confused_pairs)
    console.print(f"most confused: {pairs or 'none'}", soft_wrap=True)


def _summary(report: Report) -> Table:
    table = _table()
    table.add_column(style="bold")
    table.add_row("model", f"{report.model.name} ({report.model.sha256[:12]})")
    table.add_row("data", f"{report.data.name}, {report.n:,} tiles")
    table.add_row("accuracy", _score(report.score))
    if report.without_label_errors:
        left_out = len(report.data.label_errors)
        table.add_row("", f"without {left_out} known label errors:")
        table.add_row("", _score(report.without_label_errors))
    table.add_row("loss", f"{report.loss:.4f}")
    table.add_row("calibration", f"expected error {report.ece:.2%}")
    return table


def _score(score: Score) -> str:
    low, high = score.interval
    return f"{score.accuracy:.2%} (95 % interval {low:.2%} to {high:.2%}), {score.errors:,} wrong"


def _classes(report: Report) -> Table:
    table = _table("digit", "precision", "recall", "F1", "tiles")
    rows: list[tuple[Any, Any, int]] = [(row.digit, row, row.support) for row in report.classes]
    rows += [("macro", report.macro, report.n), ("weighted", report.weighted, report.n)]
    for name, row, support in rows:
        shares = (f"{share:.2%}" for share in (row.precision, row.recall, row.f1))
        table.add_row(str(name), *shares, f"{support:,}")
    return table


def _confusions(report: Report) -> Table:
    from rich.text import Text

    table = _table("truth \\ read as", *(str(digit) for digit in range(10)))
    for truth, row in enumerate(report.confusion.tolist()):
        cells = [
            Text(str(count) if count else ".", "dim" if truth == read or not count else "red")
            for read, count in enumerate(row)
        ]
        table.add_row(str(truth), *cells)
    return table


def _table(*headings: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=bool(headings))
    for heading in headings:
        table.add_column(heading, justify="right", header_style="dim")
    return table
