"""Statistics of two classifiers on the same tiles: who is better, by how much, how surely.

Two runs make most of their mistakes on the same tiles, so that their accuracies are not independent
and intervals of each say little about the difference; the tiles on which one is right say it all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import sqrt

from digitlens.evaluation.metrics import Z95

STEPS = 60  # of a bisection: beyond the precision of a float


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided p value that both classifiers are equally good.

    If they are, each tile on which only one is right is a coin toss, so the count of the first is
    binomial of share 1/2. Source: Q. McNemar, "Note on the sampling error of the difference between
    correlated proportions or percentages", Psychometrika 12 (1947), 153-157; as the exact binomial
    test.

    Args:
        only_first: Tiles that only the first reads right.
        only_second: Tiles that only the second reads right.

    Returns:
        0 to 1; 1 where there are no such tiles.

    Raises:
        ValueError: A count is negative.
    """
    _check(only_first, only_second)
    n, fewer = only_first + only_second, min(only_first, only_second)
    term = tail = 1
    for k in range(fewer):
        term = term * (n - k) // (k + 1)  # the next binomial coefficient, exactly
        tail += term
    return min(1.0, 2 * tail / 2**n)


def holm(p_values: Sequence[float]) -> list[float]:
    """P values adjusted for being several, in their order.

    Source: S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal
    of Statistics 6 (1979), 65-70.

    Args:
        p_values: Each 0 to 1.

    Returns:
        Each at least as large as before and at most 1; below a level, none of them is wrongly so
        more often than that level.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def difference_interval(
    only_first: int, only_second: int, n: int, z: float = Z95
) -> tuple[float, float]:
    """Confidence interval of the first accuracy less the second, on the same tiles.

    The score interval: all differences that a score test at the same level would not reject. It
    holds its level also where there are few or no tiles on which they differ. Source: T. Tango,
    "Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design", Statistics in Medicine 17 (1998), 891-908.

    Args:
        only_first: Tiles that only the first reads right.
        only_second: Tiles that only the second reads right.
        n: All tiles, at least 1.
        z: Normal quantile; the default gives 95 %.

    Returns:
        Lower and upper end, -1 to 1.

    Raises:
        ValueError: A count is negative, or there are fewer tiles than they differ on.
    """
    _check(only_first, only_second)
    if n < max(1, only_first + only_second):
        raise ValueError(f"expected n >= {max(1, only_first + only_second)}, found {n}")
    middle = (only_first - only_second) / n

    def score(difference: float) -> float:
        return tango_score(only_first, only_second, n, difference)

    low = _crossing(score, middle, -1.0, z)
    high = _crossing(score, middle, 1.0, -z)
    return low, high


def tango_score(only_first: int, only_second: int, n: int, difference: float) -> float:
    """Tango's score statistic of a difference, standard normal if it is the true one.

    Args:
        only_first: Tiles that only the first reads right.
        only_second: Tiles that only the second reads right.
        n: All tiles.
        difference: Above -1 and below 1.

    Returns:
        Above 0 where more was found than ``difference``.
    """
    found = only_first - only_second - n * difference
    if not found:
        return 0.0
    # The probability that only the second is right, most likely if the difference is the true one.
    linear = -only_first - only_second + (2 * n - only_first + only_second) * difference
    constant = -only_second * difference * (1 - difference)
    share = (sqrt(max(0.0, linear**2 - 8 * n * constant)) - linear) / (4 * n)
    variance = n * (2 * share + difference * (1 - difference))
    return found / sqrt(variance) if variance > 0 else (1 if found > 0 else -1) * float("inf")


def _crossing(score: Callable[[float], float], start: float, end: float, level: float) -> float:
    """Where the score, which falls, passes the level between ``start`` and ``end``."""
    inside, outside = start, end
    for _ in range(STEPS):
        middle = (inside + outside) / 2
        if abs(score(middle)) <= abs(level):
            inside = middle
        else:
            outside = middle
    return inside


def _check(only_first: int, only_second: int) -> None:
    if only_first < 0 or only_second < 0:
        raise ValueError(f"expected counts of at least 0, found {only_first} and {only_second}")
