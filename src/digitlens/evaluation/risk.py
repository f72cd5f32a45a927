"""How many digits can be stated at which rate of mistakes, and the threshold that keeps a rate.

Knows confidences, whether they were right and how many there were to find; not what gave them.

Source of the curve: R. El-Yaniv, Y. Wiener, "On the foundations of noise-free selective
classification", JMLR 11 (2010). Of choosing the threshold by an upper bound: Y. Geifman,
R. El-Yaniv, "Selective classification for deep neural networks", NeurIPS 2017.
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
LEVEL = 0.05  # how often a true rate may lie above its bound
_MOST = 10_000_000  # digits of a curve that is loaded


@dataclass(frozen=True, slots=True)
class RiskCoverage:
    """What happens when only the digits from a threshold on are stated, strictest first.

    Raises:
        ValueError: The columns are something else; the message says what.
    """

    # strictly falling, each 0 to 1; a digit is stated when it is at least as sure
    threshold: tuple[float, ...]
    stated: tuple[int, ...]  # digits stated at each threshold, strictly rising
    wrong: tuple[int, ...]  # those of them misread or where no digit is, never falling
    total: int  # digits there were to find, stated or not

    def __post_init__(self) -> None:
        """Checks the columns."""
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
        """float64[K]; share of all digits to find that are stated and right, 0 to 1.

        What is stated and wrong does not count: it may be a speck where there is no digit, and
        specks must not make up for digits that are missed.
        """
        return (np.array(self.stated) - self.wrong) / self.total

    @property
    def risk(self) -> npt.NDArray[np.float64]:
        """float64[K]; share of the stated digits that was wrong, 0 to 1."""
        return np.array(self.wrong) / np.array(self.stated)

    @property
    def upper(self) -> npt.NDArray[np.float64]:
        """float64[K]; exact upper bound of the risk at each threshold, wrong in 5 % of cases."""
        rows = zip(self.wrong, self.stated, strict=True)
        return np.array([binomial_bound(wrong, stated) for wrong, stated in rows])

    def threshold_for(self, target: float) -> float:
        """The least threshold that keeps the share of wrong digits at or below a target.

        What was measured on n digits is not what will be seen on others: no mistake in 100 digits
        promises no rate of 0.1 %. So it is the upper bound of the risk that has to keep the
        target. Thresholds are tested in a fixed order, from that of the fewest digits which could
        pass without a mistake, until one fails: to take the last that passes would be a choice
        after looking (A. N. Angelopoulos et al., "Learn then Test", 2021). The promise is for
        pages like the measured ones, and for mistakes that do not depend on each other.

        Args:
            target: Share of wrong digits among the stated ones, above 0 and below 1.

        Returns:
            A threshold of the curve.

        Raises:
            ValueError: The target is not between 0 and 1, or no threshold keeps it; the message
                says the least error that the curve can promise.
        """
        check_target(target)
        upper = self.upper
        found = self._last_kept(upper, target)
        if found is None:
            promised = (t for t in np.unique(upper) if self._last_kept(upper, t))
            least = float(next(promised, 1.0))
            raise ValueError(
                f"no threshold keeps a target error of {100 * target:.4g}%: the least that the "
                f"curve can promise, with {self.stated[-1]:,} digits, is {_at_most(least)}"
            )
        return found

    def _last_kept(self, upper: npt.NDArray[np.float64], target: float) -> float | None:
        """The last threshold before the first that fails; None where the first one does.

        Those of so few digits that they would fail without a mistake are not tested.
        """
        unmistaken = 1 - np.exp(np.log(LEVEL) / np.array(self.stated))  # bounds without a mistake
        tested = np.flatnonzero(unmistaken <= target)
        failed = np.flatnonzero(upper[tested] > target)
        kept = tested[: failed[0]] if len(failed) else tested
        return self.threshold[kept[-1]] if len(kept) else None

    def as_dict(self) -> dict[str, Any]:
        """The curve as JSON-ready values; thresholds are not rounded."""
        return {
            "total": self.total,
            "threshold": list(self.threshold),
            "stated": list(self.stated),
            "wrong": list(self.wrong),
        }

    @classmethod
    def from_dict(cls, values: Any) -> RiskCoverage:
        """The curve that ``as_dict`` gave; raises ValueError for something else."""
        names = {"total", "threshold", "stated", "wrong"}
        if not isinstance(values, dict) or set(values) != names:
            raise ValueError(f"expected a curve with {', '.join(sorted(names))}, found {values}")
        threshold = parse_column("threshold", values["threshold"], float)
        stated, wrong = (parse_column(name, values[name], int) for name in ("stated", "wrong"))
        if max(stated, default=0) > _MOST:  # bounds take that many logarithms
            raise ValueError(f"expected at most {_MOST:,} digits, found {max(stated):,}")
        return cls(threshold, stated, wrong, *parse_column("total", [values["total"]], int))


def binomial_bound(wrong: int, stated: int) -> float:
    """The largest rate that so few mistakes in so many answers do not rule out, one-sided.

    C. J. Clopper, E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case
    of the binomial", 1934. ``stated`` is at least 1.
    """
    if wrong >= stated:
        return 1.0
    if not wrong:
        return 1 - float(np.exp(np.log(LEVEL) / stated))
    logs = np.r_[0.0, np.cumsum(np.log(np.arange(1, stated + 1)))]  # of factorials
    k = np.arange(wrong + 1)
    ways = logs[stated] - logs[k] - logs[stated - k]
    low, high = wrong / stated, 1.0
    for _ in range(60):
        rate = (low + high) / 2
        few = np.exp(ways + k * np.log(rate) + (stated - k) * np.log1p(-rate)).sum()
        low, high = (rate, high) if few > LEVEL else (low, rate)
    return high


def digits_needed(target: float) -> int:
    """How many digits without a mistake it takes to promise a share of wrong ones.

    598 for 0.5 %, 2,995 for 0.1 %.
    """
    return ceil(log(LEVEL) / log1p(-check_target(target)))


def risk_coverage(
    confidence: Floats, right: Flags, total: int, points: int = POINTS
) -> RiskCoverage:
    """The curve of answers that are known to be right or wrong, at about 50 thresholds.

    The thresholds are chosen by how many digits they state, without a look at what is right:
    taking those just before a mistake would make every risk look smaller than it is.

    Args:
        confidence: float[N], N >= 1, of the digits found, each 0 to 1.
        right: bool[N], whether the value is right and there is a digit.
        total: Digits there were to find; those not found are in no other argument.
        points: About how many thresholds to keep; all of them when there are fewer.

    Raises:
        ValueError: An argument is something else.
    """
    check_answers(confidence, right)
    if points < 2:
        raise ValueError(f"expected 2 points or more, found {points}")
    order = np.argsort(-confidence, kind="stable")
    falling = confidence[order]
    wrong_so_far = np.cumsum(~right[order])
    # A threshold states every digit of the same confidence too.
    stated = np.unique(np.searchsorted(-falling, -falling[_ranks(len(right), points)], "right"))
    return RiskCoverage(
        tuple(falling[stated - 1].astype(np.float64).tolist()),
        tuple(stated.tolist()),
        tuple(wrong_so_far[stated - 1].tolist()),
        int(total),
    )


def parse_target(text: str) -> float:
    """The share that ``0.1%``, ``0.1 %`` or ``0.001`` stands for; else raises ValueError."""
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
    """Gives back a share above 0 and below 1; raises ValueError for another number."""
    if not 0 < target < 1:
        raise ValueError(f"expected a share above 0 and below 1 (100 %), found {target:g}")
    return target


def _ranks(n: int, points: int) -> npt.NDArray[np.int64]:
    """Places in falling order: half spread evenly, half ever closer to the least confident.

    Mistakes gather among the least confident, so that the risk changes fastest there.
    """
    half = points // 2
    evenly = np.linspace(n / (points - half), n, points - half)
    closer = n + 1 - np.geomspace(1, max(n / 2, 1), half)
    return np.unique(np.ceil(np.r_[evenly, closer]).astype(np.int64)) - 1


def _at_most(share: float) -> str:
    """A share as percent, rounded up, so that it can be asked for as it is printed."""
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
            f"expected a total of one or more that holds the {right[-1]} digits read right, "
            f"found {total}"
        )
