"""What evaluations and comparisons found, as tables on standard output."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from digitlens.cli.tables import plain_table, wide_console

if TYPE_CHECKING:
    from rich.table import Table

    from digitlens.evaluation.ood import Rejection
    from digitlens.evaluation.ood import Table as ScoreTable
    from digitlens.evaluation.report import Report, Score
    from digitlens.evaluation.robustness import Condition, Robustness
    from digitlens.evaluation.significance import Comparison, Pair
    from digitlens.explain.measurements import ExternalScores

WORST = 5  # confusions in the table


def report_tables(report: Report) -> list[Table]:
    """Scores, scores by digit, and what was read as what."""
    return [_summary(report), _classes(report), _confusions(report)]


def most_confused(report: Report) -> str:
    """The most frequent mistakes in a line."""
    pairs = (f"{pair.truth} as {pair.predicted} ({pair.count})" for pair in report.confused_pairs)
    return f"most confused: {', '.join(pairs) or 'none'}"


def _summary(report: Report) -> Table:
    table = plain_table()
    table.add_column(style="bold")
    table.add_row("model", f"{report.model.name} ({report.model.sha256[:12]})")
    table.add_row("data", f"{report.data.name}, {report.n:,} tiles")
    table.add_row("accuracy", _score_text(report.score))
    if report.without_label_errors:
        left_out = len(report.data.label_errors)
        table.add_row("", f"without {left_out} known label errors:")
        table.add_row("", _score_text(report.without_label_errors))
    table.add_row("loss", f"{report.loss:.4f}")
    table.add_row("calibration", f"expected error {report.ece:.2%}")
    return table


def _score_text(score: Score) -> str:
    low, high = score.interval
    return f"{score.accuracy:.2%} (95 % interval {low:.2%} to {high:.2%}), {score.errors:,} wrong"


def _classes(report: Report) -> Table:
    table = plain_table("digit", "precision", "recall", "F1", "tiles", left=0)
    rows: list[tuple[Any, Any, int]] = [(row.digit, row, row.support) for row in report.classes]
    rows += [("macro", report.macro, report.n), ("weighted", report.weighted, report.n)]
    for name, row, support in rows:
        shares = (f"{share:.2%}" for share in (row.precision, row.recall, row.f1))
        table.add_row(str(name), *shares, f"{support:,}")
    return table


def _confusions(report: Report) -> Table:
    from rich.text import Text

    table = plain_table("truth \\ read as", *(str(digit) for digit in range(10)), left=0)
    for truth, row in enumerate(report.confusion.tolist()):
        cells = [
            Text(str(count) if count else ".", "dim" if truth == read or not count else "red")
            for read, count in enumerate(row)
        ]
        table.add_row(str(truth), *cells)
    return table


def robustness_tables(found: Robustness) -> list[Table]:
    """Accuracy and calibration under each corruption, and accuracy along each sweep."""
    return [_corruptions(found), *_sweeps(found)]


def _corruptions(found: Robustness) -> Table:
    table = plain_table(
        "corruption", "accuracy", "95 % interval", "loss", "calib. error", "trained"
    )
    for row in (found.clean, *found.corruptions):
        table.add_row(row.name.replace("_", " "), *_condition_cells(row))
    table.add_row("mean", *_mean_cells(found.corruptions))
    if found.apart:
        table.add_row("mean of not trained", *_mean_cells(found.apart))
    return table


def _mean_cells(rows: Sequence[Condition]) -> tuple[str, ...]:
    accuracy = fmean(row.score.accuracy for row in rows)
    loss = fmean(row.uncertainty.nll for row in rows)
    error = fmean(row.uncertainty.ece for row in rows)
    return f"{accuracy:.2%}", "", f"{loss:.3f}", f"{error:.2%}"


def _condition_cells(row: Condition) -> tuple[str, ...]:
    low, high = row.score.interval
    known = {None: "?", True: "yes", False: "no"}[row.overlaps] if row.name != "clean" else ""
    loss, error = row.uncertainty.nll, row.uncertainty.ece
    interval = f"{low:.2%} to {high:.2%}"
    return f"{row.score.accuracy:.2%}", interval, f"{loss:.3f}", f"{error:.2%}", known


def _sweeps(found: Robustness) -> list[Table]:
    tables: list[Table] = []
    for curve in found.curves:
        table = plain_table(curve.axis, "accuracy", "95 % interval")
        for value, score in zip(curve.values, curve.scores, strict=True):
            low, high = score.interval
            table.add_row(f"{value:g}", f"{score.accuracy:.1%}", f"{low:.1%} to {high:.1%}")
        tables.append(table)
    return tables


def external_tables(measured: Sequence[ExternalScores]) -> list[Table]:
    """The accuracies by data set, and the share of each digit that is read rightly."""
    return [_external_scores(measured), _recalls(measured)]


def _external_scores(measured: Sequence[ExternalScores]) -> Table:
    table = plain_table("data", "tiles", "framed", "95 % interval", "unframed", "95 % interval")
    table.add_column("most confused", header_style="dim")
    for one in measured:
        framed, unframed = one.transfer.framed, one.transfer.unframed
        pairs = framed.confused_pairs[:WORST]
        table.add_row(
            one.transfer.title,
            f"{framed.n:,}",
            *_share_cells(framed.accuracy, framed.interval),
            *_share_cells(unframed.accuracy, unframed.interval),
            ", ".join(f"{pair.truth} as {pair.predicted} ({pair.count})" for pair in pairs),
        )
    return table


def _share_cells(accuracy: float, interval: tuple[float, float]) -> tuple[str, str]:
    return f"{accuracy:.2%}", f"{interval[0]:.2%} to {interval[1]:.2%}"


def _recalls(measured: Sequence[ExternalScores]) -> Table:
    table = plain_table("recall, framed", *(str(digit) for digit in range(10)))
    for one in measured:
        rows = one.transfer.framed.classes
        cells = (f"{row.recall:.1%}" if row.support else "-" for row in rows)
        table.add_row(one.transfer.title, *cells)
    return table


def ood_tables(found: Rejection) -> list[Table]:
    """Uncertainty, negatives by score, and, on validation tiles, ways to calibrate."""
    tables = [_uncertainty(found), _ood_scores(found.scores, found.recommended)]
    return [*tables, _scaling(found)] if found.scaling else tables


def _uncertainty(found: Rejection) -> Table:
    table = plain_table("uncertainty", *found.uncertainty)
    rows = {
        "tiles": ("n", "{:,}"),
        "wrong": ("error", "{:.3%}"),
        "wrong among the surest 99 %": ("error_at_99", "{:.3%}"),
        "answered without a mistake": ("coverage_at_zero", "{:.2%}"),
        "area of risk and coverage": ("aurc", "{:.2e}"),
        "loss": ("nll", "{:.4f}"),
        "Brier score": ("brier", "{:.5f}"),
        "calibration error": ("ece", "{:.3%}"),
        "adaptive calibration error": ("adaptive_ece", "{:.3%}"),
    }
    for name, (score, form) in rows.items():
        table.add_row(name, *(form.format(getattr(u, score)) for u in found.uncertainty.values()))
    return table


def _ood_scores(scores: ScoreTable, best: str) -> Table:
    """AUROC, and in brackets the share taken for digits where 95 % of the digits are."""
    table = plain_table("AUROC (taken for digits)", *(_marked(name, best) for name in scores))
    for name, first in next(iter(scores.values())).items():
        cells = (sets[name] for sets in scores.values())
        table.add_row(
            f"{name}, {first.n:,}", *(f"{one.auroc:.4f} ({one.fpr95:.1%})" for one in cells)
        )
    return table


def _marked(name: str, best: str) -> str:
    return f"{name} *" if name == best else name


def _scaling(found: Rejection) -> Table:
    table = plain_table("calibration, cross-fitted", "loss", "gain", "standard error")
    for name, score in found.scaling.items():
        table.add_row(name, f"{score.nll:.5f}", f"{score.gain:+.5f}", f"{score.error:.5f}")
    return table


def print_comparison(comparison: Comparison) -> None:
    """Prints the models side by side, how their recipes differ, each pair and a verdict."""
    console = wide_console()
    console.print(f"{comparison.data}, {comparison.n:,} tiles")
    console.print()
    console.print(_runs(comparison))
    if differences := comparison.recipe_differences():
        console.print()
        console.print(_recipes(comparison, differences))
    console.print()
    console.print(_pairs(comparison))
    console.print()
    for pair in comparison.pairs:
        console.print(_verdict(pair), soft_wrap=True)


def _runs(comparison: Comparison) -> Table:
    table = plain_table(
        *("run", "accuracy", "95 % interval", "wrong", "loss", "calibration error"),
        *("parameters", "KB", "training s"),
    )
    for name, report in comparison.reports.items():
        facts, (low, high) = comparison.facts[name], report.interval
        seconds = facts.training_seconds
        table.add_row(
            name,
            f"{report.accuracy:.2%}",
            f"{low:.2%} to {high:.2%}",
            f"{report.score.errors:,}",
            f"{report.loss:.4f}",
            f"{report.ece:.2%}",
            "-" if facts.parameters is None else f"{facts.parameters:,}",
            f"{facts.size / 1000:,.0f}",
            "-" if seconds is None else f"{seconds:,.1f}",
        )
    return table


def _recipes(comparison: Comparison, differences: dict[str, list[object]]) -> Table:
    from digitlens.training.settings import shown

    table = plain_table("recipe", *comparison.names)
    for name, values in differences.items():
        table.add_row(name, *("-" if value is None else shown(value) for value in values))
    return table


def _pairs(comparison: Comparison) -> Table:
    several = len(comparison.pairs) > 1
    headings = ("pair", "only first right", "only second right", "both wrong", "difference")
    more = ("p by Holm",) if several else ()
    table = plain_table(*headings, "95 % interval", "McNemar p", *more)
    for pair in comparison.pairs:
        low, high = pair.interval
        table.add_row(
            f"{pair.first} - {pair.second}",
            *(f"{count:,}" for count in (pair.only_first, pair.only_second, pair.both_wrong)),
            f"{pair.difference:+.2%}",
            f"{low:+.2%} to {high:+.2%}",
            f"{pair.p:.2g}",
            *((f"{pair.p_holm:.2g}",) if several else ()),
        )
    return table


def _verdict(pair: Pair) -> str:
    better, worse = (pair.first, pair.second) if pair.difference > 0 else (pair.second, pair.first)
    if pair.p_holm < 0.05:
        return f"{better} is better than {worse} (p = {pair.p_holm:.2g})"
    return f"{pair.first} and {pair.second} cannot be told apart on these tiles"
