"""Puts evaluations of several models on the same tiles side by side, and each two in a pair.

Knows reports, not models: what else a model is (its size, its recipe) is handed in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from digitlens.evaluation.paired import difference_interval, holm, mcnemar
from digitlens.evaluation.report import Report

DECIMALS = 6  # in JSON, but for p values, which keep their leading digits


@dataclass(frozen=True)
class Facts:
    """What is known of a model beside its answers.

    Attributes:
        parameters: Numbers that were learned; None if unknown.
        size: Bytes of its graph.
        training_seconds: Time it was trained; None if unknown.
        recipe: What it was trained from; empty if unknown.
    """

    parameters: int | None = None
    size: int = 0
    training_seconds: float | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Pair:
    """Two models on the same tiles.

    Attributes:
        first: Name of the first model.
        second: Name of the second.
        only_first: Tiles that only the first reads right.
        only_second: Tiles that only the second reads right.
        both_wrong: Tiles that neither reads right.
        difference: Accuracy of the first less that of the second.
        interval: Its interval of 95 %, by Tango.
        p: McNemar's exact p value.
        p_holm: The same, adjusted by Holm for the number of pairs.
    """

    first: str
    second: str
    only_first: int
    only_second: int
    both_wrong: int
    difference: float
    interval: tuple[float, float]
    p: float
    p_holm: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """Several models on the same tiles.

    Attributes:
        data: Name of the tiles.
        reports: By the name of each model, at least two.
        facts: Likewise.
        pairs: Each two of them, in their order.
    """

    data: str
    reports: Mapping[str, Report]
    facts: Mapping[str, Facts]
    pairs: tuple[Pair, ...]

    @property
    def names(self) -> list[str]:
        """The models, in the order given."""
        return list(self.reports)

    @property
    def n(self) -> int:
        """Tiles that all were given."""
        return next(iter(self.reports.values())).n

    @property
    def labels(self) -> npt.NDArray[np.integer[Any]]:
        """int[N]; the truth."""
        return next(iter(self.reports.values())).labels

    def disagreements(self) -> npt.NDArray[np.int64]:
        """int64[K]; tiles that not all models read alike, by the confidence of the least sure.

        Tiles on which sure models contradict each other come first: they tell most.
        """
        read = np.stack([report.predicted for report in self.reports.values()])
        sure = np.stack([report.confidence for report in self.reports.values()])
        apart = np.flatnonzero((read != read[0]).any(axis=0))
        return apart[np.argsort(-sure[:, apart].min(axis=0), kind="stable")]

    def recipe_differences(self) -> dict[str, list[Any]]:
        """Fields in which the recipes differ, and the value in each; None where unknown."""
        recipes = [self.facts[name].recipe for name in self.names]
        fields = dict.fromkeys(name for recipe in recipes for name in recipe)
        values = {name: [recipe.get(name) for recipe in recipes] for name in fields}
        return {name: each for name, each in values.items() if any(v != each[0] for v in each)}

    def as_dict(self) -> dict[str, Any]:
        """The comparison as JSON-ready values."""
        return {
            "data": self.data,
            "n": self.n,
            "runs": [self._run(name) for name in self.names],
            "recipe_differences": self.recipe_differences(),
            "pairs": [_rounded(asdict(pair)) for pair in self.pairs],
            "disagreements": [self._read(int(index)) for index in self.disagreements()],
        }

    def _run(self, name: str) -> dict[str, Any]:
        report, facts = self.reports[name], self.facts[name]
        return _rounded(
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

    def _read(self, index: int) -> dict[str, Any]:
        read = {name: int(report.predicted[index]) for name, report in self.reports.items()}
        return {"index": index, "truth": int(self.labels[index]), "read": read}


def compare(data: str, reports: Mapping[str, Report], facts: Mapping[str, Facts]) -> Comparison:
    """Compares models by what they said of the same tiles.

    Args:
        data: Name of the tiles.
        reports: By the name of each model, at least two, all on the same tiles in the same order.
        facts: Likewise.

    Raises:
        ValueError: There are fewer than two, or they are on different tiles.
    """
    hashes = {report.data.sha256 for report in reports.values()}
    if len(reports) < 2 or len(hashes) > 1:
        raise ValueError(
            f"expected at least two reports on the same tiles, found {len(reports)} on "
            f"{len(hashes)} different sets"
        )
    return Comparison(data, reports, facts, _pairs(reports))


def _pairs(reports: Mapping[str, Report]) -> tuple[Pair, ...]:
    right = {name: report.predicted == report.labels for name, report in reports.items()}
    names = list(combinations(reports, 2))
    counts = [_discordant(right[first], right[second]) for first, second in names]
    ps = [mcnemar(*count) for count in counts]
    return tuple(
        _pair(two, count, right, p, p_holm)
        for two, count, p, p_holm in zip(names, counts, ps, holm(ps), strict=True)
    )


def _pair(
    names: tuple[str, str],
    count: tuple[int, int],
    right: Mapping[str, npt.NDArray[np.bool_]],
    p: float,
    p_holm: float,
) -> Pair:
    first, second = (right[name] for name in names)
    n = len(first)
    return Pair(
        *names,
        *count,
        both_wrong=int((~first & ~second).sum()),
        difference=(count[0] - count[1]) / n,
        interval=difference_interval(*count, n),
        p=p,
        p_holm=p_holm,
    )


def _discordant(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> tuple[int, int]:
    return int((first & ~second).sum()), int((~first & second).sum())


def _rounded(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _round(name, value) for name, value in values.items()}


def _round(name: str, value: Any) -> Any:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_round(name, one) for one in value]
    if not isinstance(value, float):
        return value
    return float(f"{value:.4g}") if name.startswith("p") else round(value, DECIMALS)
