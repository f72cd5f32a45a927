"""A report as tables on standard output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from digitlens.cli.tables import plain_table

if TYPE_CHECKING:
    from rich.table import Table

    from digitlens.evaluation.report import Report, Score


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
