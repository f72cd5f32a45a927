"""``digitlens evaluate`` and ``digitlens compare``: score models on tiles not used in training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from digitlens.cli import tables
from digitlens.cli.tables import Part, figure, make_part, safe_name
from digitlens.progress import note

if TYPE_CHECKING:
    from digitlens.datasets.mnist import Split
    from digitlens.evaluation.ood import Rejection
    from digitlens.evaluation.report import Robustness, Transfer
    from digitlens.models.classifier import Classifier, ForeignClassifier


def evaluate(
    model: Annotated[
        str, Option(help="Name of a shipped model, a run or model folder, or an .onnx file.")
    ] = "default",
    data_dir: tables.DataDir = None,
    data: tables.Labelled = None,
    split: tables.SplitOf = "test",
    out: Annotated[
        Path | None,
        Option(help="Folder for report and pictures.", show_default="evaluation-MODEL"),
    ] = None,
    pixels: tables.Pixels = None,
    outputs: tables.Outputs = None,
    robustness: Annotated[
        bool,
        Option(
            "--robustness",
            help="Also score under the fifteen corruptions of MNIST-C, and under unusual shift, "
            "rotation, size, stroke width, contrast and polarity. Takes minutes.",
        ),
    ] = False,
    on: Annotated[
        list[str] | None,
        Option(
            metavar="NAME[=FILE]",
            help="Also score another data set of digits, not used in training; repeatable. "
            "`digits` comes with scikit-learn; `usps`, `semeion`, `emnist`, `svhn` and `ardis` "
            "need the file that their authors publish, or its folder, as in `usps=usps.t.bz2`.",
        ),
    ] = None,
    rejection: Annotated[
        bool,
        Option(
            "--rejection",
            help="Also score calibration, the gain of rejecting unsure answers, and the rejection "
            "of letters, strokes, noise, textures and blank tiles. Downloads fonts once.",
        ),
    ] = False,
    negatives: Annotated[
        list[str] | None,
        Option(
            "--negatives",
            "--strange",  # the name of version 0.1
            metavar="NAME=FILE",
            help="With --rejection, tiles that are not digits, as an IDX file, for example Fashion-"
            "MNIST, Kuzushiji-MNIST or the letters of EMNIST; repeatable.",
        ),
    ] = None,
    as_json: tables.AsJson = False,
) -> None:
    """Score a model on the MNIST test set or on your own tiles; write a report and pictures."""
    if negatives and not rejection:
        raise typer.BadParameter("--negatives requires --rejection: add it")
    labelled = _labelled_tiles(data, data_dir, split, "test")
    from digitlens.explain import trained_model

    classifier = _open(model, pixels, outputs)
    tiles, name = labelled or trained_model.evaluated_tiles(classifier, split, data_dir)
    report = trained_model.evaluate_model(classifier, tiles, name)
    display = [
        *tables.report_tables(report),
        f"most confused: {tables.most_confused(report) or 'none'}",
    ]
    draw = partial(figure("registry.draw_evaluation"), report, tiles.tiles)
    parts = [make_part("report.json", report.as_dict(), display, draw)]
    if on:
        parts.append(external_part(trained_model.measure_external(classifier, on)))
    if rejection:
        measured = trained_model.measure_ood(
            classifier,
            tiles,
            negatives=negatives or (),
            data_dir=data_dir,
            is_validation=split == "validation",
        )
        parts.append(ood_part(measured))
    if robustness:
        measured = trained_model.measure_corrupted(classifier, tiles, report)
        parts.append(robustness_part(measured, tiles))
    _write_parts(parts, out or Path(f"evaluation-{safe_name(report.model.name)}"), as_json)


def _labelled_tiles(
    data: Path | None, data_dir: Path | None, split: str, default_split: str
) -> tuple[Split, str] | None:
    """The labelled tiles that replace MNIST, and their name; None without ``--data``."""
    from digitlens.datasets.labelled import load_labelled

    if data and (data_dir or split != default_split):
        message = "--data replaces MNIST: omit --data-dir and --split"
        raise typer.BadParameter(message)
    return (load_labelled(data), data.name) if data else None


def _open(
    model: str, pixels: tables.PixelScale | None, outputs: tables.OutputKind | None
) -> Classifier | ForeignClassifier:
    from digitlens.explain.trained_model import open_classifier

    is_onnx = Path(model).suffix.lower() == ".onnx"
    if (pixels or outputs) and not is_onnx:
        raise typer.BadParameter(
            f"--pixels and --outputs apply to .onnx files only; {model!r} is a digitlens model, "
            "whose graph includes both: omit them"
        )
    classifier = open_classifier(model, pixels, outputs)
    if is_onnx:
        note(f"{model}: {'; '.join(f'{topic} {text}' for topic, text in classifier.given.items())}")
    return classifier


def external_part(transfers: Sequence[Transfer]) -> Part:
    """Accuracy on other data sets; draws the misread tiles of each."""

    def draw(folder: Path) -> list[Path]:
        counts, paths = Counter[str](), list[Path]()
        for transfer in transfers:
            counts[transfer.data.name] += 1  # a second file of the same data set gets a number
            number = f"-{counts[transfer.data.name]}" if counts[transfer.data.name] > 1 else ""
            paths.append(folder / f"wrong-{transfer.data.name}{number}.png")
            figure("scores.draw_wrong")(transfer.framed, transfer.data.framed.tiles, paths[-1])
        return paths

    values = {"transfer": [transfer.as_dict() for transfer in transfers]}
    return make_part("transfer.json", values, tables.external_tables(transfers), draw)


def ood_part(ood: Rejection) -> Part:
    """Uncertainty, and separation of digits from negatives."""
    draw = partial(figure("reliability.draw_rejection"), ood)
    return make_part("rejection.json", ood.as_dict(), tables.ood_tables(ood), draw, "rejection")


def robustness_part(robustness: Robustness, tiles: Split) -> Part:
    """Accuracy on corrupted tiles; draws the curves and samples of each corruption."""
    draw = partial(figure("reliability.draw_robustness"), robustness, tiles)
    display = tables.robustness_tables(robustness)
    return make_part("robustness.json", robustness.as_dict(), display, draw, "robustness")


def _write_parts(parts: Sequence[Part], folder: Path, as_json: bool) -> None:
    # Files first: a reader that closes the pipe early, such as head, ends the program. The numbers
    # are printed even if no file can be written.
    try:
        names = [name for part in parts for name in part.write(folder)]
        note(f"written to {folder}: {', '.join(names)}")
    finally:
        if as_json:
            tables.print_json({key: value for part in parts for key, value in part.values.items()})
        else:
            console = tables.wide_console()
            for index, block in enumerate(block for part in parts for block in part.display):
                if index:
                    console.print()
                console.print(block, soft_wrap=isinstance(block, str))


def compare(
    runs: Annotated[
        list[str],
        Argument(
            metavar="RUN...",
            help="Two or more run or model folders, names of shipped models or .onnx files.",
        ),
    ],
    split: Annotated[
        tables.SplitName, Option(help="validation: the tiles that all their recipes held out.")
    ] = "validation",
    data_dir: tables.DataDir = None,
    data: tables.Labelled = None,
    out: Annotated[Path, Option(help="Folder for report and pictures.")] = Path("comparison"),
    pixels: tables.Pixels = None,
    outputs: tables.Outputs = None,
    as_json: tables.AsJson = False,
) -> None:
    """Compare models on the same tiles, with McNemar's test for each pair."""
    if len(runs) < 2:
        raise typer.BadParameter(f"expected two or more runs to compare, found {len(runs)}")
    labelled = _labelled_tiles(data, data_dir, split, "validation")
    from digitlens.datasets.mnist import load_mnist
    from digitlens.explain.trained_model import common_validation, compare_models, open_compared

    models = open_compared(runs, pixels, outputs)
    if labelled:
        tiles, name = labelled
    elif split == "test":
        tiles, name = load_mnist(data_dir).test, "MNIST test"
    else:
        tiles, name = common_validation(models, load_mnist(data_dir).train), "MNIST validation"
    comparison = compare_models(models, tiles, name)

    def draw(folder: Path) -> list[Path]:
        paths = [folder / "comparison.png", folder / "disagreements.png"]
        figure("scores.draw_comparison")(comparison, paths[0])
        figure("scores.draw_disagreements")(comparison, tiles.tiles, paths[1])
        return paths

    display = tables.comparison_tables(comparison)
    _write_parts([make_part("comparison.json", comparison.as_dict(), display, draw)], out, as_json)
