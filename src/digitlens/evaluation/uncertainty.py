"""What a classifier's probabilities are worth: proper scores, calibration, risk and coverage.

Knows labels and probabilities, not models.

Sources: G. W. Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather
Review 78 (1950). Bins of equal mass: K. Nguyen and B. O'Connor, "Posterior calibration and
exploratory analysis for natural language processing models", EMNLP 2015. Area under the curve of
risk and coverage: Y. Geifman, G. Uziel and R. El-Yaniv, "Bias-reduced uncertainty estimation for
deep neural classifiers", ICLR 2019.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from digitlens.evaluation.metrics import Bin, Floats, Labels, calibration, log_loss

BINS = 15
COVERAGE = 0.99  # share of tiles that are answered where the error is quoted

Curve = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """Scores of N probabilities; see the functions of this module.

    Attributes:
        n: Tiles.
        error: Share that is read wrong, 0 to 1, when all are answered.
        nll: Mean negative log-likelihood of the truth, in nats.
        brier: Mean squared distance of the probabilities from the truth, 0 to 2.
        ece: Expected calibration error over bins of equal width, 0 to 1.
        adaptive_ece: The same over bins of equal mass.
        aurc: Area under the curve of risk and coverage, 0 to 1.
        error_at_99: Share that is wrong among the surest 99 %.
        coverage_at_zero: Share of tiles that are surer than every mistake.
    """

    n: int
    error: float
    nll: float
    brier: float
    ece: float
    adaptive_ece: float
    aurc: float
    error_at_99: float
    coverage_at_zero: float

    def as_dict(self) -> dict[str, Any]:
        """The scores by name, JSON-ready."""
        return asdict(self)


def measure_uncertainty(labels: Labels, probabilities: Floats) -> Uncertainty:
    """All scores of some probabilities.

    Args:
        labels: int[N], 0 to 9, N >= 1.
        probabilities: float[N, 10], rows sum to 1.

    Raises:
        ValueError: The shapes or labels are something else.
    """
    nll = log_loss(labels, probabilities)  # checks the arguments
    confidence, right = answers(labels, probabilities)
    risk = risk_curve(confidence, right)
    return Uncertainty(
        n=len(labels),
        error=float(risk[-1]),
        nll=nll,
        brier=brier_score(labels, probabilities),
        ece=calibration(labels, probabilities, BINS).error,
        adaptive_ece=adaptive_error(equal_mass_bins(confidence, right)),
        aurc=float(risk.mean()),
        error_at_99=float(risk[int(np.ceil(COVERAGE * len(risk))) - 1]),
        coverage_at_zero=coverage_at_zero(confidence, right),
    )


def mean_uncertainty(scores: Sequence[Uncertainty]) -> Uncertainty:
    """The mean of each score over several sets of tiles, each counted the same; ``n`` is the sum.

    Raises:
        ValueError: There is none.
    """
    if not scores:
        raise ValueError("expected scores of one set of tiles or more, found none")
    means = {
        field.name: float(np.mean([getattr(score, field.name) for score in scores]))
        for field in fields(Uncertainty)
        if field.name != "n"
    }
    values: Mapping[str, Any] = {"n": sum(score.n for score in scores)} | means
    return Uncertainty(**values)


def answers(labels: Labels, probabilities: Floats) -> tuple[Curve, npt.NDArray[np.bool_]]:
    """How sure each answer is, float64[N], and whether it is right, bool[N]."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    return confidence, probabilities.argmax(axis=1) == labels


def brier_score(labels: Labels, probabilities: Floats) -> float:
    """Mean over tiles of the sum over digits of squared differences to 1 or 0.

    Args:
        labels: int[N], 0 to 9, N >= 1.
        probabilities: float[N, 10].
    """
    apart = probabilities.astype(np.float64)
    apart[np.arange(len(labels)), labels] -= 1
    return float((apart**2).sum(axis=1).mean())


def risk_curve(confidence: Floats, right: npt.NDArray[np.bool_]) -> Curve:
    """Share that is wrong among the surest 1, 2, ..., N answers: float64[N].

    Among answers that are equally sure the order is any, so each counts as wrong as their mean.

    Args:
        confidence: float[N], N >= 1.
        right: bool[N].
    """
    order = np.argsort(-confidence, kind="stable")
    wrong = np.cumsum(1 - _tied(confidence, right)[order])
    return wrong / np.arange(1, len(order) + 1)


def coverage_at_zero(confidence: Floats, right: npt.NDArray[np.bool_]) -> float:
    """Share of answers that are surer than the surest mistake; 1 without a mistake."""
    if right.all():
        return 1.0
    return float(np.mean(confidence > confidence[~right].max()))


def equal_mass_bins(
    confidence: Floats, right: npt.NDArray[np.bool_], bins: int = BINS
) -> tuple[Bin, ...]:
    """Bins with as many answers each, but for one; fewer bins where there are fewer answers.

    Args:
        confidence: float[N], N >= 1.
        right: bool[N]; of answers that are equally sure each counts as their mean.
        bins: Number of bins.
    """
    order = np.argsort(confidence, kind="stable")
    sure, correct = confidence[order], _tied(confidence, right)[order]
    parts = np.array_split(np.arange(len(order)), min(bins, len(order)))
    return tuple(
        Bin(
            low=float(sure[part[0]]),
            high=float(sure[part[-1]]),
            count=len(part),
            confidence=float(sure[part].mean(dtype=np.float64)),
            accuracy=float(correct[part].mean()),
        )
        for part in parts
    )


def adaptive_error(bins: Sequence[Bin]) -> float:
    """Mean distance of confidence and share that is right over bins, by their number of answers."""
    gaps = sum(row.count * abs(row.confidence - row.accuracy) for row in bins)
    return gaps / sum(row.count for row in bins)


def _tied(confidence: Floats, right: npt.NDArray[np.bool_]) -> Curve:
    """For each answer the share that is right among those as sure as it: float64[N]."""
    _, place = np.unique(confidence, return_inverse=True)
    return (np.bincount(place, weights=right) / np.bincount(place))[place]
