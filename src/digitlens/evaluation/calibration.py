"""Calibration: fits maps from raw scores to probabilities of being right, and applies them.

Monotone tables (isotonic regression), logistic regression, logarithmic opinion pools of several
networks, and temperature scaling with its variants. Works on scores and correctness alone, without
digits, pages or models.

Sources: R. E. Barlow, D. J. Bartholomew, J. M. Bremner, H. D. Brunk, "Statistical inference under
order restrictions", 1972, for pool adjacent violators; B. Zadrozny, C. Elkan, "Transforming
classifier scores into accurate multiclass probability estimates", KDD 2002, for its use here;
C. Genest, J. V. Zidek, "Combining probability distributions", Statistical Science 1986, for
logarithmic opinion pools; C. Guo et al., "On calibration of modern neural networks", ICML 2017, for
temperature and vector scaling; J. Zhang, B. Kailkhura, T. Y. Han, "Mix-n-match: ensemble and
compositional methods for uncertainty calibration in deep learning", ICML 2020.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

KNOTS = 20
LEAST_KNOTS = 3  # both ends of the axis, and one block of answers between them

# Confidences are clipped halfway between 1 and its neighbour in float32, so that the logit is
# finite and no two float32 confidences above 3e-8 become equal.
_CLIP = 2.0**-25
_MIN_DOUBT = 1e-6  # no table exceeds 1 - this, regardless of the number of answers
# Slope, in logits, beyond the outermost blocks: keeps the order of confidences there; from a block
# at 99.9 % to the end of the axis it adds less than 0.02 %.
_END_SLOPE = 0.01
_MIN_KNOT_GAP = 0.01  # logits; a block closer to an end of the axis needs no knot at the end
# Neighbouring blocks are joined unless they differ significantly: half of the 95 % quantile of
# chi-squared with one degree of freedom, in nats of likelihood. On 3,000 simulated answers of
# known probability this reduces the mean gap from 0.75 % to 0.56 %.
_MIN_JOIN_COST = 1.92

Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.floating[Any]]
N = TypeVar("N", int, float)


@dataclass(frozen=True, slots=True)
class Calibration:
    """A strictly increasing table from raw confidence to the probability of being right.

    Raises:
        ValueError: The table is not of this form.
    """

    confidence: tuple[float, ...]  # raw, at least two, strictly increasing, between 0 and 1
    probability: tuple[float, ...]  # at each confidence, strictly increasing, between 0 and 1

    def __post_init__(self) -> None:
        """Validates the table."""
        if len(self.confidence) != len(self.probability) or len(self.confidence) < 2:
            raise ValueError(
                "expected a calibration of two or more confidences with a probability each, "
                f"found {len(self.confidence)} and {len(self.probability)}"
            )
        _check_column("confidence", self.confidence)
        _check_column("probability", self.probability)

    def apply(self, confidence: Floats) -> npt.NDArray[np.float32]:
        """Probabilities float32[N] of being right, interpolated linearly in logits.

        Keeps the order of the confidences, float[N]; distinct ones become equal only if float32
        has no number between them, or below 3e-8. Raises ValueError unless all are from 0 to 1.
        """
        check_confidence(confidence)
        logits = np.interp(_logit(confidence), _logit(self.confidence), _logit(self.probability))
        return (1 / (1 + np.exp(-logits))).astype(np.float32)

    def as_dict(self) -> dict[str, list[float]]:
        """The table as JSON-ready values, unrounded."""
        return {"confidence": list(self.confidence), "probability": list(self.probability)}

    @classmethod
    def from_dict(cls, values: Any) -> Calibration:
        """Inverse of ``as_dict``; raises ValueError for any other value."""
        columns = ("confidence", "probability")
        if not isinstance(values, dict) or set(values) != set(columns):
            raise ValueError(f"expected a calibration with {' and '.join(columns)}, found {values}")
        return cls(*(parse_column(name, values[name], float) for name in columns))


class _Block(NamedTuple):
    """Neighbouring answers that share a probability: count, number right, sum of logits."""

    n: int
    right: int
    logits: float

    @property
    def share(self) -> float:
        return self.right / self.n

    @property
    def shrunk(self) -> float:
        # Laplace's rule of succession: n right of n does not prove a probability of 1.
        return min(max((self.right + 1) / (self.n + 2), _MIN_DOUBT), 1 - _MIN_DOUBT)

    def join(self, other: _Block) -> _Block:
        return _Block(self.n + other.n, self.right + other.right, self.logits + other.logits)


def fit_calibration(confidence: Floats, right: Flags, knots: int = KNOTS) -> Calibration:
    """Fits a table to answers of known correctness.

    Isotonic regression pools the answers, in order of confidence, into blocks of increasing
    accuracy. Blocks that do not differ significantly are joined, since a run without an error is
    often luck; each accuracy is shrunk by Laplace's rule, so that n right of n becomes
    (n + 1) / (n + 2). A block sets one knot at its mean logit; the ends of the axis follow with
    a slight slope.

    Args:
        confidence: float[N], N >= 1, raw confidences, each 0 to 1; rounded to float32.
        right: bool[N], whether the answer was right.
        knots: At most this many points in the table; 3 or more.

    Raises:
        ValueError: An argument is invalid.
    """
    check_answers(confidence, right)
    if knots < LEAST_KNOTS:
        raise ValueError(f"expected {LEAST_KNOTS} knots or more, found {knots}")
    blocks = _blocks_by_confidence(_logit(confidence.astype(np.float32)), right)
    blocks = _pool_adjacent(blocks, lambda block: block.share)
    blocks = _pool_adjacent(_join_similar(blocks, knots - 2), lambda block: block.shrunk)
    return _to_table(blocks)


def check_confidence(confidence: Floats) -> None:
    """Raises ValueError unless it is float[N], each 0 to 1."""
    if confidence.ndim != 1 or not np.issubdtype(confidence.dtype, np.floating):
        raise ValueError(
            "expected confidences as floating point of shape [N], "
            f"found {confidence.dtype} of shape {list(confidence.shape)}"
        )
    bad = confidence[~((confidence >= 0) & (confidence <= 1))]  # includes NaN
    if len(bad):
        raise ValueError(f"expected confidences from 0 to 1, found {bad[0]}")


def check_answers(confidence: Floats, right: Flags) -> None:
    """Raises ValueError unless these are float[N], each 0 to 1, and bool[N], with N >= 1."""
    check_confidence(confidence)
    if right.dtype != np.bool_ or right.shape != confidence.shape:
        raise ValueError(
            f"expected right as bool of shape {list(confidence.shape)}, one for each confidence, "
            f"found {right.dtype} of shape {list(right.shape)}"
        )
    if not len(right):
        raise ValueError("expected one answer or more, found none")


def _logit(probability: Floats | Sequence[float]) -> npt.NDArray[np.float64]:
    clipped = np.clip(np.asarray(probability, np.float64), _CLIP, 1 - _CLIP)
    return np.log(clipped) - np.log1p(-clipped)


def _blocks_by_confidence(logits: npt.NDArray[np.float64], right: Flags) -> list[_Block]:
    """One block for each distinct confidence, in ascending order."""
    values, block_of, count = np.unique(logits, return_inverse=True, return_counts=True)
    right_counts = np.bincount(block_of, weights=right).astype(np.int64)
    rows = zip(count.tolist(), right_counts.tolist(), (values * count).tolist(), strict=True)
    return [_Block(*row) for row in rows]


def _pool_adjacent(blocks: Sequence[_Block], share: Callable[[_Block], float]) -> list[_Block]:
    """Pool adjacent violators: joins neighbours until the shares increase strictly."""
    pooled: list[_Block] = []
    for block in blocks:
        joined = block
        while pooled and share(pooled[-1]) >= share(joined):
            joined = pooled.pop().join(joined)
        pooled.append(joined)
    return pooled


def _join_similar(blocks: Sequence[_Block], limit: int) -> list[_Block]:
    """Joins the most similar neighbours until all differ and at most ``limit`` are left."""
    joined = list(blocks)
    costs = [_join_cost(*pair) for pair in pairwise(joined)]
    while costs and (len(joined) > limit or min(costs) < _MIN_JOIN_COST):
        place = costs.index(min(costs))
        joined[place : place + 2] = [joined[place].join(joined[place + 1])]
        del costs[place]
        for neighbour in (place - 1, place):
            if 0 <= neighbour < len(costs):
                costs[neighbour] = _join_cost(joined[neighbour], joined[neighbour + 1])
    return joined


def _join_cost(low: _Block, high: _Block) -> float:
    """Log-likelihood, in nats, lost if two blocks share a probability."""
    return _log_likelihood(low) + _log_likelihood(high) - _log_likelihood(low.join(high))


def _log_likelihood(block: _Block) -> float:
    return sum(n * log(n / block.n) for n in (block.right, block.n - block.right) if n)


def _to_table(blocks: Sequence[_Block]) -> Calibration:
    x = np.array([block.logits / block.n for block in blocks])
    y = _logit([block.shrunk for block in blocks])
    start, end = _logit([0.0, 1.0])
    if start < x[0] - _MIN_KNOT_GAP:
        x, y = np.r_[start, x], np.r_[y[0] - _END_SLOPE * (x[0] - start), y]
    if end > x[-1] + _MIN_KNOT_GAP:
        x, y = np.r_[x, end], np.r_[y, y[-1] + _END_SLOPE * (end - x[-1])]
    return Calibration(*(tuple((1 / (1 + np.exp(-axis))).tolist()) for axis in (x, y)))


def _check_column(name: str, column: tuple[float, ...]) -> None:
    for value in column:
        if not 0 < value < 1:
            raise ValueError(f"expected each {name} above 0 and below 1, found {value}")
    for low, high in pairwise(column):
        if low >= high:
            raise ValueError(f"expected each {name} above the one before, found {low}, {high}")


def parse_column(name: str, values: Any, kind: type[N]) -> tuple[N, ...]:
    """Parses numbers from JSON; raises ValueError for other values, or fractions if ``int``."""
    if not isinstance(values, list | tuple):
        raise ValueError(f"expected {name} as a list of numbers, found {values!r}")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | kind):
            what = f"whole numbers in {name}" if kind is int else f"{name} as a list of numbers"
            raise ValueError(f"expected {what}, found {value!r} in it")
    try:
        return tuple(map(kind, values))
    except OverflowError as error:
        raise ValueError(f"expected {name} as a list of numbers: {error}") from error


_NEWTON_STEPS = 200
_MAX_STEP = 1.0  # largest change of any weight per step

Weights = npt.NDArray[np.float64]
Derivatives = Callable[[Weights], tuple[Weights, Weights]]


def most_likely(derivatives: Derivatives, count: int, ridge: float) -> tuple[float, ...]:
    """Maximum-likelihood weights by Newton's method, starting from 0.

    Args:
        derivatives: From weights float64[D] to the gradient float64[D] of the log-likelihood and
            its negative Hessian float64[D, D].
        count: D.
        ridge: L2 penalty: without it, separable data would have no unique weights.
    """
    weights, penalty = np.zeros(count), ridge * np.eye(count)
    for _ in range(_NEWTON_STEPS):
        gradient, curvature = derivatives(weights)
        step = np.linalg.solve(curvature + penalty, gradient - penalty @ weights)
        # Far from the maximum the curvature may vanish and a full step would diverge.
        step *= min(1.0, _MAX_STEP / max(float(np.abs(step).max()), 1e-12))
        weights += step
        if float(np.abs(step).max()) < 1e-8:
            break
    return tuple(float(weight) for weight in weights)


_LOGISTIC_RIDGE = 1e-3


def fit_logistic(features: Floats, right: npt.NDArray[np.bool_]) -> tuple[float, ...]:
    """Fits a logistic regression: the constant, then one weight for each feature.

    Args:
        features: float[N, D].
        right: bool[N].
    """
    x = np.hstack([np.ones((len(features), 1)), features.astype(np.float64)])

    def derivatives(weights: Weights) -> tuple[Weights, Weights]:
        probability = logistic(weights, features)
        return x.T @ (right - probability), (x * (probability * (1 - probability))[:, None]).T @ x

    return most_likely(derivatives, x.shape[1], _LOGISTIC_RIDGE)


def logistic(weights: Floats | tuple[float, ...], features: Floats) -> npt.NDArray[np.float64]:
    """float64[N]: probabilities of being right, from 1 + D weights and features float[N, D]."""
    constant, *slopes = weights
    logits = constant + features.astype(np.float64) @ np.asarray(slopes, np.float64)
    return 1 / (1 + np.exp(-np.clip(logits, -40, 40)))


_POOL_RIDGE = 0.01


def fit_pool(logs: Floats, truth: npt.NDArray[np.integer]) -> tuple[float, ...]:
    """Fits the weights of a logarithmic opinion pool by maximum likelihood.

    Args:
        logs: float[N, K, D]; log-probability of each of K values by each of D networks.
        truth: int[N]; the correct value, 0 to K - 1.
    """
    x = logs.astype(np.float64)
    rows = np.arange(len(x))

    def derivatives(weights: Weights) -> tuple[Weights, Weights]:
        probabilities = pooled(weights, x)
        mean = np.einsum("nk,nkd->nd", probabilities, x)
        curvature = np.einsum("nk,nkd,nke->de", probabilities, x, x) - mean.T @ mean
        return (x[rows, truth] - mean).sum(axis=0), curvature

    return most_likely(derivatives, x.shape[2], _POOL_RIDGE)


def pooled(weights: Floats | tuple[float, ...], logs: Floats) -> npt.NDArray[np.float64]:
    """float64[N, K]: pooled probabilities, from D weights and logs float[N, K, D]."""
    logits = logs.astype(np.float64) @ np.asarray(weights, np.float64)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    return powers / powers.sum(axis=1, keepdims=True)


FOLDS = 5
CLASSES = 10
Labels = npt.NDArray[np.integer[Any]]
_EM_STEPS = 200

Probabilities = npt.NDArray[np.float64]
Scaling = Callable[[Floats], Probabilities]
Fit = Callable[[Labels, Floats], Scaling]


def fit_temperature(labels: Labels, probabilities: Floats) -> Scaling:
    """Temperature scaling: divides all logits by one number; no answer changes.

    Args:
        labels: int[N], 0 to 9, N >= 1.
        probabilities: float[N, 10], rows sum to 1.
    """
    return _fit_features(labels, probabilities, _log_probabilities)


def fit_ensemble_temperature(labels: Labels, probabilities: Floats) -> Scaling:
    """Mixes the probabilities at a temperature, the original ones and the uniform ones.

    No answer changes. The mixture weights maximise the likelihood, by expectation maximisation.
    Arguments as for ``fit_temperature``.
    """
    cooled = fit_temperature(labels, probabilities)

    def components(p: Floats) -> Probabilities:
        return np.stack([cooled(p), p, np.full(p.shape, 1 / CLASSES)], axis=-1, dtype=np.float64)

    likelihoods = components(probabilities)[np.arange(len(labels)), labels]
    weights = np.full(3, 1 / 3)
    for _ in range(_EM_STEPS):
        responsibilities = likelihoods * weights
        weights = (responsibilities / responsibilities.sum(axis=1, keepdims=True)).mean(axis=0)
    return lambda p: components(p) @ weights


SCALINGS: Mapping[str, Fit] = {
    "temperature": fit_temperature,
    "ensemble temperature": fit_ensemble_temperature,
    # a temperature and a bias per digit; below, a factor and a bias per digit
    "temperature and bias": lambda labels, probabilities: _fit_features(
        labels, probabilities, lambda p: _with_bias(_log_probabilities(p))
    ),
    "vector": lambda labels, probabilities: _fit_features(
        labels, probabilities, lambda p: _with_bias(_log_probabilities(p) * np.eye(CLASSES))
    ),
}


@dataclass(frozen=True, slots=True)
class ScalingScore:
    """Cross-validated result of one way of scaling."""

    nll: float  # mean negative log-likelihood in nats
    gain: float  # reduction relative to no scaling
    error: float  # standard error of the gain


def compare_scalings(
    labels: Labels, probabilities: Floats, *, folds: int = FOLDS, seed: int = 0
) -> dict[str, ScalingScore]:
    """Compares all ways of scaling by cross-validation.

    Args:
        labels: int[N], 0 to 9, N >= ``folds``.
        probabilities: float[N, 10], rows sum to 1.
        folds: 2 or more; ValueError if there are fewer tiles.
        seed: Seed of the folds.
    """
    if not 2 <= folds <= len(labels):
        raise ValueError(f"expected 2 to {len(labels)} folds, found {folds}")
    fold_of = np.random.default_rng(seed).permutation(len(labels)) % folds
    losses = _log_losses(labels, probabilities)
    unscaled = float(losses.mean())
    scores: dict[str, ScalingScore] = {}
    for name, fit in SCALINGS.items():
        gains = losses - _log_losses(labels, _cross_fit(fit, labels, probabilities, fold_of))
        error = float(gains.std(ddof=1) / np.sqrt(len(gains)))
        scores[name] = ScalingScore(unscaled - float(gains.mean()), float(gains.mean()), error)
    return scores


def _cross_fit(
    fit: Fit, labels: Labels, probabilities: Floats, fold_of: npt.NDArray[np.integer]
) -> Probabilities:
    scaled = np.empty(probabilities.shape, np.float64)
    for fold in range(int(fold_of.max()) + 1):
        held_out = fold_of == fold
        scaled[held_out] = fit(labels[~held_out], probabilities[~held_out])(probabilities[held_out])
    return scaled


def _fit_features(
    labels: Labels, probabilities: Floats, features: Callable[[Floats], Probabilities]
) -> Scaling:
    weights = fit_pool(features(probabilities), labels)
    return lambda p: pooled(weights, features(p))


def _log_probabilities(probabilities: Floats) -> Probabilities:
    """float64[N, 10, 1]: logarithms, which are logits up to a constant per row."""
    return np.log(np.maximum(probabilities, np.finfo(np.float32).tiny), dtype=np.float64)[..., None]


def _with_bias(features: Probabilities) -> Probabilities:
    """Adds an indicator of each digit except the first, whose bias is 0."""
    biases = np.broadcast_to(np.eye(CLASSES)[:, 1:], (len(features), CLASSES, CLASSES - 1))
    return np.concatenate([features, biases], axis=2)


def _log_losses(labels: Labels, probabilities: Floats) -> Probabilities:
    true_probabilities = probabilities[np.arange(len(labels)), labels]
    smallest = np.finfo(np.float32).eps  # as in ``metrics.log_loss`` for float32
    return -np.log(np.clip(true_probabilities, smallest, 1), dtype=np.float64)
