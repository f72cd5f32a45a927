"""``digitlens evaluate`` and ``digitlens compare``: how well models read tiles not trained on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from digitlens.cli.tables import (
    AsJson,
    DataDir,
    Labelled,
    OutputKind,
    Outputs,
    Part,
    Pixels,
    PixelScale,
    SplitName,
    SplitOf,
    comparison_tables,
    external_tables,
    most_confused,
    ood_tables,
    print_json,
    report_tables,
    robustness_tables,
    safe_name,
    wide_console,
    write_part,
)
from digitlens.progress import note

if TYPE_CHECKING:
    from digitlens.datasets.mnist import Split
    from digitlens.evaluation.ood import Rejection
    from digitlens.evaluation.report import Report, Robustness, Transfer
    from digitlens.explain.trained_model import ComparedModel
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
    data_dir: DataDir = None,
    data: Labelled = None,
    split: SplitOf = "test",
    out: Annotated[
        Path | None,
        Option(help="Folder for report and pictures.", show_default="evaluation-MODEL"),
    ] = None,
    pixels: Pixels = None,
    outputs: Outputs = None,
    robustness: Robustly = False,
    on: On = None,
    rejection: Rejecting = False,
    negatives: Negatives = None,
    as_json: AsJson = False,
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
    model: str, pixels: PixelScale | None, outputs: OutputKind | None
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
    def draw(folder: Path) -> list[Path]:
        from digitlens.visualization.figures.registry import draw_evaluation

        return draw_evaluation(report, tiles.tiles, folder)

    values = report.as_dict()
    shown = [*report_tables(report), f"most confused: {most_confused(report) or 'none'}"]
    return Part(values, shown, partial(write_part, REPORT, values, draw))


def external_part(found: Sequence[Transfer]) -> Part:
    """What a model makes of other data sets; draws what was read wrongly of each."""

    def draw(folder: Path) -> list[Path]:
        from digitlens.visualization.figures.scores import draw_wrong

        paths = [folder / name for name in _picture_names([one.data.name for one in found])]
        for one, path in zip(found, paths, strict=True):
            draw_wrong(one.framed, one.data.framed.tiles, path)
        return paths

    values = {"transfer": [one.as_dict() for one in found]}
    return Part(values, external_tables(found), partial(write_part, TRANSFER, values, draw))


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

    def draw(folder: Path) -> list[Path]:
        from digitlens.visualization.figures.reliability import draw_rejection

        return draw_rejection(found, folder)

    values = found.as_dict()
    write = partial(write_part, REJECTION, values, draw)
    return Part({"rejection": values}, ood_tables(found), write)


def robustness_part(found: Robustness, split: Split) -> Part:
    """Scores on worse tiles; ``split`` as it was measured."""

    def draw(folder: Path) -> list[Path]:
        from digitlens.visualization.figures.reliability import draw_robustness

        return draw_robustness(found, split, folder)

    values = found.as_dict()
    write = partial(write_part, ROBUSTNESS, values, draw)
    return Part({"robustness": values}, robustness_tables(found), write)


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
        print_json({name: value for part in parts for name, value in part.values.items()})
        return
    console = wide_console()
    shown = [each for part in parts for each in part.shown]
    for place, each in enumerate(shown):
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
        SplitName, Option(help="validation: the tiles that all of their recipes kept back.")
    ] = "validation",
    data_dir: DataDir = None,
    data: Labelled = None,
    out: Annotated[Path, Option(help="Folder for report and pictures.")] = Path("comparison"),
    pixels: Pixels = None,
    outputs: Outputs = None,
    as_json: AsJson = False,
) -> None:
    """Compare runs on the same tiles, with McNemar's test for each pair."""
    if len(runs) < 2:
        raise typer.BadParameter(f"expected two or more runs to compare, found {len(runs)}")
    _check_data(data, data_dir, split, "validation")
    from digitlens.explain.trained_model import compare_models, open_compared

    models = open_compared(runs, pixels, outputs)
    tiles, name = _load_compared(models, split, data_dir, data)
    comparison = compare_models(models, tiles, name)

    def draw(folder: Path) -> list[Path]:
        from digitlens.visualization.figures.scores import draw_comparison, draw_disagreements

        draw_comparison(comparison, folder / PICTURE)
        draw_disagreements(comparison, tiles.tiles, folder / SHEET)
        return [folder / PICTURE, folder / SHEET]

    values = comparison.as_dict()
    write = partial(write_part, COMPARISON, values, draw)
    _tell([Part(values, comparison_tables(comparison), write)], out, as_json)


def _load_compared(
    models: list[ComparedModel], split: SplitName, data_dir: Path | None, data: Path | None
) -> tuple[Split, str]:
    from digitlens.datasets.labelled import load_labelled
    from digitlens.datasets.mnist import load_mnist
    from digitlens.explain.trained_model import common_validation

    if data:
        return load_labelled(data), data.name
    if split == "test":
        return load_mnist(data_dir).test, "MNIST test"
    return common_validation(models, load_mnist(data_dir).train), "MNIST validation"
