"""How the model fares on worse tiles, and how fast it answers."""

from __future__ import annotations

from typing import Any

from digitlens.datasets.corruptions.corruptions import corrupt
from digitlens.datasets.mnist import Split
from digitlens.evaluation.robustness import SEED, Condition, Curve
from digitlens.evaluation.speed import Speed
from digitlens.visualization.report.axes import linear
from digitlens.visualization.report.charts import Chart, Series, bar
from digitlens.visualization.report.contents import Contents, Section
from digitlens.visualization.report.pictures import picture
from digitlens.visualization.report.words import THIN, count, duration, percent, tick


def robustness(contents: Contents) -> list[Section]:
    """Accuracy under corruptions and along sweeps; no section where it was not measured."""
    found, worse = contents.robustness, contents.worse
    if found is None or worse is None:
        return []
    rows = sorted(found.corruptions, key=lambda row: row.score.accuracy)
    values = {
        "n": count(len(worse)),
        "clean": percent(found.clean.score.accuracy, 1),
        "mean": percent(found.mean_accuracy, 1),
        "apart": None
        if found.mean_accuracy_apart is None
        else percent(found.mean_accuracy_apart, 1),
        "rows": [_row(row, worse) for row in rows],
        "charts": [_sweep(curve) for curve in found.curves],
        "sweep_n": count(found.curves[0].scores[0].n) if found.curves else "",
        "is_known": found.corruptions[0].overlaps is not None,
    }
    return [Section("robustness", "On worse pictures", values)]


def speed(contents: Contents) -> list[Section]:
    """One tile and many; no section where it was not measured."""
    if contents.speed is None:
        return []
    values = {"rows": _times(contents.speed), "machine": contents.machine}
    return [Section("speed", "Speed", values)]


def _row(row: Condition, worse: Split) -> dict[str, Any]:
    low, high = row.score.interval
    return {
        "name": row.name.replace("_", " "),
        "source": picture(corrupt(worse.tiles[:1], row.name, SEED)[0]),
        "accuracy": percent(row.score.accuracy, 1),
        "interval": f"{percent(low, 1)} to {percent(high, 1)}",
        "bar": bar(0, row.score.accuracy, row.score.interval),
        "ece": percent(row.uncertainty.ece, 1),
        "trained": {None: "", True: "yes", False: "no"}[row.overlaps],
    }


def _sweep(curve: Curve) -> Chart:
    points = [
        (value, score.accuracy) for value, score in zip(curve.values, curve.scores, strict=True)
    ]
    hints = [f"{curve.axis} {x:g}: {percent(y, 1)} correct" for x, y in points]
    spreads = [score.interval for score in curve.scores]
    x = linear(
        curve.axis, curve.values, lambda at: f"{at:g}", low=curve.values[0], high=curve.values[-1]
    )
    y = linear("accuracy", [0, 1], tick, low=0, high=1)
    mark = (curve.usual, "usual") if curve.values[0] < curve.usual < curve.values[-1] else None
    series = [Series("", "blue", points, hints, spreads)]
    title = curve.name.capitalize()
    said = f"From {hints[0]} to {hints[-1]}."
    return Chart(f"chart-{curve.name}", title, said, x, y, series, mark)


def _times(found: Speed) -> list[tuple[str, str, str]]:
    return [
        (
            "one tile",
            duration(found.one),
            f"median of {count(len(found.single))} calls; 95{THIN}% took less than "
            f"{duration(found.slow)}",
        ),
        (
            f"{count(found.batch_size)} tiles at once",
            f"{count(found.per_second)} a second",
            f"median of {len(found.batch)} calls",
        ),
    ]
