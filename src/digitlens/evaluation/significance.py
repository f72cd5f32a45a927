"""Significance of differences between classifiers on the same tiles.

Two runs make most of their errors on the same tiles, so their accuracies are not independent and
separate intervals say little about the difference; only tiles that exactly one misreads count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from digitlens.evaluation.metrics import Z95
from digitlens.evaluation.report import Report, rounded

STEPS = 60  # of a bisection: beyond the precision of a float


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided p value of equal accuracy; 1 if the classifiers never differ.

    Under the null hypothesis each tile on which only one is right is a coin toss, so the count of
    the first is binomial with p = 1/2 (Q. McNemar, "Note on the sampling error of the difference
    between correlated proportions or percentages", Psychometrika 12, 1947; as the exact test).

    Args:
        only_first: Tiles that only the first reads right.
        only_second: Tiles that only the second reads right.
    """
    n, fewer = only_first + only_second, min(only_first, only_second)
    term = tail = 1
    for k in range(fewer):
        term = term * (n - k) // (k + 1)  # the next binomial coefficient, exactly
        tail += term
    return min(1.0, 2 * tail / 2**n)


def holm(p_values: Sequence[float]) -> list[float]:
    """P values adjusted for multiple tests, in the same order, at most 1.

    S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6 (1979), 65-70.
    """
    values = np.array(p_values, np.float64)
    order = values.argsort(kind="stable")
    factors = np.arange(len(values), 0, -1)
    values[order] = np.maximum.accumulate(np.minimum(1, factors * values[order]))
    return values.tolist()


def difference_interval(only_first: int, only_second: int, n: int) -> tuple[float, float]:
    """95 % interval of the first accuracy minus the second, on the same tiles, -1 to 1.

    The score interval: all differences that a score test at the same level would not reject. It
    keeps its level even with few or no tiles on which they differ (T. Tango, "Equivalence test and
    confidence interval for the difference in proportions for the paired-sample design", Statistics
    in Medicine 17, 1998, 891-908).

    Args:
        only_first: Tiles that only the first reads right.
        only_second: Tiles that only the second reads right.
        n: Number of tiles, at least 1.
    """
    middle = (only_first - only_second) / n

    def score(difference: float) -> float:
        return tango_score(only_first, only_second, n, difference)

    return _interval_end(score, middle, -1.0), _interval_end(score, middle, 1.0)


def tango_score(only_first: int, only_second: int, n: int, difference: float) -> float:
    """Tango's score statistic of a difference, standard normal if that is the true one.

    Positive if the observed difference exceeds ``difference``, which is between -1 and 1.
    """
    excess = only_first - only_second - n * difference
    if not excess:
        return 0.0
    # Maximum-likelihood probability that only the second is right, given the difference.
    linear = -only_first - only_second + (2 * n - only_first + only_second) * difference
    constant = -only_second * difference * (1 - difference)
    probability = (sqrt(max(0.0, linear**2 - 8 * n * constant)) - linear) / (4 * n)
    variance = n * (2 * probability + difference * (1 - difference))
    return excess / sqrt(variance) if variance > 0 else (1 if excess > 0 else -1) * float("inf")


def _interval_end(score: Callable[[float], float], start: float, end: float) -> float:
    """The point between start and end where the score, 0 at the start, leaves the 95 % range."""
    inside, outside = start, end
    for _ in range(STEPS):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if abs(score(middle)) <= Z95 else (inside, middle)
    return inside


@dataclass(frozen=True)
class Facts:
    """Properties of a model apart from its answers."""

    parameters: int | None = None  # number of learned parameters; None if unknown
    size: int = 0  # bytes of its graph
    training_seconds: float | None = None  # training time; None if unknown
    # its training recipe; empty if unknown
    recipe: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Pair:
    """A comparison of two models on the same tiles."""

    first: str  # name of the first model
    second: str  # name of the second
    only_first: int  # tiles that only the first reads right
    only_second: int  # tiles that only the second reads right
    both_wrong: int  # tiles that neither reads right
    difference: float  # accuracy of the first minus that of the second
    interval: tuple[float, float]  # its 95 % interval, by Tango
    p: float  # McNemar's exact p value
    p_holm: float  # the same, adjusted by Holm for the number of pairs

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready values; p values keep four significant digits."""
        ps = {name: float(f"{getattr(self, name):.4g}") for name in ("p", "p_holm")}
        return rounded(asdict(self)) | ps


@dataclass(frozen=True, eq=False)
class Comparison:
    """A comparison of several models on the same tiles."""

    data: str  # name of the tiles
    reports: Mapping[str, Report]  # by name of the model, at least two
    facts: Mapping[str, Facts]  # by name of the model
    pairs: tuple[Pair, ...]  # all pairs, in order

    @property
    def names(self) -> list[str]:
        """The names of the models, in the given order."""
        return list(self.reports)

    @property
    def n(self) -> int:
        """The number of tiles."""
        return next(iter(self.reports.values())).n

    @property
    def labels(self) -> npt.NDArray[np.integer[Any]]:
        """int[N]; the true digits."""
        return next(iter(self.reports.values())).labels

    def disagreements(self) -> npt.NDArray[np.int64]:
        """int64[K]; tiles on which the models disagree, by decreasing least confidence.

        Tiles on which confident models contradict each other come first: they are most informative.
        """
        predicted = np.stack([report.predicted for report in self.reports.values()])
        confidence = np.stack([report.confidence for report in self.reports.values()])
        differing = np.flatnonzero((predicted != predicted[0]).any(axis=0))
        return differing[np.argsort(-confidence[:, differing].min(axis=0), kind="stable")]

    def recipe_differences(self) -> dict[str, list[Any]]:
        """Fields in which the recipes differ, with the value of each model; None if unknown."""
        recipes = [self.facts[name].recipe for name in self.names]
        fields = dict.fromkeys(name for recipe in recipes for name in recipe)
        values = {name: [recipe.get(name) for recipe in recipes] for name in fields}
        return {name: each for name, each in values.items() if any(v != each[0] for v in each)}

    def as_dict(self) -> dict[str, Any]:
        """The comparison as JSON-ready values."""
        return {
            "data": self.data,
            "n": self.n,
            "runs": [self._run_dict(name) for name in self.names],
            "recipe_differences": self.recipe_differences(),
            "pairs": [pair.as_dict() for pair in self.pairs],
            "disagreements": [self._answers(int(index)) for index in self.disagreements()],
        }

    def _run_dict(self, name: str) -> dict[str, Any]:
        report, facts = self.reports[name], self.facts[name]
        return rounded(
            {
                "name": name,
                "sha256": report.model.sha256,
                **asdict(report.score),
                "loss": report.loss,
                "expected_calibration_error": report.ece,
                "parameters": facts.parameters,
                "bytes": facts.size,
                "training_seconds": facts.training_seconds,
            }
        )

    def _answers(self, index: int) -> dict[str, Any]:
        read = {name: int(report.predicted[index]) for name, report in self.reports.items()}
        return {"index": index, "truth": int(self.labels[index]), "read": read}


def compare(data: str, reports: Mapping[str, Report], facts: Mapping[str, Facts]) -> Comparison:
    """Compares models by their answers on the same tiles.

    Args:
        data: Name of the tiles.
        reports: By name of the model, at least two, all on the same tiles in the same order; else
            ValueError.
        facts: By name of the model.
    """
    hashes = {report.data.sha256 for report in reports.values()}
    if len(reports) < 2 or len(hashes) > 1:
        raise ValueError(
            f"expected at least two reports on the same tiles, found {len(reports)} on "
            f"{len(hashes)} different sets"
        )
    return Comparison(data, reports, facts, _compare_pairs(reports))


def _compare_pairs(reports: Mapping[str, Report]) -> tuple[Pair, ...]:
    right = {name: report.predicted == report.labels for name, report in reports.items()}
    pairs: list[Pair] = []
    for first, second in combinations(reports, 2):
        one, other = right[first], right[second]
        n, both_wrong = len(one), int((~one & ~other).sum())
        only_counts = int((one & ~other).sum()), int((~one & other).sum())
        interval = difference_interval(*only_counts, n)
        difference, p = (only_counts[0] - only_counts[1]) / n, mcnemar(*only_counts)
        pairs.append(Pair(first, second, *only_counts, both_wrong, difference, interval, p, p))
    adjusted = holm([pair.p for pair in pairs])
    return tuple(replace(pair, p_holm=p) for pair, p in zip(pairs, adjusted, strict=True))
