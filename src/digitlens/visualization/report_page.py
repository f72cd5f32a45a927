"""The HTML report of one classifier: measures it, then renders one self-contained page.

The templates hold text and tables; this module computes their values and formats numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from math import floor, log10
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from digitlens import __version__
from digitlens.datasets.corruptions import corrupt
from digitlens.datasets.mnist import Split
from digitlens.evaluation.metrics import (
    Speed,
    describe_machine,
    measure_uncertainty,
    wilson_interval,
)
from digitlens.evaluation.report import SEED, Report, Robustness
from digitlens.evaluation.risk import RiskCoverage, risk_coverage
from digitlens.explain import trained_model
from digitlens.explain.evidence import find_nearest
from digitlens.explain.trained_model import TrainedModel, parameters, stages
from digitlens.training.recipe import Recipe, recipe_from
from digitlens.training.settings import defaults, field_docs
from digitlens.visualization.figures import curves, reliability
from digitlens.visualization.html import render_page
from digitlens.visualization.theme import css_variables, svg_element

NEAREST = 5
CORRUPTED = 1000  # tiles per corruption: an accuracy of 90 % is then known to within two points
SWEEP_TILES = 500  # tiles per point of a sweep
MAX_ERRORS = 100  # shown individually

Tiles = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The training digits nearest to the errors shown on the page, nearest first."""

    tiles: Tiles  # uint8[K, k, 28, 28]
    labels: npt.NDArray[np.uint8]  # uint8[K, k]
    distances: npt.NDArray[np.float32]  # float32[K, k]; 0 to 2, see ``find_nearest``
    known: int  # number of training digits compared


@dataclass(frozen=True, eq=False)
class Contents:
    """Everything that the page shows about one classifier."""

    model: TrainedModel  # with its card, report, tiles and, for a run, history
    written: datetime  # time of writing
    machine: str = ""  # description of the machine that measured
    neighbours: Neighbours | None = None  # of the errors of ``shown_errors``
    alone: str = ""  # why there are no neighbours
    # uint8[K, M]: the answer of each of M averaged networks to these errors; None for one network
    votes: npt.NDArray[np.uint8] | None = None
    robustness: Robustness | None = None  # on a sample of the tiles; None omits the section
    worse: Split | None = None  # the tiles of ``robustness``, uncorrupted
    speed: Speed | None = None  # None omits the section


def gather(model: TrainedModel, *, quick: bool = False) -> Contents:
    """Measures everything that the page shows; ``quick`` omits robustness and speed."""
    neighbours, reason = _nearest_to_errors(model)
    contents = Contents(model, datetime.now(UTC), describe_machine(), neighbours, reason)
    if len(model.report.wrong) and averages(model) and model.members:
        answers = model.members.vote(model.split.tiles[shown_errors(model.report)])
        contents = replace(contents, votes=answers if answers.shape[1] > 1 else None)
    if quick:
        return contents
    worse = model.split.evenly(CORRUPTED)
    clean = trained_model.evaluate_model(model.classifier, worse, model.data_name)
    robustness = trained_model.measure_corrupted(model.classifier, worse, clean, SWEEP_TILES)
    speed = trained_model.time_answers(model.classifier, model.split.tiles)
    return replace(contents, robustness=robustness, worse=worse, speed=speed)


def shown_errors(report: Report) -> Indices:
    """int64[K]: the tiles shown individually, the most confident errors first."""
    order = np.argsort(-report.confidence[report.wrong], kind="stable")
    return report.wrong[order][:MAX_ERRORS]


def _nearest_to_errors(model: TrainedModel) -> tuple[Neighbours | None, str]:
    """The training digits nearest to the errors shown, or the reason why there are none."""
    chosen = shown_errors(model.report)
    if not len(chosen):
        return None, ""
    features = model.classifier.outputs(model.split.tiles[chosen]).features
    if features is not None:
        labels, embedded = model.known.labels, np.asarray(model.known.features)
    elif not averages(model):
        problem = "The graph of this model gives no features, so training digits cannot be"
        return None, f"{problem} compared."
    elif model.members:
        features = model.members.features(model.split.tiles[chosen])
        labels, embedded = model.training.labels, model.members.features(model.training.tiles)
    else:
        return None, (
            "This model averages several answers, which share no features: finding similar "
            "training digits needs the weights of its networks."
        )
    nearest = find_nearest(features, embedded, min(NEAREST, len(labels)))
    tiles = model.training.tiles[nearest.indices]
    return Neighbours(tiles, labels[nearest.indices], nearest.distances, len(labels)), ""


def averages(model: TrainedModel) -> bool:
    """Whether a model averages the answers of several networks or of several TTA views."""
    recipe = recipe_from(model.card.recipe)
    return recipe.models > 1 or recipe.tta_views > 1


THIN = "\u202f"  # narrow no-break space, before a unit
DASH = "\u2013"


def percent(share: float, decimals: int = 2) -> str:
    """A fraction as text, for example ``98.74 %``; below 1 it is never written as 100 %."""
    share = float(share)  # float32 would lose digits
    text = f"{100 * share:.{decimals}f}"
    if share < 1 and float(text) == 100:
        text = f"{100 - 10**-decimals:.{decimals}f}"
    return f"{text}{THIN}%"


def rough(share: float) -> str:
    """A fraction with enough decimals to differ from 0 and 1: ``97 %``, ``0.4 %``, ``99.8 %``."""
    share = float(share)
    distance = min(share, 1 - share)
    if distance <= 0:
        return f"{100 * share:.0f}{THIN}%"
    return percent(share, min(max(0, -2 - floor(log10(distance))), 3))


def tick(share: float) -> str:
    """A round fraction without trailing zeros: ``0.25 %``, ``75 %``."""
    return f"{100 * share:.4g}{THIN}%"


def count(number: float) -> str:
    """A whole number with thousands separators."""
    return f"{number:,.0f}"


def short(number: float) -> str:
    """A number with four significant digits, such as ``0.04821`` or ``12.5``."""
    return f"{number:,.4g}"


def duration(seconds: float) -> str:
    """A time span: ``0.31 ms``, ``24.9 s``, ``27 min``, ``2 h 52 min``."""
    if seconds < 120:
        return f"{1000 * seconds:.3g}{THIN}ms" if seconds < 1 else f"{seconds:.3g}{THIN}s"
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours < 2:
        return f"{60 * hours + minutes}{THIN}min"
    return f"{hours}{THIN}h {minutes}{THIN}min"


def plural(number: int, one: str, many: str = "") -> str:
    """A count and its noun: ``1 error``, ``126 errors``."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def value(setting: Any) -> str:
    """A recipe's value as text: lists with commas, booleans as yes or no, empty as a dash."""
    if isinstance(setting, bool):
        return "yes" if setting else "no"
    if isinstance(setting, list | tuple):
        return ", ".join(map(str, setting))
    return str(setting) if setting != "" else DASH


# Possible starts of score bars: the highest that leaves the lowest bar a quarter of the length.
_STARTS = (0.99, 0.98, 0.95, 0.9, 0.8, 0.5)
CELL = 20  # tiles shown per cell: all cells of a bad model stay below a megabyte
HITS = 8  # tiles shown of each: the least and the most confident correct ones
SHADES = 5
TARGETS = (0.01, 0.005, 0.002, 0.001)  # error rates for which thresholds are listed


def render(contents: Contents) -> str:
    """Renders the page as HTML: self-contained, with all values escaped."""
    values: dict[str, Any] = {section.__name__[1:]: section(contents) for section in _SECTIONS}
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
    """A figure as inline SVG; its ids begin with ``chart-`` and the name."""
    return Markup(svg_element(draw, f"chart-{name}", title))


# Descriptions of the architectures; users may add their own architectures.
NETWORKS = {
    "classic": "A textbook convolutional network",
    "fast": "A convolutional network whose first layer already halves the resolution",
    "pooled": "A convolutional network that pools its first, largest maps at once",
    "residual": "A residual network: pairs of convolutions add to their input",
    "separable": "A network of separable convolutions, which mix pixels first and then maps",
    "swift": "A convolutional network whose first filters are fixed, not trained",
}


def _trained(contents: Contents) -> dict[str, Any]:
    values: dict[str, Any] = {"recipe": None, "stages": [], "parameters": None}
    if contents.model.card.recipe:
        recipe = recipe_from(contents.model.card.recipe)
        values |= {"recipe": recipe, "stages": stages(recipe), "parameters": parameters(recipe)}
        values["network"] = NETWORKS.get(recipe.architecture, f"The network {recipe.architecture}")
    return values


def _training(contents: Contents) -> dict[str, Any]:
    history, title = contents.model.history, "Loss, accuracy and learning rate by epoch"
    draw = partial(curves.draw_curves, history)
    return {"figure": history and _figure("curves", title, draw)}


def _scores(contents: Contents) -> dict[str, Any]:
    lowest = min(min(row.precision, row.recall) for row in contents.model.report.classes)
    return {"start": starting(lowest), "wilson": wilson_interval, "bar": _bar}


def starting(lowest: float) -> float:
    """The start of score bars at which the lowest bar is still visible."""
    return next((start for start in _STARTS if lowest >= start + (1 - start) / 4), 0.0)


def _bar(
    low: float, share: float, interval: tuple[float, float] | None = None, colour: str = "blue"
) -> dict[str, Any]:
    """A bar whose axis runs from ``low`` to 1, in percent of its width."""
    ends = np.clip((np.array([share, *(interval or ())]) - low) / (1 - low), 0, 1)
    width, *whisker = (100 * ends).round(2).tolist()
    return {"width": width, "interval": whisker, "colour": colour}


def _confusion(contents: Contents) -> dict[str, Any]:
    report = contents.model.report
    mistakes = report.confusion.copy()
    np.fill_diagonal(mistakes, 0)
    max_count = int(mistakes.max())
    shades = [[_shade(number, max_count) for number in row] for row in mistakes.tolist()]
    panels = [(t, a, _groups(report, t, a)) for t, a in np.argwhere(report.confusion).tolist()]
    return {"counts": report.confusion.tolist(), "shades": shades, "panels": panels}


def _shade(number: int, max_count: int) -> int:
    """1 to ``SHADES`` by the logarithm of a count, so that single errors show too; 0 for none."""
    if not number:
        return 0
    share = np.log(number) / np.log(max_count) if max_count > 1 else 1.0
    return 1 + round((SHADES - 1) * float(share))


def _groups(report: Report, truth: int, answer: int) -> list[tuple[str, Indices]]:
    """The tiles shown for a cell, in titled groups."""
    members = np.flatnonzero((report.labels == truth) & (report.predicted == answer))
    ranked = members[np.argsort(-report.confidence[members], kind="stable")]
    if truth == answer and len(ranked) > 2 * HITS:
        return [("least confident", ranked[::-1][:HITS]), ("most confident", ranked[:HITS])]
    return [("most confident first", ranked[:CELL])]


def _errors(contents: Contents) -> dict[str, Any]:
    chosen = shown_errors(contents.model.report)
    ranked = np.argsort(-contents.model.report.probabilities[chosen], axis=1, kind="stable")
    votes = [] if contents.votes is None else contents.votes.tolist()
    return {"cards": list(zip(chosen.tolist(), ranked[:, 1].tolist(), strict=True)), "votes": votes}


def _calibration(contents: Contents) -> dict[str, Any]:
    report = contents.model.report
    curve = risk_coverage(report.confidence, report.predicted == report.labels, report.n)
    calibration = partial(reliability.draw_calibration, report)
    risk = partial(reliability.draw_risk_coverage, {"this model": curve})
    return {
        "figures": [
            _figure("reliability", "Accuracy by confidence", calibration),
            _figure("risk", "Error rate by coverage", risk),
        ],
        "found": measure_uncertainty(report.labels, report.probabilities),
        "targets": [(target, _threshold_row(curve, target)) for target in TARGETS],
    }


def _threshold_row(curve: RiskCoverage, target: float) -> dict[str, float] | None:
    """The threshold that keeps an error rate, with its counts; None if there is none."""
    try:
        threshold = curve.threshold_for(target)
    except ValueError:
        return None
    row = curve.threshold.index(threshold)
    return {"threshold": threshold, "stated": curve.stated[row], "wrong": curve.wrong[row]}


def _robustness(contents: Contents) -> dict[str, Any]:
    measured, worse = contents.robustness, contents.worse
    if measured is None or worse is None:
        return {}
    rows = sorted(measured.corruptions, key=lambda row: row.score.accuracy)
    draw = partial(reliability.draw_sweeps, measured)
    return {
        "rows": [(row, corrupt(worse.tiles[:1], row.name, SEED)[0]) for row in rows],
        "bar": _bar,
        "figure": _figure("sweeps", "Accuracy along each sweep", draw),
    }


def _recipe(contents: Contents) -> dict[str, Any]:
    if not contents.model.card.recipe:
        return {"rows": []}
    values, default_values = recipe_from(contents.model.card.recipe).as_dict(), defaults(Recipe)
    docs = field_docs(Recipe).items()
    rows = [(name, value(values[name]), value(default_values[name]), text) for name, text in docs]
    return {"rows": rows, "changed": sum(own != common for _, own, common, _ in rows)}


# The values of each section's template, by the names of these functions.
_SECTIONS = (_trained, _training, _scores, _confusion, _errors, _calibration, _robustness, _recipe)
