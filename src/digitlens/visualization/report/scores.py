"""The head of the page with its verdict, and the scores of each digit."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from digitlens.evaluation.metrics import wilson_interval
from digitlens.evaluation.report import Report, Score
from digitlens.visualization.report.charts import bar
from digitlens.visualization.report.contents import Contents, Section
from digitlens.visualization.report.words import NOTHING, THIN, count, duration, percent, plural

# Where bars of scores may start: the highest that leaves the lowest a quarter of its length.
_STARTS = (0.99, 0.98, 0.95, 0.9, 0.8, 0.5)
SEEN = {
    "test": ("of the MNIST test set", "none of which it learned from"),
    "validation": ("of what was kept back from its training", "which chose its best epoch"),
}


def head(contents: Contents) -> dict[str, Any]:
    """Name, verdict and key figures, by name."""
    report = contents.report
    low, high = report.interval
    what, known = SEEN[contents.on]
    figures = [
        (percent(report.accuracy), "read correctly"),
        (count(report.score.errors), f"of {count(report.n)} wrong"),
        (percent(report.ece), "calibration error"),
    ]
    if contents.speed:
        figures.append((duration(contents.speed.one), "for one digit"))
    return {
        "name": contents.card.name,
        "verdict": f"It reads {percent(report.accuracy)} {what} correctly (95{THIN}% interval: "
        f"{percent(low)} to {percent(high)}): {plural(report.score.errors, 'error')} in "
        f"{plural(report.n, 'digit')}, {known}.",
        "figures": figures,
        "sha256": report.model.sha256,
        "data": f"{report.data.name}, {plural(report.n, 'tile')}",
        "written": f"{contents.written:%d %B %Y}".lstrip("0"),
    }


def scores(contents: Contents) -> Section:
    """All tiles together, and each digit by itself."""
    report = contents.report
    shares = [share for row in report.classes for share in (row.precision, row.recall)]
    start = starting(min(shares))
    rows = [_class(report, digit, start) for digit in range(10)]
    values = {"summary": _summary(report), "rows": rows, "start": percent(start, 0)}
    return Section("scores", "Scores", values)


def starting(least: float) -> float:
    """Where bars of scores start, so that the least still is one."""
    return next((start for start in _STARTS if least >= start + (1 - start) / 4), 0.0)


def _class(report: Report, digit: int, start: float) -> dict[str, Any]:
    row = report.classes[digit]
    hits, read_as = int(report.confusion[digit, digit]), int(report.confusion[:, digit].sum())
    precision, precision_bar = _shown(hits, read_as, start, "blue")
    recall, recall_bar = _shown(hits, row.support, start, "orange")
    return {
        "digit": digit,
        "precision": precision,
        "precision_bar": precision_bar,
        "recall": recall,
        "recall_bar": recall_bar,
        "f1": percent(row.f1),
        "support": count(row.support),
    }


def _shown(hits: int, n: int, start: float, colour: str) -> tuple[str, Markup]:
    """A share as text and bar; a dash and an empty bar where there is no case at all."""
    if not n:
        return NOTHING, bar(start, start)
    return percent(hits / n), bar(start, hits / n, wilson_interval(hits, n), colour)


def _summary(report: Report) -> list[tuple[str, str, str]]:
    """Names, values and explanations."""
    macro = report.macro
    rows = [("accuracy", _score(report.score), "share of the tiles that are read correctly")]
    if clean := report.without_label_errors:
        left_out = len(report.data.label_errors)
        note = f"without {left_out} tiles whose label is known to be wrong"
        rows.append(("accuracy, honest labels", _score(clean), note))
    means = " / ".join(percent(share) for share in (macro.precision, macro.recall, macro.f1))
    return [
        *rows,
        ("precision / recall / F1", means, "mean over the ten digits, each counted the same"),
        ("loss", f"{report.loss:.4f}", "mean negative log-likelihood in nats; 0 is perfect"),
    ]


def _score(score: Score) -> str:
    return f"{percent(score.accuracy)}, {plural(score.errors, 'error')}"
