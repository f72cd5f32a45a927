"""Puts a report together: what was found of a classifier as one page of HTML, part by part.

The templates have the words and tables; here is what takes arrays, and what they call.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from digitlens import __version__
from digitlens.datasets.corruptions import corrupt
from digitlens.evaluation.metrics import measure_uncertainty, wilson_interval
from digitlens.evaluation.report import SEED, Report
from digitlens.evaluation.risk import RiskCoverage, risk_coverage
from digitlens.explain.trained_model import parameters, stages
from digitlens.training.recipe import Recipe, recipe_from
from digitlens.training.settings import defaults, field_docs
from digitlens.visualization.figures.curves import draw_curves
from digitlens.visualization.figures.reliability import (
    draw_calibration,
    draw_risk_coverage,
    draw_sweeps,
)
from digitlens.visualization.html import render_page
from digitlens.visualization.report_contents import (
    Contents,
    count,
    duration,
    percent,
    plural,
    rough,
    short,
    shown_errors,
    tick,
    value,
)
from digitlens.visualization.theme import css_variables, svg_element

# Where bars of scores may start: the highest that leaves the lowest a quarter of its length.
_STARTS = (0.99, 0.98, 0.95, 0.9, 0.8, 0.5)
CELL = 20  # pictures behind a cell, at most: all cells of a bad model stay below a megabyte
HITS = 8  # of those read correctly: so many of the least sure, and of the most
SHADES = 5
TARGETS = (0.01, 0.005, 0.002, 0.001)  # shares of wrong answers that somebody may ask for

Indices = npt.NDArray[np.int64]


def render(contents: Contents) -> str:
    """The page as HTML; asks for nothing from outside, and all that is written in it is escaped."""
    values: dict[str, Any] = {name: find(contents) for name, find in _FOUND.items()}
    values |= {
        "c": contents,
        "model": contents.model,
        "report": contents.model.report,
        "left_out": {name for name in ("robustness", "speed") if getattr(contents, name) is None},
        "version": __version__,
    }
    title = f"{contents.model.card.name} \u2013 digitlens report"
    writers = (count, duration, percent, plural, rough, short, tick, value)
    return render_page("report", title, values, filters=writers, style=css_variables())


def _figure(name: str, title: str, draw: Callable[[Path], object]) -> Markup:
    """A figure as a part of the page; its anchors begin with ``chart-`` and the name."""
    return Markup(svg_element(draw, f"chart-{name}", title))


def _trained(contents: Contents) -> dict[str, Any]:
    if not contents.model.card.recipe:
        return {"recipe": None}
    recipe = recipe_from(contents.model.card.recipe)
    return {"recipe": recipe, "stages": stages(recipe), "parameters": parameters(recipe)}


def _training(contents: Contents) -> dict[str, Any]:
    history = contents.model.history
    title = "Loss, accuracy and learning rate by epoch"
    return {"figure": history and _figure("curves", title, lambda path: draw_curves(history, path))}


def _scores(contents: Contents) -> dict[str, Any]:
    shares = [
        share for row in contents.model.report.classes for share in (row.precision, row.recall)
    ]
    return {"start": starting(min(shares)), "wilson": wilson_interval, "bar": _bar}


def starting(least: float) -> float:
    """Where bars of scores start, so that the least still is one."""
    return next((start for start in _STARTS if least >= start + (1 - start) / 4), 0.0)


def _bar(
    low: float, share: float, interval: tuple[float, float] | None = None, colour: str = "blue"
) -> dict[str, Any]:
    """A bar from ``low`` at its left end to 1 at its right, in per cent of its width."""
    ends = np.clip((np.array([share, *(interval or ())]) - low) / (1 - low), 0, 1)
    width, *whisker = (100 * ends).round(2).tolist()
    return {"width": width, "interval": whisker, "colour": colour}


def _confusion(contents: Contents) -> dict[str, Any]:
    report = contents.model.report
    mistakes = report.confusion.copy()
    np.fill_diagonal(mistakes, 0)
    most = int(mistakes.max())
    shades = [[_shade(number, most) for number in row] for row in mistakes.tolist()]
    panels = [(t, a, _groups(report, t, a)) for t, a in np.argwhere(report.confusion).tolist()]
    return {"counts": report.confusion.tolist(), "shades": shades, "panels": panels}


def _shade(number: int, most: int) -> int:
    """1 to ``SHADES`` by the logarithm of a count, so that single mistakes show too; 0 for none."""
    if not number:
        return 0
    share = np.log(number) / np.log(most) if most > 1 else 1.0
    return 1 + round((SHADES - 1) * float(share))


def _groups(report: Report, truth: int, answer: int) -> list[tuple[str, Indices]]:
    """The tiles behind a cell that are shown, by what they are."""
    inside = np.flatnonzero((report.labels == truth) & (report.predicted == answer))
    sure = inside[np.argsort(-report.confidence[inside], kind="stable")]
    if truth == answer and len(sure) > 2 * HITS:
        return [("the least sure", sure[::-1][:HITS]), ("the surest", sure[:HITS])]
    return [("the surest first", sure[:CELL])]


def _errors(contents: Contents) -> dict[str, Any]:
    chosen = shown_errors(contents.model.report)
    ranked = np.argsort(-contents.model.report.probabilities[chosen], axis=1, kind="stable")
    return {"cards": list(zip(chosen.tolist(), ranked[:, 1].tolist(), strict=True))}


def _calibration(contents: Contents) -> dict[str, Any]:
    report = contents.model.report
    curve = risk_coverage(report.confidence, report.predicted == report.labels, report.n)
    return {
        "figures": [
            _figure(
                "reliability",
                "Share that was right, by how sure it was",
                lambda path: draw_calibration(report, path),
            ),
            _figure(
                "risk",
                "Share wrong, by how many are answered",
                lambda path: draw_risk_coverage({"this model": curve}, path),
            ),
        ],
        "found": measure_uncertainty(report.labels, report.probabilities),
        "targets": [(target, _promise(curve, target)) for target in TARGETS],
    }


def _promise(curve: RiskCoverage, target: float) -> dict[str, float] | None:
    """The threshold that keeps a share of wrong answers, and what it costs; None without one."""
    try:
        threshold = curve.threshold_for(target)
    except ValueError:
        return None
    place = curve.threshold.index(threshold)
    return {"threshold": threshold, "stated": curve.stated[place], "wrong": curve.wrong[place]}


def _robustness(contents: Contents) -> dict[str, Any]:
    found, worse = contents.robustness, contents.worse
    if found is None or worse is None:
        return {}
    rows = sorted(found.corruptions, key=lambda row: row.score.accuracy)
    return {
        "rows": [(row, corrupt(worse.tiles[:1], row.name, SEED)[0]) for row in rows],
        "bar": _bar,
        "figure": _figure(
            "sweeps", "Accuracy along each sweep", lambda path: draw_sweeps(found, path)
        ),
    }


def _recipe(contents: Contents) -> dict[str, Any]:
    if not contents.model.card.recipe:
        return {"rows": []}
    chosen, usual = recipe_from(contents.model.card.recipe).as_dict(), defaults(Recipe)
    docs = field_docs(Recipe).items()
    rows = [(name, value(chosen[name]), value(usual[name]), text) for name, text in docs]
    return {"rows": rows, "changed": sum(own != common for _, own, common, _ in rows)}


_FOUND: dict[str, Callable[[Contents], dict[str, Any]]] = {
    "trained": _trained,
    "training": _training,
    "scores": _scores,
    "confusion": _confusion,
    "errors": _errors,
    "calibration": _calibration,
    "robustness": _robustness,
    "recipe": _recipe,
}
