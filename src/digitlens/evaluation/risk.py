"""Risk-coverage curves, and thresholds that keep a target error rate.

Works on confidences, their correctness and the number of digits to find.

Source of the curve: R. El-Yaniv, Y. Wiener, "On the foundations of noise-free selective
classification", JMLR 11 (2010); of the threshold by an upper bound: Y. Geifman, R. El-Yaniv,
"Selective classification for deep neural networks", NeurIPS 2017.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import ceil, log, log1p
from typing import Any

import numpy as np
import numpy.typing as npt

from digitlens.evaluation.calibration import Flags, Floats, check_answers, parse_column

POINTS = 50
LEVEL = 0.05  # probability that a true rate exceeds its bound
_MAX_DIGITS = 10_000_000  # most digits of a loaded curve


@dataclass(frozen=True, slots=True)
class RiskCoverage:
    """Counts of digits stated and wrong at each confidence threshold, strictest first.

    Raises:
        ValueError: The columns are invalid.
    """

    # strictly decreasing, each 0 to 1; digits of at least this confidence are stated
    threshold: tuple[float, ...]
    stated: tuple[int, ...]  # digits stated at each threshold, strictly increasing
    wrong: tuple[int, ...]  # those misread or where there is no digit, never decreasing
    total: int  # digits to find, stated or not

    def __post_init__(self) -> None:
        """Validates the columns."""
        lengths = (len(self.threshold), len(self.stated), len(self.wrong))
        if len(set(lengths)) > 1 or not lengths[0]:
            raise ValueError(
                f"expected one or more thresholds with counts for each, found columns of {lengths}"
            )
        for value in self.threshold:
            if not 0 <= value <= 1:
                raise ValueError(f"expected thresholds from 0 to 1, found {value}")
        for high, low in pairwise(self.threshold):
            if low >= high:
                raise ValueError(
                    f"expected each threshold below the one before, found {high}, {low}"
                )
        _check_counts(self.stated, self.wrong, self.total)

    @property
    def coverage(self) -> npt.NDArray[np.float64]:
        """float64[K]; fraction of all digits to find that are stated and right, 0 to 1.

        Wrong digits do not count: one may be a speck, and specks must not compensate for missed
        digits.
        """
        return (np.array(self.stated) - self.wrong) / self.total

    @property
    def risk(self) -> npt.NDArray[np.float64]:
        """float64[K]; fraction of the stated digits that are wrong, 0 to 1."""
        return np.array(self.wrong) / np.array(self.stated)

    @property
    def upper(self) -> npt.NDArray[np.float64]:
        """float64[K]; exact one-sided 95 % upper bound of the risk at each threshold."""
        rows = zip(self.wrong, self.stated, strict=True)
        return np.array([binomial_bound(wrong, stated) for wrong, stated in rows])

    def threshold_for(self, target: float) -> float:
        """The lowest threshold that keeps the error rate of stated digits within a target.

        The measured rate does not carry over to other digits: no error in 100 digits does not
        guarantee a rate of 0.1 %. So the upper bound of the risk has to meet the target.
        Thresholds are tested in a fixed order, from the first with enough digits to pass without
        an error, until one fails: choosing the last one that passes would invalidate the test
        (A. N. Angelopoulos et al., "Learn then Test", 2021). The guarantee holds for pages like
        the measured ones, and for independent errors.

        Args:
            target: Error rate among the stated digits, above 0 and below 1.

        Returns:
            A threshold of the curve.

        Raises:
            ValueError: The target is not between 0 and 1, or no threshold keeps it; the message
                states the lowest error rate that the curve can guarantee.
        """
        check_target(target)
        upper = self.upper
        threshold = self._last_passing(upper, target)
        if threshold is None:
            attainable = (t for t in np.unique(upper) if self._last_passing(upper, t))
            lowest = float(next(attainable, 1.0))
            raise ValueError(
                f"no threshold keeps a target error of {100 * target:.4g}%: the least that the "
                f"curve can promise, with {self.stated[-1]:,} digits, is {_percent_up(lowest)}"
            )
        return threshold

    def _last_passing(self, upper: npt.NDArray[np.float64], target: float) -> float | None:
        """The last threshold before the first that fails; None if the first one fails.

        Thresholds with too few digits to pass even without an error are not tested.
        """
        errorless = 1 - np.exp(np.log(LEVEL) / np.array(self.stated))  # bounds without an error
        tested = np.flatnonzero(errorless <= target)
        failed = np.flatnonzero(upper[tested] > target)
        passed = tested[: failed[0]] if len(failed) else tested
        return self.threshold[passed[-1]] if len(passed) else None

    def as_dict(self) -> dict[str, Any]:
        """The curve as JSON-ready values, with unrounded thresholds."""
        return {
            "total": self.total,
            "threshold": list(self.threshold),
            "stated": list(self.stated),
            "wrong": list(self.wrong),
        }

    @classmethod
    def from_dict(cls, values: Any) -> RiskCoverage:
        """Inverse of ``as_dict``; raises ValueError for any other value."""
        names = {"total", "threshold", "stated", "wrong"}
        if not isinstance(values, dict) or set(values) != names:
            raise ValueError(f"expected a curve with {', '.join(sorted(names))}, found {values}")
        threshold = parse_column("threshold", values["threshold"], float)
        stated, wrong = (parse_column(name, values[name], int) for name in ("stated", "wrong"))
        if max(stated, default=0) > _MAX_DIGITS:  # bounds need as many logarithms
            raise ValueError(f"expected at most {_MAX_DIGITS:,} digits, found {max(stated):,}")
        return cls(threshold, stated, wrong, *parse_column("total", [values["total"]], int))


def binomial_bound(wrong: int, stated: int) -> float:
    """One-sided upper bound of an error rate, from ``wrong`` errors in ``stated`` answers.

    C. J. Clopper, E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case
    of the binomial", 1934. ``stated`` is at least 1.
    """
    if wrong >= stated:
        return 1.0
    if not wrong:
        return 1 - float(np.exp(np.log(LEVEL) / stated))
    log_factorials = np.r_[0.0, np.cumsum(np.log(np.arange(1, stated + 1)))]  # of factorials
    k = np.arange(wrong + 1)
    log_binomials = log_factorials[stated] - log_factorials[k] - log_factorials[stated - k]
    low, high = wrong / stated, 1.0
    for _ in range(60):
        rate = (low + high) / 2
        tail = np.exp(log_binomials + k * np.log(rate) + (stated - k) * np.log1p(-rate)).sum()
        low, high = (rate, high) if tail > LEVEL else (low, rate)
    return high


def digits_needed(target: float) -> int:
    """Number of digits without an error needed to guarantee an error rate.

    598 for 0.5 %, 2,995 for 0.1 %.
    """
    return ceil(log(LEVEL) / log1p(-check_target(target)))


def risk_coverage(
    confidence: Floats, right: Flags, total: int, points: int = POINTS
) -> RiskCoverage:
    """Computes the curve of answers of known correctness, at about 50 thresholds.

    Thresholds are chosen by the number of digits they state, regardless of correctness: choosing
    those just before an error would make every risk look smaller than it is.

    Args:
        confidence: float[N], N >= 1, of the digits found, each 0 to 1.
        right: bool[N], whether there is a digit and its value is right.
        total: Digits to find, including those not found.
        points: Approximate number of thresholds to keep; all if there are fewer.

    Raises:
        ValueError: An argument is invalid.
    """
    check_answers(confidence, right)
    if points < 2:
        raise ValueError(f"expected 2 points or more, found {points}")
    order = np.argsort(-confidence, kind="stable")
    ordered = confidence[order]
    wrong_so_far = np.cumsum(~right[order])
    # A threshold includes all digits of the same confidence.
    stated = np.unique(np.searchsorted(-ordered, -ordered[_ranks(len(right), points)], "right"))
    return RiskCoverage(
        tuple(ordered[stated - 1].astype(np.float64).tolist()),
        tuple(stated.tolist()),
        tuple(wrong_so_far[stated - 1].tolist()),
        int(total),
    )


def parse_target(text: str) -> float:
    """Parses a fraction such as ``0.1%``, ``0.1 %`` or ``0.001``; else raises ValueError."""
    from decimal import Decimal  # noqa: PLC0415  (slow to load)

    number = text.strip()
    percent = number.endswith("%")
    try:
        share = float(Decimal(number.removesuffix("%").strip()) / (100 if percent else 1))
    except (ArithmeticError, ValueError):
        raise ValueError(f"expected a share such as 0.1% or 0.001, found {text!r}") from None
    if share >= 1 and not percent:
        raise ValueError(
            f"expected a share above 0 and below 1, found {text!r}; for percent write {number}%"
        )
    return check_target(share)


def check_target(target: float) -> float:
    """Returns the target; raises ValueError unless it is above 0 and below 1."""
    if not 0 < target < 1:
        raise ValueError(f"expected a share above 0 and below 1 (100 %), found {target:g}")
    return target


def _ranks(n: int, points: int) -> npt.NDArray[np.int64]:
    """Ranks by decreasing confidence: half evenly spaced, half denser towards the end.

    Errors concentrate among the least confident, so the risk changes fastest there.
    """
    half = points // 2
    evenly = np.linspace(n / (points - half), n, points - half)
    denser = n + 1 - np.geomspace(1, max(n / 2, 1), half)
    return np.unique(np.ceil(np.r_[evenly, denser]).astype(np.int64)) - 1


def _percent_up(share: float) -> str:
    """A fraction as percent, rounded up so that the printed value is a valid target."""
    from decimal import ROUND_CEILING, Context  # noqa: PLC0415  (slow to load)

    context = Context(prec=4, rounding=ROUND_CEILING)
    return f"{context.create_decimal(100 * float(share)).normalize():f}%"


def _check_counts(stated: tuple[int, ...], wrong: tuple[int, ...], total: int) -> None:
    if stated[0] < 1 or any(more <= few for few, more in pairwise(stated)):
        raise ValueError(f"expected each count stated above the one before, found {stated}")
    if wrong[0] < 0 or any(more < few for few, more in pairwise(wrong)):
        raise ValueError(f"expected counts wrong that never fall, found {wrong}")
    right = tuple(all_ - bad for all_, bad in zip(stated, wrong, strict=True))
    if right[0] < 0 or any(more < few for few, more in pairwise(right)):
        raise ValueError(f"expected no more wrong than stated, found {wrong} of {stated}")
    if total < max(1, right[-1]):
        raise ValueError(
            f"expected a total of one or more, not below the {right[-1]} digits read right, "
            f"found {total}"
        )
