"""Metrics of a ten-class classifier in plain NumPy, from labels and probabilities alone.

Sources: G. W. Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather
Review 78 (1950). Bins of equal mass: K. Nguyen and B. O'Connor, "Posterior calibration and
exploratory analysis for natural language processing models", EMNLP 2015. Area under the curve of
risk and coverage: Y. Geifman, G. Uziel and R. El-Yaniv, "Bias-reduced uncertainty estimation for
deep neural classifiers", ICLR 2019.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import accumulate
from math import isclose, sqrt
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

CLASSES = 10
BINS = 15
Z95 = 1.959963984540054  # normal quantile of a two-sided 95 % interval

PredictProba = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]
Labels = npt.NDArray[np.integer[Any]]
Floats = npt.NDArray[np.floating[Any]]
Flags = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ClassScore:
    """Scores of one digit; a ratio without any case is 0."""

    digit: int  # the digit, 0 to 9
    precision: float  # fraction of the tiles read as this digit that are this digit
    recall: float  # fraction of the tiles of this digit that are read as it
    f1: float  # harmonic mean of precision and recall
    support: int  # number of tiles of this digit


@dataclass(frozen=True, slots=True)
class Average:
    """Precision, recall and F1, averaged over the ten digits."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class ConfusedPair:
    """The number of tiles of ``truth`` that were read as ``predicted``."""

    truth: int
    predicted: int
    count: int


@dataclass(frozen=True, slots=True)
class Bin:
    """Predictions whose confidence is above ``low`` and at most ``high``."""

    low: float  # lower edge, exclusive
    high: float  # upper edge, inclusive
    count: int  # predictions in the bin
    confidence: float  # their mean confidence; 0 in an empty bin
    accuracy: float  # fraction of them that is right; 0 in an empty bin


def wilson_interval(right: int, n: int) -> tuple[float, float]:
    """95 % confidence interval of a proportion, 0 to 1, valid near 0 and 1 and for small n.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of
    the American Statistical Association 22 (1927), 209-212.

    Args:
        right: Successes.
        n: Trials; for n = 0 the interval is 0 to 1.
    """
    if not 0 <= right <= n:
        raise ValueError(f"expected 0 <= right <= n, found right = {right}, n = {n}")
    if n == 0:
        return 0.0, 1.0
    share, spread = right / n, Z95 * Z95 / n
    centre = (share + spread / 2) / (1 + spread)
    half = Z95 * sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    # Exact ends for 0 and n successes, without rounding errors.
    return (0.0 if right == 0 else centre - half), (1.0 if right == n else centre + half)


def cheapest_pairs(
    costs: Sequence[Sequence[float]], skips: Sequence[float]
) -> list[tuple[int, int]]:
    """Minimum-cost monotone matching of N rows and M columns; some remain unmatched.

    Args:
        costs: Cost of each pair, N rows of M, possibly infinite.
        skips: Cost of skipping each of M columns; skipping a row costs 1.
    """
    rows = [[0.0, *accumulate(skips)]]
    for i, line in enumerate(costs, 1):
        above, row = rows[-1], [float(i)]
        for j, (cost, skip) in enumerate(zip(line, skips, strict=True), 1):
            row.append(min(row[j - 1] + skip, above[j] + 1, above[j - 1] + cost))
        rows.append(row)
    pairs: list[tuple[int, int]] = []
    i, j = len(costs), len(skips)
    while i and j:
        if isclose(rows[i][j], rows[i - 1][j - 1] + costs[i - 1][j - 1]):
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif isclose(rows[i][j], rows[i][j - 1] + skips[j - 1]):
            j -= 1
        else:
            i -= 1
    return pairs[::-1]


def alignment(truth: str, read: str) -> list[tuple[int, int]]:
    """Pairs of positions in two texts that are matched or substituted at the fewest edits."""
    return cheapest_pairs([[char != found for found in read] for char in truth], [1] * len(read))


def count_edits(truth: str, read: str) -> tuple[int, list[bool]]:
    """The edit distance of two texts, and which characters of ``read`` are matched by it."""
    pairs = alignment(truth, read)
    matched = {j for i, j in pairs if truth[i] == read[j]}
    edits = len(truth) + len(read) - len(pairs) - len(matched)
    return edits, [j in matched for j in range(len(read))]


def log_loss(truth: Labels, probabilities: Floats) -> float:
    """Mean negative log-likelihood of the truth int[N], N >= 1, in nats.

    A probability of 0 counts as the machine epsilon of its type, as in scikit-learn, so that a
    single certain error does not make the mean infinite. Rows of probabilities [N, 10] sum to 1.
    """
    _check_labels(truth)
    if probabilities.shape != (len(truth), CLASSES):
        raise ValueError(
            f"expected probabilities of shape [{len(truth)}, 10], found {list(probabilities.shape)}"
        )
    likelihood = probabilities[np.arange(len(truth)), truth]
    smallest = np.finfo(probabilities.dtype).eps
    return float(np.mean(-np.log(np.clip(likelihood, smallest, 1.0), dtype=np.float64))) + 0.0


def confusion_matrix(truth: Labels, predicted: Labels) -> Counts:
    """Counts int64[10, 10], rows by truth int[N], columns by prediction int[N]; N >= 1."""
    _check_labels(truth, predicted)
    cells = truth.astype(np.int64) * CLASSES + predicted.astype(np.int64)
    return np.bincount(cells, minlength=CLASSES**2).astype(np.int64).reshape(CLASSES, CLASSES)


def class_scores(confusion: Counts) -> tuple[ClassScore, ...]:
    """Precision, recall, F1 and support of each digit, from a confusion matrix."""
    hits, support, read_as = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    columns = _ratio(hits, read_as), _ratio(hits, support), _ratio(2 * hits, support + read_as)
    return tuple(
        ClassScore(digit, float(precision), float(recall), float(f1), int(support[digit]))
        for digit, (precision, recall, f1) in enumerate(zip(*columns, strict=True))
    )


def average(scores: Sequence[ClassScore], *, weighted: bool = False) -> Average:
    """Mean over the digits, unweighted or weighted by support."""
    rows = np.array([(score.precision, score.recall, score.f1) for score in scores])
    weights = np.array([score.support if weighted else 1 for score in scores], np.float64)
    total = weights.sum()
    means = weights @ rows / total if total else np.zeros(3)
    return Average(*means.tolist())


def confused_pairs(confusion: Counts, most: int = 10) -> tuple[ConfusedPair, ...]:
    """The ``most`` frequent confusions, in descending order, ties in the order of the digits."""
    mistakes = confusion.copy()
    np.fill_diagonal(mistakes, 0)
    order = np.argsort(-mistakes, axis=None, kind="stable")[:most]
    pairs = (ConfusedPair(*divmod(int(cell), CLASSES), int(mistakes.flat[cell])) for cell in order)
    return tuple(pair for pair in pairs if pair.count)


def equal_width_bins(confidence: Floats, right: Flags, bins: int = BINS) -> tuple[Bin, ...]:
    """Bins of equal width from 0 to 1, of confidence float[N], N >= 1, and right bool[N]."""
    bin_of = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    count = np.bincount(bin_of, minlength=bins)
    confidences = _ratio(np.bincount(bin_of, weights=confidence, minlength=bins), count)
    accuracies = _ratio(np.bincount(bin_of, weights=right, minlength=bins), count)
    rows = zip(count.tolist(), confidences.tolist(), accuracies.tolist(), strict=True)
    return tuple(Bin(i / bins, (i + 1) / bins, *row) for i, row in enumerate(rows))


def _ratio(counts: npt.NDArray[Any], totals: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    # 0 for a zero denominator, as with zero_division=0 in scikit-learn.
    return np.divide(counts, totals, out=np.zeros(len(totals), np.float64), where=totals != 0)


def _check_labels(*arrays: Labels) -> None:
    if len({array.shape for array in arrays}) > 1 or arrays[0].ndim != 1 or not arrays[0].size:
        shapes = " and ".join(str(list(array.shape)) for array in arrays)
        raise ValueError(f"expected labels of one shape [N] with N >= 1, found {shapes}")
    low, high = min(int(a.min()) for a in arrays), max(int(a.max()) for a in arrays)
    if low < 0 or high >= CLASSES:
        raise ValueError(f"expected labels from 0 to 9, found {low} to {high}")


COVERAGE = 0.99  # coverage at which the error rate is reported

Curve = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """Scores of N probabilities; see the functions of this module."""

    n: int  # tiles
    error: float  # error rate at full coverage, 0 to 1
    nll: float  # mean negative log-likelihood of the truth, in nats
    brier: float  # mean squared distance of the probabilities from the truth, 0 to 2
    ece: float  # expected calibration error over bins of equal width, 0 to 1
    adaptive_ece: float  # the same over bins of equal mass
    aurc: float  # area under the risk-coverage curve, 0 to 1
    error_at_99: float  # error rate among the most confident 99 %
    coverage_at_zero: float  # fraction of tiles more confident than every error


def measure_uncertainty(labels: Labels, probabilities: Floats) -> Uncertainty:
    """Computes all uncertainty scores.

    Args:
        labels: int[N], 0 to 9, N >= 1; else ValueError.
        probabilities: float[N, 10], rows sum to 1.
    """
    nll = log_loss(labels, probabilities)  # checks the arguments
    confidence, right = answers(labels, probabilities)
    risk = risk_curve(confidence, right)
    return Uncertainty(
        n=len(labels),
        error=float(risk[-1]),
        nll=nll,
        brier=brier_score(labels, probabilities),
        ece=calibration_error(equal_width_bins(confidence, right)),
        adaptive_ece=calibration_error(equal_mass_bins(confidence, right)),
        aurc=float(risk.mean()),
        error_at_99=float(risk[int(np.ceil(COVERAGE * len(risk))) - 1]),
        coverage_at_zero=coverage_at_zero(confidence, right),
    )


def mean_uncertainty(scores: Sequence[Uncertainty]) -> Uncertainty:
    """The unweighted mean of each score over sets of tiles; ``n`` is the sum."""
    means = {
        field.name: float(np.mean([getattr(score, field.name) for score in scores]))
        for field in fields(Uncertainty)
        if field.name != "n"
    }
    values: Mapping[str, Any] = {"n": sum(score.n for score in scores)} | means
    return Uncertainty(**values)


def answers(labels: Labels, probabilities: Floats) -> tuple[Curve, Flags]:
    """The confidence of each answer, float64[N], and whether it is right, bool[N]."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    return confidence, probabilities.argmax(axis=1) == labels


def brier_score(labels: Labels, probabilities: Floats) -> float:
    """Brier score: mean over tiles of the squared distance to the one-hot truth."""
    difference = probabilities.astype(np.float64)
    difference[np.arange(len(labels)), labels] -= 1
    return float((difference**2).sum(axis=1).mean())


def risk_curve(confidence: Floats, right: Flags) -> Curve:
    """Error rates of the most confident 1, 2, ..., N answers: float64[N], N >= 1.

    Answers of equal confidence each count with their mean error, as their order is arbitrary.
    """
    order = np.argsort(-confidence, kind="stable")
    wrong = np.cumsum(1 - _accuracy_of_ties(confidence, right)[order])
    return wrong / np.arange(1, len(order) + 1)


def coverage_at_zero(confidence: Floats, right: Flags) -> float:
    """Fraction of answers more confident than every error; 1 without errors."""
    if right.all():
        return 1.0
    return float(np.mean(confidence > confidence[~right].max()))


def equal_mass_bins(confidence: Floats, right: Flags, bins: int = BINS) -> tuple[Bin, ...]:
    """Bins whose counts differ by at most one; fewer bins if there are fewer answers.

    Answers of equal confidence each count with their mean.
    """
    order = np.argsort(confidence, kind="stable")
    confidences, accuracies = confidence[order], _accuracy_of_ties(confidence, right)[order]
    parts = np.array_split(np.arange(len(order)), min(bins, len(order)))
    return tuple(
        Bin(
            low=float(confidences[part[0]]),
            high=float(confidences[part[-1]]),
            count=len(part),
            confidence=float(confidences[part].mean(dtype=np.float64)),
            accuracy=float(accuracies[part].mean()),
        )
        for part in parts
    )


def calibration_error(bins: Sequence[Bin]) -> float:
    """Expected calibration error: mean gap between confidence and accuracy over bins.

    Bins are weighted by count (C. Guo et al., "On calibration of modern neural
    networks", ICML 2017).
    """
    gaps = sum(row.count * abs(row.confidence - row.accuracy) for row in bins)
    return gaps / sum(row.count for row in bins)


def _accuracy_of_ties(confidence: Floats, right: Flags) -> Curve:
    """For each answer, the accuracy of all answers of the same confidence: float64[N]."""
    _, group_of = np.unique(confidence, return_inverse=True)
    return (np.bincount(group_of, weights=right) / np.bincount(group_of))[group_of]


CPUINFO = Path("/proc/cpuinfo")
SINGLE_CALLS = 200  # calls with one tile: a median of fewer calls is not repeatable
BATCH = 1000  # tiles per batch
ROUNDS = 7  # calls with a batch
Times = tuple[float, ...]


@dataclass(frozen=True)
class Speed:
    """Durations of calls in seconds, each timed separately, after a warm-up call."""

    single: Times  # calls with one tile
    batch: Times  # calls with ``batch_size`` tiles
    batch_size: int  # tiles

    @property
    def single_median(self) -> float:
        """Median seconds for a single tile."""
        return median(self.single)

    @property
    def single_p95(self) -> float:
        """The 95th percentile of seconds for a single tile."""
        return quantiles(self.single, n=20)[-1]

    @property
    def per_second(self) -> float:
        """Tiles per second in the median batch."""
        return self.batch_size / median(self.batch)

    def as_dict(self) -> dict[str, Any]:
        """The figures and the number of measurements, JSON-ready."""
        return {
            "one_tile_seconds": self.single_median,
            "one_tile_seconds_95": self.single_p95,
            "tiles_per_second": self.per_second,
            "calls": len(self.single),
            "rounds": len(self.batch),
            "batch_size": self.batch_size,
            "batch_seconds": self.batch,
        }


def measure_speed(
    predict_proba: PredictProba,
    tiles: npt.NDArray[np.uint8],
    *,
    calls: int = SINGLE_CALLS,
    rounds: int = ROUNDS,
) -> Speed:
    """Times a model on single tiles and on batches.

    Args:
        predict_proba: uint8[N, 28, 28] to float32[N, 10].
        tiles: uint8[N, 28, 28], N >= 1; the first ``BATCH`` of them are a batch.
        calls: Number of calls with one tile, 2 or more.
        rounds: Number of calls with a batch.
    """
    batch = tiles[:BATCH]
    singles = [tiles[number % len(tiles)][None] for number in range(calls)]
    single, batched = _time(predict_proba, singles), _time(predict_proba, [batch] * rounds)
    return Speed(single, batched, len(batch))


def _time(predict_proba: PredictProba, inputs: list[npt.NDArray[np.uint8]]) -> Times:
    predict_proba(inputs[0])  # warm-up: the first call of a shape allocates
    seconds: list[float] = []
    for each in inputs:
        start = perf_counter()
        predict_proba(each)
        seconds.append(perf_counter() - start)
    return tuple(seconds)


def describe_machine(cpuinfo: Path = CPUINFO) -> str:
    """A description of processor, cores and system; argument as for ``processor``."""
    cores = os.cpu_count() or 1
    system = f"{platform.system()}, Python {platform.python_version()}"
    name = processor(cpuinfo) or platform.machine()
    return f"{name}, {cores} {'core' if cores == 1 else 'cores'}, {system}"


def processor(cpuinfo: Path = CPUINFO) -> str:
    """Name of the processor, from Linux's cpuinfo or from Python; possibly empty."""
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
