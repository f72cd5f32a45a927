"""Output shared by the commands (JSON, tables, result folders) and their common options."""

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

WIDE = 1000  # columns if the output is no terminal: rows are not wrapped, however long the names
CONFUSIONS = 5  # confusions listed in a table


def print_json(values: Any) -> None:
    """Prints values as indented JSON."""
    typer.echo(json.dumps(values, indent=2))


def table_of(
    headings: Sequence[str], rows: Iterable[Sequence[str | Text]], *, left: int = 1
) -> Table:
    """A table without rules, and without a header row if all headings are empty.

    The first ``left`` columns are left-aligned, the others right-aligned.
    """
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=any(headings))
    for index, heading in enumerate(headings):
        alignment = "left" if index < left else "right"
        table.add_column(heading, justify=alignment, header_style="dim")
    for row in rows:
        table.add_row(*row)
    return table


def wide_console() -> Console:
    """A console on standard output; if that is not a terminal, wide enough for any row."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    return console if console.is_terminal else Console(highlight=False, markup=False, width=WIDE)


class Part(NamedTuple):
    """One part of a result: JSON-ready values, terminal output, and a function to write files."""

    values: dict[str, Any]
    display: Sequence[Table | str]
    write: Callable[[Path], list[str]]


def safe_name(name: str) -> str:
    """A model's name, made safe for file and folder names."""
    return re.sub(r"[^\w.-]+", "-", name)


def make_part(
    name: str,
    values: Any,
    display: Sequence[Table | str],
    draw: Callable[[Path], Sequence[Path]],
    key: str = "",
) -> Part:
    """A part that writes its values as JSON, and pictures if the imports of ``draw`` succeed.

    With a key, printed JSON nests the values below it; the file does not.
    """

    def write(folder: Path) -> list[str]:
        from digitlens import files

        with writing(folder):
            files.write_json(folder / name, values)
            pictures: list[Path] = []
            try_draw(lambda: pictures.extend(draw(folder)), "pictures")
            return [name, *(picture.name for picture in pictures)]

    return Part({key: values} if key else values, display, write)


def figure(name: str) -> Callable[..., Any]:
    """A function of ``digitlens.visualization.figures``, imported when called: that takes 1 s."""
    module, _, function = name.partition(".")

    def draw(*args: Any) -> Any:
        loaded = import_module(f"digitlens.visualization.figures.{module}")
        return getattr(loaded, function)(*args)

    return draw


@contextmanager
def writing(path: Path) -> Generator[None]:
    """Turns an OSError in the block into a DataError: the output cannot be written."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error}): name another --out") from error


@contextmanager
def checking(option: str) -> Generator[None]:
    """Turns an error in the block about a value into a usage error of ``option``."""
    try:
        yield
    except (ValueError, TemplateError) as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def try_draw(
    draw: Callable[[], object], name: str, cause: type[DigitlensError] = MissingExtraError
) -> bool:
    """Calls ``draw``; if the plots extra is missing or ``cause`` is raised, notes it: False."""
    try:
        with needs_extra("plots"):
            draw()
    except cause as error:
        note(f"no {name}: {error}")
        return False
    return True


def report_tables(report: Report) -> list[Table]:
    """Tables of overall scores, scores by digit, and the confusion matrix."""
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


def _span(interval: tuple[float, float], spec: str = ".2%") -> str:
    return f"{interval[0]:{spec}} to {interval[1]:{spec}}"


def most_confused(report: Report, limit: int | None = None) -> str:
    """The most frequent confusions, in one line."""
    return ", ".join(
        f"{pair.truth} as {pair.predicted} ({pair.count})" for pair in report.confused_pairs[:limit]
    )


def robustness_tables(robustness: Robustness) -> list[Table]:
    """Tables of accuracy and calibration by corruption, and of accuracy along each sweep."""
    headings = ("corruption", "accuracy", "95 % interval", "loss", "calib. error", "trained")
    overlap_words = {None: "?", True: "yes", False: "no"}
    rows = [_condition_cells("clean", [robustness.clean], "")]
    rows += [
        _condition_cells(row.name.replace("_", " "), [row], overlap_words[row.overlaps])
        for row in robustness.corruptions
    ]
    rows.append(_condition_cells("mean", robustness.corruptions))
    if robustness.untrained:
        rows.append(_condition_cells("mean of untrained", robustness.untrained))
    sweeps = [
        table_of(
            (curve.axis, "accuracy", "95 % interval"),
            [
                (f"{value:g}", f"{score.accuracy:.1%}", _span(score.interval, ".1%"))
                for value, score in zip(curve.values, curve.scores, strict=True)
            ],
        )
        for curve in robustness.curves
    ]
    return [table_of(headings, rows), *sweeps]


def _condition_cells(name: str, rows: Sequence[Condition], trained: str = "") -> tuple[str, ...]:
    """A row for one condition, or for the mean of several, which has no interval."""
    accuracy = fmean(row.score.accuracy for row in rows)
    loss = fmean(row.uncertainty.nll for row in rows)
    error = fmean(row.uncertainty.ece for row in rows)
    span = _span(rows[0].score.interval) if len(rows) == 1 else ""
    return name, f"{accuracy:.2%}", span, f"{loss:.3f}", f"{error:.2%}", trained


def _share_cells(accuracy: float, interval: tuple[float, float]) -> tuple[str, str]:
    return f"{accuracy:.2%}", _span(interval)


def external_tables(measured: Sequence[Transfer]) -> list[Table]:
    """Tables of accuracy by data set, and of recall by digit."""
    scores: list[tuple[str, ...]] = []
    recalls: list[tuple[str, ...]] = []
    for transfer in measured:
        framed, unframed = transfer.framed, transfer.unframed
        framed_cells = _share_cells(framed.accuracy, framed.interval)
        unframed_cells = _share_cells(unframed.accuracy, unframed.interval)
        wrong = most_confused(framed, CONFUSIONS)
        scores.append((transfer.data.title, f"{framed.n:,}", *framed_cells, *unframed_cells, wrong))
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
    "area under risk-coverage": ("aurc", ".2e"),
    "loss": ("nll", ".4f"),
    "Brier score": ("brier", ".5f"),
    "calibration error": ("ece", ".3%"),
    "adaptive calibration error": ("adaptive_ece", ".3%"),
}


def ood_tables(ood: Rejection) -> list[Table]:
    """Tables of uncertainty, negatives by score, and, on validation tiles, calibration methods.

    Negatives are rated by AUROC and, in brackets, by the false positive rate at 95 % recall.
    """
    uncertainty = [
        (name, *(format(getattr(metrics, key), spec) for metrics in ood.uncertainty.values()))
        for name, (key, spec) in _UNCERTAINTY.items()
    ]
    names = (f"{name} *" if name == ood.recommended else name for name in ood.scores)
    separation = [
        (
            f"{name}, {first.n:,}",
            *(f"{sets[name].auroc:.4f} ({sets[name].fpr95:.1%})" for sets in ood.scores.values()),
        )
        for name, first in next(iter(ood.scores.values())).items()
    ]
    tables = [
        table_of(("uncertainty", *ood.uncertainty), uncertainty),
        table_of(("AUROC (FPR at 95 % recall)", *names), separation),
    ]
    if ood.scaling:
        rows = [
            (name, f"{score.nll:.5f}", f"{score.gain:+.5f}", f"{score.error:.5f}")
            for name, score in ood.scaling.items()
        ]
        headings = ("calibration, cross-fitted", "loss", "gain", "standard error")
        tables.append(table_of(headings, rows))
    return tables


def comparison_tables(comparison: Comparison) -> list[Table | str]:
    """Tables of the models, recipe differences and pairs, and a verdict for each pair."""
    from digitlens.training.settings import format_value

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
        (name, *("-" if value is None else format_value(value) for value in values))
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
    last = 8 if len(pairs) > 1 else 7  # with a single pair, Holm's p is the plain p
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
    return f"{pair.first} and {pair.second} do not differ significantly on these tiles"


SplitName: TypeAlias = Literal["test", "validation"]
ThemeName: TypeAlias = Literal["light", "dark"]
PixelScale: TypeAlias = Literal["unit", "byte", "mnist"]
OutputKind: TypeAlias = Literal["probabilities", "logits"]

AsJson = Annotated[bool, Option("--json", help="Print the result as JSON.")]
DataDir = Annotated[Path | None, Option(help="Folder with the MNIST files.")]
SplitOf = Annotated[
    SplitName, Option(help="validation: the tiles that the model's recipe held out.")
]
Labelled = Annotated[
    Path | None,
    Option(
        metavar="FOLDER|ZIP",
        help="Labelled tiles to use instead of MNIST, such as corrections downloaded from the page "
        "of `digitlens serve`.",
    ),
]
Themed = Annotated[ThemeName, Option("--theme", help="Colours: dark on white, or light on dark.")]
Pixels = Annotated[
    PixelScale | None,
    Option(
        help="Pixel scale that an .onnx file expects: unit is 0 to 1, byte is 0 to 255, mnist is 0 "
        "to 1 standardised by the mean and deviation of MNIST.",
        show_default="byte if its input is uint8, else unit",
    ),
]
Outputs = Annotated[
    OutputKind | None,
    Option(help="Output of an .onnx file.", show_default="probabilities"),
]
Model = Annotated[
    str,
    Option(help="Digit classifier: the name of a shipped model, or a run or model folder."),
]
Pages = Annotated[
    str,
    Option(
        metavar="MODEL",
        help="Digit detector for pages, given in the same way as --model.",
    ),
]
RecipeName = Annotated[str, Option(help="Name of a recipe, or path of a .toml file.")]
INTERRUPTED = 130  # the exit code that shells report for a program ended by Ctrl-C


def use_patient_threads() -> None:
    """Shortens the spin of waiting OpenMP threads; call it before torch is imported.

    Threads that spin while waiting are fastest on an idle machine and very slow on a busy one: next
    to one other process an epoch took 43 s with the default of 300,000 spins and 6.5 s with 1,000;
    on an idle machine it took 2.3 s and 2.6 s.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
