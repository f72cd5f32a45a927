"""What a report page is made from, measured of one classifier; how its numbers are written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import floor, log10
from typing import Any

import numpy as np
import numpy.typing as npt

from digitlens.datasets.mnist import Split
from digitlens.evaluation.metrics import Speed, describe_machine
from digitlens.evaluation.report import Report, Robustness
from digitlens.explain.evidence import find_nearest
from digitlens.explain.trained_model import (
    TrainedModel,
    evaluate_model,
    measure_corrupted,
    time_answers,
)
from digitlens.training.recipe import recipe_from

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
    robustness: Robustness | None = None  # on some of the tiles; None leaves its section out
    worse: Split | None = None  # the tiles of ``robustness``, before they were made worse
    speed: Speed | None = None  # none leaves its section out


def gather(model: TrainedModel, *, quick: bool = False) -> Contents:
    """Measures all that a page tells of a classifier; ``quick`` leaves out what takes long."""
    neighbours, alone = _near_errors(model)
    contents = Contents(model, datetime.now(UTC), describe_machine(), neighbours, alone)
    if quick:
        return contents
    worse = model.split.evenly(WORSE)
    clean = evaluate_model(model.classifier, worse, model.data_name)
    robustness = measure_corrupted(model.classifier, worse, clean, SWEPT)
    speed = time_answers(model.classifier, model.split.tiles)
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
    if features is None:
        recipe = recipe_from(model.card.recipe)
        if recipe.models > 1 or recipe.tta_views > 1:
            return None, (
                "This model averages several answers, which have no features in common: it cannot "
                "say which training digits look alike to it."
            )
        return None, (
            "The graph of this model gives no features by which training digits could be compared."
        )
    known = model.known
    found = find_nearest(features, np.asarray(known.features), min(NEAREST, len(known.tiles)))
    tiles, labels = known.tiles[found.indices], known.labels[found.indices]
    return Neighbours(tiles, labels, found.distances, len(known.tiles)), ""


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
    """A time span: ``0.31 ms``, ``24.9 s``, ``27 min``, ``1 h 52 min``."""
    if seconds < 1:
        return f"{1000 * seconds:.3g}{THIN}ms"
    if seconds < 120:
        return f"{seconds:.3g}{THIN}s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes}{THIN}min"
    return f"{minutes // 60}{THIN}h {minutes % 60}{THIN}min"


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
