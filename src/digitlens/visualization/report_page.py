"""One page of HTML that tells everything of one classifier: measured, then put together.

The templates have the words and tables; here is what takes arrays, what they call, and how numbers
are written.
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
WORSE = 1000  # tiles under each corruption: an accuracy of 90 % is then known to two per cent
SWEPT = 500  # tiles at each point of a sweep
ERRORS = 100  # shown one by one

Tiles = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The training digits nearest to the errors that the page shows, nearest first."""

    tiles: Tiles  # uint8[K, k, 28, 28]
    labels: npt.NDArray[np.uint8]  # uint8[K, k]
    distances: npt.NDArray[np.float32]  # float32[K, k]; 0 to 2, see ``find_nearest``
    known: int  # how many training digits were compared


@dataclass(frozen=True, eq=False)
class Contents:
    """Everything that one page tells of one classifier."""

    model: TrainedModel  # with its card, report, tiles and, of a run, history
    written: datetime  # when
    machine: str = ""  # where it was measured, in words
    # of the errors of ``shown_errors``; None where ``alone`` says why
    neighbours: Neighbours | None = None
    alone: str = ""  # why there are no neighbours
    # uint8[K, M]: what each of M averaged networks says of these errors; None of one network
    votes: npt.NDArray[np.uint8] | None = None
    robustness: Robustness | None = None  # on some of the tiles; None leaves its section out
    worse: Split | None = None  # the tiles of ``robustness``, before they were made worse
    speed: Speed | None = None  # none leaves its section out


def gather(model: TrainedModel, *, quick: bool = False) -> Contents:
    """Measures all that a page tells of a classifier; ``quick`` leaves out what takes long."""
    neighbours, alone = _near_errors(model)
    contents = Contents(model, datetime.now(UTC), describe_machine(), neighbours, alone)
    if len(model.report.wrong) and averages(model) and model.members:
        said = model.members.vote(model.split.tiles[shown_errors(model.report)])
        contents = replace(contents, votes=said if said.shape[1] > 1 else None)
    if quick:
        return contents
    worse = model.split.evenly(WORSE)
    clean = trained_model.evaluate_model(model.classifier, worse, model.data_name)
    robustness = trained_model.measure_corrupted(model.classifier, worse, clean, SWEPT)
    speed = trained_model.time_answers(model.classifier, model.split.tiles)
    return replace(contents, robustness=robustness, worse=worse, speed=speed)


def shown_errors(report: Report) -> Indices:
    """int64[K]: the tiles that are shown one by one, the surest mistakes first."""
    order = np.argsort(-report.confidence[report.wrong], kind="stable")
    return report.wrong[order][:ERRORS]


def _near_errors(model: TrainedModel) -> tuple[Neighbours | None, str]:
    """The training digits nearest to the errors that are shown, or why there are none."""
    chosen = shown_errors(model.report)
    if not len(chosen):
        return None, ""
    features = model.classifier.outputs(model.split.tiles[chosen]).features
    if features is not None:
        labels, embedded = model.known.labels, np.asarray(model.known.features)
    elif not averages(model):
        told = "The graph of this model gives no features by which training digits could be"
        return None, f"{told} compared."
    elif model.members:
        features = model.members.features(model.split.tiles[chosen])
        labels, embedded = model.training.labels, model.members.features(model.training.tiles)
    else:
        return None, (
            "This model averages several answers, which have no features in common: it cannot say "
            "which training digits look alike to it without the weights of its networks."
        )
    found = find_nearest(features, embedded, min(NEAREST, len(labels)))
    tiles = model.training.tiles[found.indices]
    return Neighbours(tiles, labels[found.indices], found.distances, len(labels)), ""


def averages(model: TrainedModel) -> bool:
    """Whether a model averages several answers, of networks or of views."""
    recipe = recipe_from(model.card.recipe)
    return recipe.models > 1 or recipe.tta_views > 1


THIN = "\u202f"  # a narrow space that does not break, before a unit
NOTHING = "\u2013"


def percent(share: float, decimals: int = 2) -> str:
    """A share as text, for example ``98.74 %``; less than all is never written as 100 %."""
    share = float(share)  # of float32, digits would be lost
    text = f"{100 * share:.{decimals}f}"
    if share < 1 and float(text) == 100:
        text = f"{100 - 10**-decimals:.{decimals}f}"
    return f"{text}{THIN}%"


def rough(share: float) -> str:
    """A share with as many digits as tell it from 0 and from 1: ``97 %``, ``0.4 %``, ``99.8 %``."""
    share = float(share)
    least = min(share, 1 - share)
    if least <= 0:
        return f"{100 * share:.0f}{THIN}%"
    return percent(share, min(max(0, -2 - floor(log10(least))), 3))


def tick(share: float) -> str:
    """A round share, with all its digits and no more: ``0.25 %``, ``75 %``."""
    return f"{100 * share:.4g}{THIN}%"


def count(number: float) -> str:
    """A whole number with commas between thousands."""
    return f"{number:,.0f}"


def short(number: float) -> str:
    """A number with four digits that count, as ``0.04821`` or ``12.5``."""
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


def value(found: Any) -> str:
    """A recipe's value: several with commas, a switch as yes or no, nothing as a dash."""
    if isinstance(found, bool):
        return "yes" if found else "no"
    if isinstance(found, list | tuple):
        return ", ".join(map(str, found))
    return str(found) if found != "" else NOTHING


# Where bars of scores may start: the highest that leaves the lowest a quarter of its length.
_STARTS = (0.99, 0.98, 0.95, 0.9, 0.8, 0.5)
CELL = 20  # pictures behind a cell, at most: all cells of a bad model stay below a megabyte
HITS = 8  # of those read correctly: so many of the least sure, and of the most
SHADES = 5
TARGETS = (0.01, 0.005, 0.002, 0.001)  # shares of wrong answers that somebody may ask for


def render(contents: Contents) -> str:
    """The page as HTML; asks for nothing from outside, and all that is written in it is escaped."""
    values: dict[str, Any] = {find.__name__[1:]: find(contents) for find in _FOUND}
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


# What a network of each architecture is, in words; users may have others of their own.
NETWORKS = {
    "classic": "A textbook convolutional network",
    "fast": "A convolutional network whose first layer already halves the picture",
    "pooled": "A convolutional network that makes its first, largest maps small at once",
    "residual": "A residual network: pairs of convolutions add to what they are given",
    "separable": "A network of separable convolutions, which mix places first and then maps",
    "swift": "A convolutional network whose first filters are given, not trained",
}


def _trained(contents: Contents) -> dict[str, Any]:
    found: dict[str, Any] = {"recipe": None, "stages": [], "parameters": None}
    if contents.model.card.recipe:
        recipe = recipe_from(contents.model.card.recipe)
        found |= {"recipe": recipe, "stages": stages(recipe), "parameters": parameters(recipe)}
        found["network"] = NETWORKS.get(recipe.architecture, f"The network {recipe.architecture}")
    return found


def _training(contents: Contents) -> dict[str, Any]:
    history, title = contents.model.history, "Loss, accuracy and learning rate by epoch"
    draw = partial(curves.draw_curves, history)
    return {"figure": history and _figure("curves", title, draw)}


def _scores(contents: Contents) -> dict[str, Any]:
    least = min(min(row.precision, row.recall) for row in contents.model.report.classes)
    return {"start": starting(least), "wilson": wilson_interval, "bar": _bar}


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
    votes = [] if contents.votes is None else contents.votes.tolist()
    return {"cards": list(zip(chosen.tolist(), ranked[:, 1].tolist(), strict=True)), "votes": votes}


def _calibration(contents: Contents) -> dict[str, Any]:
    report = contents.model.report
    curve = risk_coverage(report.confidence, report.predicted == report.labels, report.n)
    calibration = partial(reliability.draw_calibration, report)
    risk = partial(reliability.draw_risk_coverage, {"this model": curve})
    return {
        "figures": [
            _figure("reliability", "Share that was right, by how sure it was", calibration),
            _figure("risk", "Share wrong, by how many are answered", risk),
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
    draw = partial(reliability.draw_sweeps, found)
    return {
        "rows": [(row, corrupt(worse.tiles[:1], row.name, SEED)[0]) for row in rows],
        "bar": _bar,
        "figure": _figure("sweeps", "Accuracy along each sweep", draw),
    }


def _recipe(contents: Contents) -> dict[str, Any]:
    if not contents.model.card.recipe:
        return {"rows": []}
    chosen, usual = recipe_from(contents.model.card.recipe).as_dict(), defaults(Recipe)
    docs = field_docs(Recipe).items()
    rows = [(name, value(chosen[name]), value(usual[name]), text) for name, text in docs]
    return {"rows": rows, "changed": sum(own != common for _, own, common, _ in rows)}


# What each part of the templates is given, by the names of these functions.
_FOUND = (_trained, _training, _scores, _confusion, _errors, _calibration, _robustness, _recipe)
