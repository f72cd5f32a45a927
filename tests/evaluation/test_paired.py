from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest

from digitlens.evaluation.metrics import Z95
from digitlens.evaluation.paired import difference_interval, holm, mcnemar, tango_score

COUNTS = st.integers(0, 300)


@given(COUNTS, COUNTS)
def test_mcnemar_is_the_binomial_test(first, second):
    expected = binomtest(first, first + second).pvalue if first + second else 1.0
    assert mcnemar(first, second) == pytest.approx(expected, rel=1e-9)
    assert mcnemar(first, second) == mcnemar(second, first)


@given(st.integers(0, 100), st.integers(1, 100))
def test_mcnemar_falls_as_the_counts_come_apart(few, more):
    assert mcnemar(few, few + more) <= mcnemar(few, few + more - 1)


def test_mcnemar_of_whole_data_sets_is_exact():
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(5, 5) == 1.0
    assert mcnemar(0, 6) == 2 / 64
    assert mcnemar(4900, 5100) == pytest.approx(binomtest(4900, 10000).pvalue, rel=1e-9)
    assert mcnemar(0, 60000) == 0.0  # smaller than any float


def test_holm_is_as_in_its_paper_and_in_order():
    # Sorted 0.01, 0.02, 0.03, 0.2: times 4, 3, 2, 1, never falling.
    assert holm([0.2, 0.01, 0.03, 0.02]) == pytest.approx([0.2, 0.04, 0.06, 0.06])
    assert holm([0.03]) == [0.03]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_lies_between_the_plain_and_the_bonferroni_values(values):
    adjusted = holm(values)
    for plain, more in zip(values, adjusted, strict=True):
        assert plain <= more <= min(1.0, len(values) * plain) + 1e-12
    ordered = [adjusted[i] for i in np.argsort(values, kind="stable")]
    assert all(low <= high for low, high in pairwise(ordered))


def test_tangos_interval_is_as_published():
    # Approval of a prime minister by 1,600 people asked twice (Agresti, Categorical Data Analysis).
    assert difference_interval(150, 86, 1600) == pytest.approx((0.0214, 0.0590), abs=5e-5)
    # Without a tile on which they differ: z squared by n and z squared.
    end = Z95**2 / (50 + Z95**2)
    assert difference_interval(0, 0, 50) == pytest.approx((-end, end))


@given(COUNTS, COUNTS, st.integers(1, 2000))
def test_the_interval_holds_what_the_score_test_does_not_reject(first, second, same):
    n = first + second + same
    low, high = difference_interval(first, second, n)
    found = (first - second) / n
    assert -1 <= low <= found <= high <= 1
    for end in (low, high):
        assert abs(tango_score(first, second, n, end)) == pytest.approx(Z95, rel=1e-6)
    assert difference_interval(second, first, n) == pytest.approx((-high, -low), abs=1e-9)
    if first != second:  # where it leaves 0 out is where McNemar's test without correction rejects
        rejected = abs(first - second) / (first + second) ** 0.5 > Z95
        assert rejected == (not low <= 0 <= high)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 200), st.floats(-0.5, 0.5))
def test_the_score_is_that_of_the_most_likely_probabilities(first, second, same, difference):
    n = first + second + same

    def unlikely(share):
        return -(
            first * np.log(share + difference)
            + second * np.log(share)
            + same * np.log(1 - 2 * share - difference)
        )

    ends = max(0.0, -difference) + 1e-9, (1 - difference) / 2 - 1e-9
    share = minimize_scalar(unlikely, bounds=ends, method="bounded", options={"xatol": 1e-10}).x
    variance = n * (2 * share + difference - difference**2)
    expected = (first - second - n * difference) / variance**0.5
    assert tango_score(first, second, n, difference) == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_the_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(300, [0.04, 0.02, 0.94], size=1500)
    ends = {tuple(row): difference_interval(int(row[0]), int(row[1]), 300) for row in drawn}
    inside = [ends[tuple(row)][0] <= 0.02 <= ends[tuple(row)][1] for row in drawn]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize("counts", [(-1, 3, 9), (3, -1, 9), (3, 3, 5), (0, 0, 0)])
def test_impossible_counts_are_refused(counts):
    with pytest.raises(ValueError, match="expected"):
        difference_interval(*counts)


def test_impossible_counts_of_a_test_are_refused():
    with pytest.raises(ValueError, match="at least 0"):
        mcnemar(-1, 3)
