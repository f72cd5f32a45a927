"""How results look: JSON, tables, files of a folder; and options that commands share."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, TypeAlias

import typer
from typer import Option

from digitlens.errors import (
    DataError,
    DigitlensError,
    MissingExtraError,
    TemplateError,
    needs_extra,
)
from digitlens.progress import note

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from digitlens.evaluation.ood import Rejection
    from digitlens.evaluation.report import Condition, Report, Robustness, Score, Transfer
    from digitlens.evaluation.significance import Comparison, Pair

WIDE = 1000  # columns where nobody looks at a screen: a row stays a line, however long its names
WORST = 5  # confusions in the table


def print_json(values: Any) -> None:
    """Prints what was found for programs."""
    typer.echo(json.dumps(values, indent=2))


def table_of(
    headings: Sequence[str], rows: Iterable[Sequence[str | Text]], *, left: int = 1
) -> Table:
    """A table without lines, and without a head where all headings are empty.

    The first ``left`` columns are set to the left, the others to the right.
    """
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=any(headings))
    for place, heading in enumerate(headings):
        side = "left" if place < left else "right"
        table.add_column(heading, justify=side, header_style="dim")
    for row in rows:
        table.add_row(*row)
    return table


def wide_console() -> Console:
    """Standard output, as wide as a row needs where it is not a terminal."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    return console if console.is_terminal else Console(highlight=False, markup=False, width=WIDE)


class Part(NamedTuple):
    """What was found of one kind: JSON-ready, for the terminal, and what writes its files."""

    values: dict[str, Any]
    shown: Sequence[Table | str]
    write: Callable[[Path], list[str]]


def safe_name(name: str) -> str:
    """A model's name as part of the name of a file or folder."""
    return re.sub(r"[^\w.-]+", "-", name)


def part_of(
    name: str,
    values: Any,
    shown: Sequence[Table | str],
    draw: Callable[[Path], Sequence[Path]],
    key: str = "",
) -> Part:
    """A part that writes its values as JSON, and pictures where what ``draw`` imports is there.

    With a key, the values stand below it among those of other parts, though not in their file.
    """

    def write(folder: Path) -> list[str]:
        from digitlens import files

        with writing(folder):
            files.write_json(folder / name, values)
            pictures: list[Path] = []
            is_drawn(lambda: pictures.extend(draw(folder)), "pictures")
            return [name, *(picture.name for picture in pictures)]

    return Part({key: values} if key else values, shown, write)


def figure(name: str) -> Callable[..., Any]:
    """A function of ``digitlens.visualization.figures``, loaded when called: it takes a second."""
    module, _, function = name.partition(".")

    def draw(*given: Any) -> Any:
        loaded = import_module(f"digitlens.visualization.figures.{module}")
        return getattr(loaded, function)(*given)

    return draw


@contextmanager
def writing(path: Path) -> Generator[None]:
    """Turns an OSError of the block into a DataError: what was asked for cannot be written."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error}): name another --out") from error


@contextmanager
def meaning(option: str) -> Generator[None]:
    """Turns an error of the block about a value into a mistake in use of an option."""
    try:
        yield
    except (ValueError, TemplateError) as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def is_drawn(
    draw: Callable[[], object], what: str, cause: type[DigitlensError] = MissingExtraError
) -> bool:
    """Draws; where the extra for plots is missing, or another such error comes, says so."""
    try:
        with needs_extra("plots"):
            draw()
    except cause as error:
        note(f"no {what}: {error}")
        return False
    return True


def report_tables(report: Report) -> list[Table]:
    """Scores, scores by digit, and what was read as what."""
    from rich.text import Text

    facts = [
        ("model", f"{report.model.name} ({report.model.sha256[:12]})"),
        ("data", f"{report.data.name}, {report.n:,} tiles"),
        ("accuracy", _score_text(report.score)),
    ]
    if report.without_label_errors:
        left_out = len(report.data.label_errors)
        facts.append(("", f"without {left_out} known label errors:"))
        facts.append(("", _score_text(report.without_label_errors)))
    facts.append(("loss", f"{report.loss:.4f}"))
    facts.append(("calibration", f"expected error {report.ece:.2%}"))
    classes: list[tuple[Any, Any, int]] = [(row.digit, row, row.support) for row in report.classes]
    classes += [("macro", report.macro, report.n), ("weighted", report.weighted, report.n)]
    scores = [
        (str(name), *(f"{share:.2%}" for share in (row.precision, row.recall, row.f1)), f"{n:,}")
        for name, row, n in classes
    ]
    confusions = [
        (
            str(truth),
            *(
                Text(str(n) if n else ".", "dim" if truth == read or not n else "red")
                for read, n in enumerate(row)
            ),
        )
        for truth, row in enumerate(report.confusion.tolist())
    ]
    return [
        table_of(("", ""), [(name, Text(text, "bold")) for name, text in facts], left=2),
        table_of(("digit", "precision", "recall", "F1", "tiles"), scores, left=0),
        table_of(("truth \\ read as", *"0123456789"), confusions, left=0),
    ]


def _score_text(score: Score) -> str:
    return f"{score.accuracy:.2%} (95 % interval {_span(score.interval)}), {score.errors:,} wrong"


def _span(interval: tuple[float, float], form: str = ".2%") -> str:
    return f"{interval[0]:{form}} to {interval[1]:{form}}"


def most_confused(report: Report, most: int | None = None) -> str:
    """The most frequent mistakes in a line."""
    return ", ".join(
        f"{pair.truth} as {pair.predicted} ({pair.count})" for pair in report.confused_pairs[:most]
    )


def robustness_tables(found: Robustness) -> list[Table]:
    """Accuracy and calibration under each corruption, and accuracy along each sweep."""
    headings = ("corruption", "accuracy", "95 % interval", "loss", "calib. error", "trained")
    known = {None: "?", True: "yes", False: "no"}
    rows = [_condition_cells("clean", [found.clean], "")]
    rows += [
        _condition_cells(row.name.replace("_", " "), [row], known[row.overlaps])
        for row in found.corruptions
    ]
    rows.append(_condition_cells("mean", found.corruptions))
    if found.apart:
        rows.append(_condition_cells("mean of not trained", found.apart))
    sweeps = [
        table_of(
            (curve.axis, "accuracy", "95 % interval"),
            [
                (f"{value:g}", f"{score.accuracy:.1%}", _span(score.interval, ".1%"))
                for value, score in zip(curve.values, curve.scores, strict=True)
            ],
        )
        for curve in found.curves
    ]
    return [table_of(headings, rows), *sweeps]


def _condition_cells(name: str, rows: Sequence[Condition], trained: str = "") -> tuple[str, ...]:
    """One condition, or the mean of several, which has no interval."""
    accuracy = fmean(row.score.accuracy for row in rows)
    loss = fmean(row.uncertainty.nll for row in rows)
    error = fmean(row.uncertainty.ece for row in rows)
    span = _span(rows[0].score.interval) if len(rows) == 1 else ""
    return name, f"{accuracy:.2%}", span, f"{loss:.3f}", f"{error:.2%}", trained


def _share_cells(accuracy: float, interval: tuple[float, float]) -> tuple[str, str]:
    return f"{accuracy:.2%}", _span(interval)


def external_tables(measured: Sequence[Transfer]) -> list[Table]:
    """The accuracies by data set, and the share of each digit that is read rightly."""
    scores: list[tuple[str, ...]] = []
    recalls: list[tuple[str, ...]] = []
    for transfer in measured:
        framed, unframed = transfer.framed, transfer.unframed
        cells = _share_cells(framed.accuracy, framed.interval)
        more = _share_cells(unframed.accuracy, unframed.interval)
        wrong = most_confused(framed, WORST)
        scores.append((transfer.data.title, f"{framed.n:,}", *cells, *more, wrong))
        shares = (f"{row.recall:.1%}" if row.support else "-" for row in framed.classes)
        recalls.append((transfer.data.title, *shares))
    headings = ("data", "tiles", "framed", "95 % interval", "unframed", "95 % interval")
    table = table_of((*headings, "most confused"), scores)
    table.columns[-1].justify = "left"
    return [table, table_of(("recall, framed", *"0123456789"), recalls)]


_UNCERTAINTY = {
    "tiles": ("n", ",d"),
    "wrong": ("error", ".3%"),
    "wrong among the surest 99 %": ("error_at_99", ".3%"),
    "answered without a mistake": ("coverage_at_zero", ".2%"),
    "area of risk and coverage": ("aurc", ".2e"),
    "loss": ("nll", ".4f"),
    "Brier score": ("brier", ".5f"),
    "calibration error": ("ece", ".3%"),
    "adaptive calibration error": ("adaptive_ece", ".3%"),
}


def ood_tables(found: Rejection) -> list[Table]:
    """Uncertainty, negatives by score, and, on validation tiles, ways to calibrate.

    Negatives by AUROC, and in brackets the share taken for digits where 95 % of the digits are.
    """
    uncertainty = [
        (name, *(format(getattr(one, key), form) for one in found.uncertainty.values()))
        for name, (key, form) in _UNCERTAINTY.items()
    ]
    marked = (f"{name} *" if name == found.recommended else name for name in found.scores)
    told_apart = [
        (
            f"{name}, {first.n:,}",
            *(f"{sets[name].auroc:.4f} ({sets[name].fpr95:.1%})" for sets in found.scores.values()),
        )
        for name, first in next(iter(found.scores.values())).items()
    ]
    tables = [
        table_of(("uncertainty", *found.uncertainty), uncertainty),
        table_of(("AUROC (taken for digits)", *marked), told_apart),
    ]
    if found.scaling:
        rows = [
            (name, f"{score.nll:.5f}", f"{score.gain:+.5f}", f"{score.error:.5f}")
            for name, score in found.scaling.items()
        ]
        headings = ("calibration, cross-fitted", "loss", "gain", "standard error")
        tables.append(table_of(headings, rows))
    return tables


def comparison_tables(comparison: Comparison) -> list[Table | str]:
    """The models side by side, how their recipes differ, each pair and a verdict."""
    from digitlens.training.settings import shown

    runs = [
        (
            name,
            *_share_cells(report.accuracy, report.interval),
            f"{report.score.errors:,}",
            f"{report.loss:.4f}",
            f"{report.ece:.2%}",
            "-" if facts.parameters is None else f"{facts.parameters:,}",
            f"{facts.size / 1000:,.0f}",
            "-" if facts.training_seconds is None else f"{facts.training_seconds:,.1f}",
        )
        for (name, report), facts in zip(
            comparison.reports.items(), comparison.facts.values(), strict=True
        )
    ]
    scores = ("accuracy", "95 % interval", "wrong", "loss", "calibration error")
    recipes = [
        (name, *("-" if value is None else shown(value) for value in values))
        for name, values in comparison.recipe_differences().items()
    ]
    pairs = [
        (
            f"{pair.first} - {pair.second}",
            *(f"{count:,}" for count in (pair.only_first, pair.only_second, pair.both_wrong)),
            f"{pair.difference:+.2%}",
            _span(pair.interval, "+.2%"),
            f"{pair.p:.2g}",
            f"{pair.p_holm:.2g}",
        )
        for pair in comparison.pairs
    ]
    facts = ("only first right", "only second right", "both wrong", "difference", "95 % interval")
    last = 8 if len(pairs) > 1 else 7  # of a single pair, p by Holm is p
    return [
        f"{comparison.data}, {comparison.n:,} tiles",
        table_of(("run", *scores, "parameters", "KB", "training s"), runs),
        *([table_of(("recipe", *comparison.names), recipes)] if recipes else []),
        table_of(("pair", *facts, "McNemar p", "p by Holm")[:last], [row[:last] for row in pairs]),
        "\n".join(_verdict(pair) for pair in comparison.pairs),
    ]


def _verdict(pair: Pair) -> str:
    better, worse = (pair.first, pair.second) if pair.difference > 0 else (pair.second, pair.first)
    if pair.p_holm < 0.05:
        return f"{better} is better than {worse} (p = {pair.p_holm:.2g})"
    return f"{pair.first} and {pair.second} cannot be told apart on these tiles"


SplitName: TypeAlias = Literal["test", "validation"]
ThemeName: TypeAlias = Literal["light", "dark"]
PixelScale: TypeAlias = Literal["unit", "byte", "mnist"]
OutputKind: TypeAlias = Literal["probabilities", "logits"]

AsJson = Annotated[bool, Option("--json", help="Print the result as JSON.")]
DataDir = Annotated[Path | None, Option(help="Folder with the MNIST files.")]
SplitOf = Annotated[
    SplitName, Option(help="validation: the tiles that the model's recipe kept back.")
]
Labelled = Annotated[
    Path | None,
    Option(
        metavar="FOLDER|ZIP",
        help="Labelled tiles instead of MNIST, such as corrections downloaded from the page of "
        "`digitlens serve`.",
    ),
]
Themed = Annotated[
    ThemeName, Option("--theme", help="Colours: dark ink on white, or light on dark.")
]
Pixels = Annotated[
    PixelScale | None,
    Option(
        help="For an .onnx file, what it expects: 0 to 1, 0 to 255, or 0 to 1 less the mean "
        "and divided by the deviation of MNIST.",
        show_default="byte if it takes uint8, else unit",
    ),
]
Outputs = Annotated[
    OutputKind | None,
    Option(help="For an .onnx file, what it gives.", show_default="probabilities"),
]
Model = Annotated[
    str,
    Option(help="What classifies digits: a shipped model's name, or a run or model folder."),
]
Pages = Annotated[
    str,
    Option(
        metavar="MODEL",
        help="What finds digits on pages; can be given as --model, too.",
    ),
]
RecipeName = Annotated[str, Option(help="Name of a recipe, or path of a .toml file.")]
INTERRUPTED = 130  # what a shell reports for a program that Ctrl-C ended


def use_patient_threads() -> None:
    """To be called before torch loads, which reads it once.

    Threads that spin while they wait for each other are fastest on an idle machine and hopeless on
    a busy one: next to one other process an epoch took 43 s with the usual 300,000 turns and 6.5 s
    with 1,000; on an idle machine 2.3 s and 2.6 s.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
