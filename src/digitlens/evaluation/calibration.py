"""From raw confidence to the probability of being right, as a small monotone table.

The table is fitted by isotonic regression on answers that are known to be right or wrong; this
module knows confidences and whether they were right, not digits, pages or models.

Sources: R. E. Barlow, D. J. Bartholomew, J. M. Bremner, H. D. Brunk, "Statistical inference under
order restrictions", 1972, and T. Robertson, F. T. Wright, R. L. Dykstra, "Order restricted
statistical inference", 1988, for pool adjacent violators; B. Zadrozny, C. Elkan, "Transforming
classifier scores into accurate multiclass probability estimates", KDD 2002, for its use here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from digitlens.evaluation.metrics import Bin, Floats

KNOTS = 20
LEAST_KNOTS = 3  # both ends of the axis, and one block of answers between them

# A confidence is cut to the middle between 1 and its neighbour in float32, so that its logit is
# finite and no two float32 confidences above 3e-8 fall together.
_EDGE = 2.0**-25
_SURE = 1e-6  # no table says more than 1 - this, whatever the number of answers
# Logits of probability by logit of confidence beyond the outermost blocks: keeps the order of
# confidences there; from a block at 99.9 % to the end of the axis it adds less than 0.02 %.
_SLOPE = 0.01
_NEAR = 0.01  # logits; a block closer to an end of the axis needs no knot at the end
# Neighbouring blocks stay apart only where the answers tell them apart: half of the 95 % quantile
# of chi-squared with one degree of freedom, in nats of likelihood. On drawn answers whose
# probabilities are known, 3,000 of them, this brings the mean gap from 0.75 % to 0.56 %.
_SAME = 1.92

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Calibration:
    """A strictly rising table from raw confidence to the probability of being right.

    Attributes:
        confidence: Raw confidences, strictly rising, each above 0 and below 1; two or more.
        probability: The probability at each of them, strictly rising, above 0 and below 1.

    Raises:
        ValueError: The table is something else; the message says what.
    """

    confidence: tuple[float, ...]
    probability: tuple[float, ...]

    def __post_init__(self) -> None:
        """Checks the table."""
        if len(self.confidence) != len(self.probability) or len(self.confidence) < 2:
            raise ValueError(
                "expected a calibration of two or more confidences with a probability each, "
                f"found {len(self.confidence)} and {len(self.probability)}"
            )
        _check_column("confidence", self.confidence)
        _check_column("probability", self.probability)

    def apply(self, confidence: Floats) -> npt.NDArray[np.float32]:
        """Probabilities of being right, by straight lines between the logits of the table.

        The order of confidences is never reversed; different ones become equal only where float32
        has no number between them, or below 3e-8.

        Args:
            confidence: float[N], each 0 to 1.

        Returns:
            float32[N], above 0 and below 1.

        Raises:
            ValueError: Not one axis, or a confidence that is not within 0 to 1.
        """
        check_confidence(confidence)
        logits = np.interp(_logit(confidence), _logit(self.confidence), _logit(self.probability))
        return (1 / (1 + np.exp(-logits))).astype(np.float32)

    def as_dict(self) -> dict[str, list[float]]:
        """The table as JSON-ready values, not rounded, so that it comes back as it was."""
        return {"confidence": list(self.confidence), "probability": list(self.probability)}

    @classmethod
    def from_dict(cls, values: Any) -> Calibration:
        """The table that :meth:`as_dict` gave.

        Raises:
            ValueError: Something else; the message says what was found.
        """
        columns = ("confidence", "probability")
        if not isinstance(values, dict) or set(values) != set(columns):
            raise ValueError(f"expected a calibration with {' and '.join(columns)}, found {values}")
        return cls(*(_column(name, values[name]) for name in columns))


class _Block(NamedTuple):
    """Neighbouring answers that share a probability: how many, how many right, sum of logits."""

    n: int
    right: int
    logits: float

    @property
    def share(self) -> float:
        return self.right / self.n

    @property
    def shrunk(self) -> float:
        # Laplace's rule of succession: n right of n is no proof of never being wrong.
        return min(max((self.right + 1) / (self.n + 2), _SURE), 1 - _SURE)

    def join(self, other: _Block) -> _Block:
        return _Block(self.n + other.n, self.right + other.right, self.logits + other.logits)


def fit_calibration(confidence: Floats, right: Flags, knots: int = KNOTS) -> Calibration:
    """Fits the table to answers that are known to be right or wrong.

    Isotonic regression pools the answers, in order of confidence, into blocks of rising shares;
    neighbours that the answers do not tell apart are joined, since a run without a mistake is
    often luck; each share is shrunk by Laplace's rule, so that n right of n says
    (n + 1) / (n + 2). A block sets one knot at its mean logit, and the ends of the axis follow
    with a slight slope.

    Args:
        confidence: float[N], N >= 1, raw confidences, each 0 to 1; taken as float32.
        right: bool[N], whether the answer was right.
        knots: At most this many points in the table; 3 or more.

    Raises:
        ValueError: An argument is something else; the message says what was found.
    """
    check_answers(confidence, right)
    if knots < LEAST_KNOTS:
        raise ValueError(f"expected {LEAST_KNOTS} knots or more, found {knots}")
    blocks = _pool(_tied(_logit(confidence.astype(np.float32)), right), by_shrunk=False)
    blocks = _pool(_joined(blocks, knots - 2), by_shrunk=True)
    return _table(blocks)


def reliability_bins(
    confidence: Floats, right: Flags, edges: npt.NDArray[np.float64]
) -> tuple[Bin, ...]:
    """Count, mean confidence and share that is right of the answers between two edges.

    Args:
        confidence: float[N], N >= 1, each 0 to 1.
        right: bool[N].
        edges: float64[B + 1], rising; a bin holds what is above its low and at most its high edge,
            the outermost bins also everything beyond them.
    """
    from digitlens.evaluation.metrics import Bin  # noqa: PLC0415  (slow to load)

    check_answers(confidence, right)
    place = np.searchsorted(edges[1:-1], confidence, side="left")
    found: list[Bin] = []
    for i, (low, high) in enumerate(pairwise(edges.tolist())):
        here = place == i
        count = int(here.sum())
        mean = float(confidence[here].mean(dtype=np.float64)) if count else 0.0
        share = float(right[here].mean()) if count else 0.0
        found.append(Bin(low, high, count, mean, share))
    return tuple(found)


def expected_calibration_error(confidence: Floats, right: Flags, bins: int = 15) -> float:
    """How far the confidence is from the share that is right, 0 to 1, over bins of equal width.

    The same measure as in ``metrics.calibration``, for answers that are right or wrong instead of
    probabilities of ten digits.

    Args:
        confidence: float[N], N >= 1, each 0 to 1.
        right: bool[N].
        bins: Number of bins.
    """
    rows = reliability_bins(confidence, right, np.linspace(0, 1, bins + 1))
    return sum(row.count * abs(row.confidence - row.accuracy) for row in rows) / len(right)


def check_confidence(confidence: Floats) -> None:
    """Makes sure of float[N], each 0 to 1.

    Raises:
        ValueError: Something else; the message says what was found.
    """
    if confidence.ndim != 1 or not np.issubdtype(confidence.dtype, np.floating):
        raise ValueError(
            "expected confidences as floating point of shape [N], "
            f"found {confidence.dtype} of shape {list(confidence.shape)}"
        )
    bad = confidence[~((confidence >= 0) & (confidence <= 1))]  # also what is not a number
    if len(bad):
        raise ValueError(f"expected confidences from 0 to 1, found {bad[0]}")


def check_answers(confidence: Floats, right: Flags) -> None:
    """Makes sure of float[N], each 0 to 1, and bool[N], with N >= 1.

    Raises:
        ValueError: Something else; the message says what was found.
    """
    check_confidence(confidence)
    if right.dtype != np.bool_ or right.shape != confidence.shape:
        raise ValueError(
            f"expected right as bool of shape {list(confidence.shape)}, one for each confidence, "
            f"found {right.dtype} of shape {list(right.shape)}"
        )
    if not len(right):
        raise ValueError("expected one answer or more, found none")


def _logit(share: Floats | Sequence[float]) -> npt.NDArray[np.float64]:
    inside = np.clip(np.asarray(share, np.float64), _EDGE, 1 - _EDGE)
    return np.log(inside) - np.log1p(-inside)


def _tied(logits: npt.NDArray[np.float64], right: Flags) -> list[_Block]:
    """Answers of the same confidence as one block, in rising order."""
    values, place, count = np.unique(logits, return_inverse=True, return_counts=True)
    hits = np.bincount(place, weights=right).astype(np.int64)
    rows = zip(count.tolist(), hits.tolist(), (values * count).tolist(), strict=True)
    return [_Block(*row) for row in rows]


def _pool(blocks: Sequence[_Block], *, by_shrunk: bool) -> list[_Block]:
    """Pool adjacent violators: joins neighbours until the shares rise strictly."""
    pooled: list[_Block] = []
    for block in blocks:
        last = block
        while pooled and _value(pooled[-1], by_shrunk) >= _value(last, by_shrunk):
            last = pooled.pop().join(last)
        pooled.append(last)
    return pooled


def _value(block: _Block, by_shrunk: bool) -> float:
    return block.shrunk if by_shrunk else block.share


def _joined(blocks: Sequence[_Block], most: int) -> list[_Block]:
    """Joins the neighbours most alike, until all left differ and are at most this many."""
    left = list(blocks)
    costs = [_cost(*pair) for pair in pairwise(left)]
    while costs and (len(left) > most or min(costs) < _SAME):
        at = costs.index(min(costs))
        left[at : at + 2] = [left[at].join(left[at + 1])]
        del costs[at]
        for near in (at - 1, at):
            if 0 <= near < len(costs):
                costs[near] = _cost(left[near], left[near + 1])
    return left


def _cost(low: _Block, high: _Block) -> float:
    """Log-likelihood, in nats, that is lost when two blocks share a probability."""
    return _likelihood(low) + _likelihood(high) - _likelihood(low.join(high))


def _likelihood(block: _Block) -> float:
    return sum(n * log(n / block.n) for n in (block.right, block.n - block.right) if n)


def _table(blocks: Sequence[_Block]) -> Calibration:
    x = np.array([block.logits / block.n for block in blocks])
    y = _logit([block.shrunk for block in blocks])
    start, end = _logit([0.0, 1.0])
    if start < x[0] - _NEAR:
        x, y = np.r_[start, x], np.r_[y[0] - _SLOPE * (x[0] - start), y]
    if end > x[-1] + _NEAR:
        x, y = np.r_[x, end], np.r_[y, y[-1] + _SLOPE * (end - x[-1])]
    return Calibration(*(tuple((1 / (1 + np.exp(-axis))).tolist()) for axis in (x, y)))


def _check_column(name: str, column: tuple[float, ...]) -> None:
    for value in column:
        if not 0 < value < 1:
            raise ValueError(f"expected each {name} above 0 and below 1, found {value}")
    for low, high in pairwise(column):
        if low >= high:
            raise ValueError(f"expected each {name} above the one before, found {low}, {high}")


def _column(name: str, values: Any) -> tuple[float, ...]:
    if not isinstance(values, list | tuple):
        raise ValueError(f"expected {name} as a list of numbers, found {values!r}")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"expected {name} as a list of numbers, found {value!r} in it")
    return tuple(float(value) for value in values)
