"""``digitlens evaluate`` and ``digitlens compare``: how well models read tiles not trained on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from digitlens.cli import tables
from digitlens.cli.tables import Part, figure, part_of, safe_name
from digitlens.progress import note

if TYPE_CHECKING:
    from digitlens.datasets.mnist import Split
    from digitlens.evaluation.ood import Rejection
    from digitlens.evaluation.report import Report, Robustness, Transfer
    from digitlens.models.classifier import Classifier, ForeignClassifier

REPORT, TRANSFER = "report.json", "transfer.json"
REJECTION, ROBUSTNESS = "rejection.json", "robustness.json"

Robustly = Annotated[
    bool,
    Option(
        "--robustness",
        help="Also under the fifteen corruptions of MNIST-C, and while shift, rotation, size, "
        "stroke width, contrast and polarity go beyond what is usual. Takes minutes.",
    ),
]

On = Annotated[
    list[str] | None,
    Option(
        "--on",
        metavar="NAME[=FILE]",
        help="Another data set of digits, on which nothing was trained; may be repeated. `digits` "
        "comes with scikit-learn; `usps`, `semeion`, `emnist`, `svhn` and `ardis` are given with "
        "the file that their authors publish, or its folder: `usps=usps.t.bz2`.",
    ),
]

Rejecting = Annotated[
    bool,
    Option(
        "--rejection",
        help="Also calibration, what rejecting unsure answers gains, and whether letters, strokes, "
        "noise, textures and blank tiles are told from digits. Fetches fonts once.",
    ),
]

Negatives = Annotated[
    list[str] | None,
    Option(
        "--negatives",
        "--strange",  # the name of version 0.1
        metavar="NAME=FILE",
        help="With --rejection, tiles of no digit as an IDX file, such as Fashion-MNIST, "
        "Kuzushiji-MNIST or the letters of EMNIST; may be repeated.",
    ),
]


def evaluate(
    model: Annotated[
        str, Option(help="A shipped model's name, a run or model folder, or an .onnx file.")
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
    robustness: Robustly = False,
    on: On = None,
    rejection: Rejecting = False,
    negatives: Negatives = None,
    as_json: tables.AsJson = False,
) -> None:
    """Score a model on the MNIST test set or on tiles of your own, with a report and pictures."""
    _check_data(data, data_dir, split, "test")
    if negatives and not rejection:
        raise typer.BadParameter("--negatives belongs to --rejection: give that too")
    from digitlens.datasets.labelled import load_labelled
    from digitlens.explain.trained_model import (
        evaluate_model,
        evaluated_tiles,
        measure_corrupted,
        measure_external,
        measure_ood,
    )

    classifier = _open(model, pixels, outputs)
    if data:
        tiles, name = load_labelled(data), data.name
    else:
        tiles, name = evaluated_tiles(classifier, split, data_dir)
    report = evaluate_model(classifier, tiles, name)
    parts = [_report_part(report, tiles)]
    if on:
        parts.append(external_part(measure_external(classifier, on)))
    if rejection:
        found = measure_ood(
            classifier,
            tiles,
            negatives=negatives or (),
            data_dir=data_dir,
            is_validation=split == "validation",
        )
        parts.append(ood_part(found))
    if robustness:
        parts.append(robustness_part(measure_corrupted(classifier, tiles, report), tiles))
    _tell(parts, out or Path(f"evaluation-{safe_name(report.model.name)}"), as_json)


def _check_data(data: Path | None, data_dir: Path | None, split: str, usual: str) -> None:
    if data and (data_dir or split != usual):
        told = "--data takes the place of MNIST: leave --data-dir and --split out"
        raise typer.BadParameter(told)


def _open(
    model: str, pixels: tables.PixelScale | None, outputs: tables.OutputKind | None
) -> Classifier | ForeignClassifier:
    from digitlens.explain.trained_model import open_classifier

    foreign = Path(model).suffix.lower() == ".onnx"
    if (pixels or outputs) and not foreign:
        raise typer.BadParameter(
            f"--pixels and --outputs are for .onnx files; {model!r} is a model of digitlens, "
            "which has them inside its graph"
        )
    classifier = open_classifier(model, pixels, outputs)
    if foreign:
        note(f"{model}: {'; '.join(f'{topic} {text}' for topic, text in classifier.given.items())}")
    return classifier


def _report_part(report: Report, tiles: Split) -> Part:
    shown = [
        *tables.report_tables(report),
        f"most confused: {tables.most_confused(report) or 'none'}",
    ]
    draw = partial(_draw, "registry.draw_evaluation", report, tiles.tiles)
    return part_of(REPORT, report.as_dict(), shown, draw)


def external_part(found: Sequence[Transfer]) -> Part:
    """What a model makes of other data sets; draws what was read wrongly of each."""

    def draw(folder: Path) -> list[Path]:
        paths = [folder / name for name in _picture_names([one.data.name for one in found])]
        for one, path in zip(found, paths, strict=True):
            figure("scores.draw_wrong")(one.framed, one.data.framed.tiles, path)
        return paths

    values = {"transfer": [one.as_dict() for one in found]}
    return part_of(TRANSFER, values, tables.external_tables(found), draw)


def _picture_names(data_sets: Sequence[str]) -> list[str]:
    """One a data set; two files of one data set are told apart by a number."""
    seen: Counter[str] = Counter()
    names: list[str] = []
    for name in data_sets:
        seen[name] += 1
        names.append(f"wrong-{name}{f'-{seen[name]}' if seen[name] > 1 else ''}.png")
    return names


def ood_part(found: Rejection) -> Part:
    """Uncertainty, and digits told from what is none."""
    shown, draw = tables.ood_tables(found), partial(_draw, "reliability.draw_rejection", found)
    return part_of(REJECTION, found.as_dict(), shown, draw, "rejection")


def robustness_part(found: Robustness, split: Split) -> Part:
    """Scores on worse tiles; ``split`` as it was measured."""
    draw = partial(_draw, "reliability.draw_robustness", found, split)
    return part_of(ROBUSTNESS, found.as_dict(), tables.robustness_tables(found), draw, "robustness")


def _draw(name: str, *given: Any) -> list[Path]:
    return figure(name)(*given)


def _tell(parts: Sequence[Part], folder: Path, as_json: bool) -> None:
    # Files first, since a reader that closes the pipe early, as head does, ends the program; but
    # the numbers come even when no file can be written.
    try:
        names = [name for part in parts for name in part.write(folder)]
        note(f"written to {folder}: {', '.join(names)}")
    finally:
        _print(parts, as_json)


def _print(parts: Sequence[Part], as_json: bool) -> None:
    if as_json:
        tables.print_json({name: value for part in parts for name, value in part.values.items()})
        return
    console = tables.wide_console()
    for place, each in enumerate(each for part in parts for each in part.shown):
        if place:
            console.print()
        console.print(each, soft_wrap=isinstance(each, str))


COMPARISON, PICTURE, SHEET = "comparison.json", "comparison.png", "disagreements.png"


def compare(
    runs: Annotated[
        list[str],
        Argument(
            metavar="RUN...",
            help="Two or more run or model folders, names of shipped models, or .onnx files.",
        ),
    ],
    split: Annotated[
        tables.SplitName, Option(help="validation: the tiles that all of their recipes kept back.")
    ] = "validation",
    data_dir: tables.DataDir = None,
    data: tables.Labelled = None,
    out: Annotated[Path, Option(help="Folder for report and pictures.")] = Path("comparison"),
    pixels: tables.Pixels = None,
    outputs: tables.Outputs = None,
    as_json: tables.AsJson = False,
) -> None:
    """Compare runs on the same tiles, with McNemar's test for each pair."""
    if len(runs) < 2:
        raise typer.BadParameter(f"expected two or more runs to compare, found {len(runs)}")
    _check_data(data, data_dir, split, "validation")
    from digitlens.datasets.labelled import load_labelled
    from digitlens.datasets.mnist import load_mnist
    from digitlens.explain.trained_model import common_validation, compare_models, open_compared

    models = open_compared(runs, pixels, outputs)
    if data:
        tiles, name = load_labelled(data), data.name
    elif split == "test":
        tiles, name = load_mnist(data_dir).test, "MNIST test"
    else:
        tiles, name = common_validation(models, load_mnist(data_dir).train), "MNIST validation"
    comparison = compare_models(models, tiles, name)

    def draw(folder: Path) -> list[Path]:
        figure("scores.draw_comparison")(comparison, folder / PICTURE)
        figure("scores.draw_disagreements")(comparison, tiles.tiles, folder / SHEET)
        return [folder / PICTURE, folder / SHEET]

    shown = tables.comparison_tables(comparison)
    _tell([part_of(COMPARISON, comparison.as_dict(), shown, draw)], out, as_json)
