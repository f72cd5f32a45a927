"""What the model's confidence is worth: calibration, and mistakes among what is stated."""

from __future__ import annotations

from typing import Any, NamedTuple

from digitlens.evaluation.metrics import Bin, measure_uncertainty, wilson_interval
from digitlens.evaluation.report import Report
from digitlens.evaluation.risk import RiskCoverage, risk_coverage
from digitlens.visualization.report.axes import Axis, linear
from digitlens.visualization.report.charts import Chart, Series
from digitlens.visualization.report.contents import Contents, Section
from digitlens.visualization.report.words import THIN, count, percent, plural, rough, tick

TARGETS = (0.01, 0.005, 0.002, 0.001)  # shares of wrong answers that somebody may ask for


def calibration(contents: Contents) -> Section:
    """Reliability, risk and coverage, and what threshold keeps which rate of mistakes."""
    report = contents.report
    curve = risk_coverage(report.confidence, report.predicted == report.labels, report.n)
    values = {
        "charts": [_reliability(report), _risk(curve)],
        "summary": _summary(report),
        "targets": [_target(report, curve, target) for target in TARGETS],
        "bins": [_bin_row(row) for row in report.calibration.bins if row.count],
    }
    return Section("calibration", "Does it know when it is unsure?", values)


def _summary(report: Report) -> list[tuple[str, str, str]]:
    found = measure_uncertainty(report.labels, report.probabilities)
    return [
        ("calibration error", percent(found.ece), "mean gap of confidence and hits, in 15 bins"),
        ("the same, equal bins", percent(found.adaptive_ece), "as many answers in each bin"),
        ("Brier score", f"{found.brier:.4f}", "mean squared error of the probabilities, 0 to 2"),
        (f"errors among the surest 99{THIN}%", percent(found.error_at_99), "leaving out the rest"),
        ("surer than every mistake", percent(found.coverage_at_zero), "share of the answers"),
    ]


def _bin_row(row: Bin) -> list[str]:
    span = f"{percent(row.low, 0)} to {percent(row.high, 0)}"
    return [span, count(row.count), percent(row.confidence, 1), percent(row.accuracy, 1)]


def _reliability(report: Report) -> Chart:
    bins = [row for row in report.calibration.bins if row.count]
    points = [(row.confidence, row.accuracy) for row in bins]
    spreads = [wilson_interval(round(row.accuracy * row.count), row.count) for row in bins]
    hints = [
        f"{plural(row.count, 'answer')} that were {percent(row.confidence, 1)} sure: "
        f"{percent(row.accuracy, 1)} correct"
        for row in bins
    ]
    ideal = Series("as sure as right", "soft", [(0, 0), (1, 1)], is_dashed=True, has_dots=False)
    found = Series("this model", "blue", points, hints, spreads, has_line=False)
    return Chart(
        "chart-reliability",
        "Share that was right, by how sure it was",
        "Each dot is a group of answers, with its interval of 95 %; on the dashed line they are as "
        "often right as they are sure.",
        _shares("confidence"),
        _shares("share right"),
        [ideal, found],
    )


class _Step(NamedTuple):
    """One threshold: the share that it answers, the share of it that is wrong, and its bound."""

    share: float
    wrong: float
    upper: float
    threshold: float


def _risk(curve: RiskCoverage) -> Chart:
    start = _start(curve)
    shares = [stated / curve.total for stated in curve.stated]
    columns = zip(shares, curve.risk.tolist(), curve.upper.tolist(), curve.threshold, strict=True)
    steps = [step for step in map(_Step._make, columns) if step.share >= start]
    hints = [
        f"at least {rough(step.threshold)} sure: {percent(step.share, 1)} of the tiles, "
        f"{percent(step.wrong)} of them wrong"
        for step in steps
    ]
    # Room above what is measured; the bound at the few surest is far above that.
    highest = min(1.0, 1.5 * max(step.wrong for step in steps) or 0.01)
    upper = [(step.share, step.upper) for step in steps]
    bound = Series(f"upper bound, 95{THIN}%", "soft", upper, is_dashed=True, has_dots=False)
    wrong = [(step.share, step.wrong) for step in steps]
    return Chart(
        "chart-risk",
        "Share wrong, by how many are answered",
        f"{hints[0].capitalize()}; all of them answered, {percent(steps[-1].wrong)} are wrong.",
        linear("share answered, the surest first", [1], tick, low=start, high=1),
        linear("wrong", [highest], tick, low=0, high=highest),
        [bound, Series("measured", "orange", wrong, hints, has_dots=False)],
    )


def _start(curve: RiskCoverage) -> float:
    """Where the axis of coverage starts: a tenth before the first mistake, in whole tenths."""
    pairs = zip(curve.stated, curve.wrong, strict=True)
    first = next((stated / curve.total for stated, wrong in pairs if wrong), 1.0)
    return max(0, int(10 * first) - 1) / 10


def _shares(label: str) -> Axis:
    return linear(label, [0, 1], tick, low=0, high=1)


def _target(report: Report, curve: RiskCoverage, target: float) -> dict[str, Any]:
    """The threshold that keeps a share of wrong answers, and what it costs."""
    try:
        threshold = curve.threshold_for(target)
    except ValueError:
        return {"target": tick(target), "threshold": "", "answered": "", "wrong": ""}
    place = curve.threshold.index(threshold)
    return {
        "target": tick(target),
        "threshold": percent(threshold, 1 if threshold < 0.99 else 3),
        "answered": percent(curve.stated[place] / report.n, 1),
        "wrong": f"{count(curve.wrong[place])} of {count(curve.stated[place])}",
    }
