"""Scores and calibration of a classifier where tiles are worse than those it knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from digitlens.datasets.corruptions import CORRUPTIONS, SWEEPS, corrupt, overlapping, sweep
from digitlens.datasets.mnist import Split
from digitlens.evaluation.metrics import Floats, Uncertainty, measure_uncertainty
from digitlens.evaluation.report import (
    DataInfo,
    ModelInfo,
    PredictProba,
    Report,
    Score,
    evaluate,
    rounded,
)

CURVE_TILES = 2000  # per point of a curve; an accuracy of 99 % is then known to half a per cent
SEED = 0
Tiles = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Condition:
    """How a classifier fares under one corruption.

    Attributes:
        name: Of the corruption; ``clean`` for none.
        score: Errors, accuracy and its interval.
        uncertainty: Loss, calibration, and what rejecting the least sure answers would gain.
        overlaps: Whether the training showed changes of this kind; None if that is not known.
        probabilities: float32[N, 10]; the answers, kept for pictures and not written to JSON.
    """

    name: str
    score: Score
    uncertainty: Uncertainty
    overlaps: bool | None
    probabilities: Floats = field(repr=False)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "name": self.name,
            "overlaps_training": self.overlaps,
            **asdict(self.score),
            "uncertainty": self.uncertainty.as_dict(),
        }


@dataclass(frozen=True, slots=True)
class Curve:
    """Scores while one quantity changes.

    Attributes:
        name: Of the sweep.
        axis: The quantity and its unit.
        usual: The value at which tiles stay as they are.
        values: Of the quantity, ascending.
        scores: One for each value.
    """

    name: str
    axis: str
    usual: float
    values: tuple[float, ...]
    scores: tuple[Score, ...]


@dataclass(frozen=True, eq=False)
class Robustness:
    """What was found under every corruption and along every sweep.

    Attributes:
        model: The model.
        data: The tiles before they were changed.
        clean: Without any change.
        corruptions: One for each corruption, in the order of the paper.
        curves: One for each sweep, on some of the tiles.
    """

    model: ModelInfo
    data: DataInfo
    clean: Condition
    corruptions: tuple[Condition, ...]
    curves: tuple[Curve, ...]

    @property
    def mean_accuracy(self) -> float:
        """Over all corruptions, each counted the same."""
        return _mean_accuracy(self.corruptions)

    @property
    def apart(self) -> tuple[Condition, ...]:
        """The corruptions of a kind that the training did not show; none if that is not known."""
        return tuple(row for row in self.corruptions if row.overlaps is False)

    @property
    def mean_accuracy_apart(self) -> float | None:
        """Over those alone; None without any."""
        return _mean_accuracy(self.apart) if self.apart else None

    def as_dict(self) -> dict[str, Any]:
        """Everything but the single answers, as JSON-ready values."""
        return rounded(
            {
                "model": asdict(self.model),
                "data": {"name": self.data.name, "sha256": self.data.sha256},
                "seed": SEED,
                "mean_accuracy": self.mean_accuracy,
                "mean_accuracy_without_overlap": self.mean_accuracy_apart,
                "clean": self.clean.as_dict(),
                "corruptions": [row.as_dict() for row in self.corruptions],
                "sweeps": [asdict(row) for row in self.curves],
            }
        )


def measure_robustness(
    predict_proba: PredictProba,
    split: Split,
    clean: Report,
    *,
    recipe: Mapping[str, object] | None = None,
    curve_tiles: int = CURVE_TILES,
    on_progress: Callable[[int], object] | None = None,
) -> Robustness:
    """Runs a model over the fifteen corruptions of MNIST-C and over sweeps of single quantities.

    Everything random is drawn from ``SEED``, so that all models are shown the same tiles.

    Args:
        predict_proba: uint8[N, 28, 28] to float32[N, 10] whose rows sum to 1; else ModelError.
        split: Tiles and labels.
        clean: What ``evaluate`` found on this split.
        recipe: What the model was trained with, which tells the corruptions it knows; None if that
            is not known.
        curve_tiles: Most tiles at each point of a sweep, taken evenly from all.
        on_progress: Called with numbers of tiles answered, ``tiles_asked`` in all.
    """

    def ask(changed: Split) -> Report:
        return evaluate(predict_proba, changed, on_progress=on_progress)

    known = None if recipe is None else overlapping(recipe)
    return Robustness(
        model=clean.model,
        data=clean.data,
        clean=_condition("clean", clean, None),
        corruptions=_under_corruptions(ask, split, known),
        curves=_along_sweeps(ask, split.evenly(curve_tiles)),
    )


def tiles_asked(n: int, curve_tiles: int = CURVE_TILES) -> int:
    """How many tiles a model answers while its robustness is measured on n tiles."""
    points = sum(len(line.values) for line in SWEEPS.values())
    return n * len(CORRUPTIONS) + min(n, curve_tiles) * points


def _under_corruptions(
    ask: Callable[[Split], Report], split: Split, known: Sequence[str] | None
) -> tuple[Condition, ...]:
    reports = {
        name: ask(Split(corrupt(split.tiles, name, SEED), split.labels)) for name in CORRUPTIONS
    }
    return tuple(
        _condition(name, report, None if known is None else name in known)
        for name, report in reports.items()
    )


def _along_sweeps(ask: Callable[[Split], Report], split: Split) -> tuple[Curve, ...]:
    curves: list[Curve] = []
    for name, line in SWEEPS.items():
        changed = (Split(sweep(split.tiles, name, at, SEED), split.labels) for at in line.values)
        scores = tuple(ask(each).score for each in changed)
        curves.append(Curve(name, line.axis, line.usual, line.values, scores))
    return tuple(curves)


def _condition(name: str, report: Report, overlaps: bool | None) -> Condition:
    uncertainty = measure_uncertainty(report.labels, report.probabilities)
    return Condition(name, report.score, uncertainty, overlaps, report.probabilities)


def _mean_accuracy(rows: Iterable[Condition]) -> float:
    return float(np.mean([row.score.accuracy for row in rows]))
