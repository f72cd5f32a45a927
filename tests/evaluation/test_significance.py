import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest

from digitlens.datasets.mnist import Split
from digitlens.evaluation.metrics import Z95
from digitlens.evaluation.report import evaluate
from digitlens.evaluation.significance import (
    Facts,
    compare,
    difference_interval,
    holm,
    mcnemar,
    tango_score,
)

COUNTS = st.integers(0, 300)


@given(COUNTS, COUNTS)
def test_mcnemar_is_the_binomial_test(first, second):
    expected = binomtest(first, first + second).pvalue if first + second else 1.0
    assert mcnemar(first, second) == pytest.approx(expected, rel=1e-9)
    assert mcnemar(first, second) == mcnemar(second, first)


def test_mcnemar_is_exact_for_large_counts():
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(5, 5) == 1.0
    assert mcnemar(0, 6) == 2 / 64
    assert mcnemar(4900, 5100) == pytest.approx(binomtest(4900, 10000).pvalue, rel=1e-9)
    assert mcnemar(0, 60000) == 0.0  # smaller than any float


def test_holm_matches_the_paper_and_keeps_the_order():
    # Sorted 0.01, 0.02, 0.03, 0.2: times 4, 3, 2, 1, never falling.
    assert holm([0.2, 0.01, 0.03, 0.02]) == pytest.approx([0.2, 0.04, 0.06, 0.06])
    assert holm([0.03]) == [0.03]
    assert holm([]) == []


def test_tango_interval_matches_published_values():
    # Approval of a prime minister by 1,600 people asked twice (Agresti, Categorical Data Analysis).
    assert difference_interval(150, 86, 1600) == pytest.approx((0.0214, 0.0590), abs=5e-5)
    # If the models differ on no tile, the ends are ±z² / (n + z²).
    end = Z95**2 / (50 + Z95**2)
    assert difference_interval(0, 0, 50) == pytest.approx((-end, end))


@given(COUNTS, COUNTS, st.integers(1, 2000))
def test_interval_contains_what_the_score_test_does_not_reject(first, second, same):
    n = first + second + same
    low, high = difference_interval(first, second, n)
    found = (first - second) / n
    assert -1 <= low <= found <= high <= 1
    for end in (low, high):
        assert abs(tango_score(first, second, n, end)) == pytest.approx(Z95, rel=1e-6)
    assert difference_interval(second, first, n) == pytest.approx((-high, -low), abs=1e-9)
    if first != second:  # it excludes 0 where McNemar's test without correction rejects
        rejected = abs(first - second) / (first + second) ** 0.5 > Z95
        assert rejected == (not low <= 0 <= high)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 200), st.floats(-0.5, 0.5))
def test_score_uses_the_maximum_likelihood_probabilities(first, second, same, difference):
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


LABELS = np.arange(100, dtype=np.uint8) % 10
TILES = Split(np.repeat(LABELS, 784).reshape(100, 28, 28), LABELS)


def report(wrong, confidence=0.9, split=TILES):
    """Report of a model that reads the next digit on the tiles with an index in ``wrong``."""
    read = split.labels.astype(int)
    read[list(wrong)] = (read[list(wrong)] + 1) % 10
    answers = np.full((len(read), 10), (1 - confidence) / 9, np.float32)
    answers[np.arange(len(read)), read] = confidence
    return evaluate(lambda _: answers, split)


@pytest.fixture
def three():
    reports = {"good": report([1, 2]), "fair": report([2, 3, 4], 0.8), "poor": report(range(30))}
    facts = {
        "good": Facts(1000, 4000, 12.5, {"epochs": 9, "widths": [4, 8]}),
        "fair": Facts(1000, 4000, 2.5, {"epochs": 3, "widths": [4, 8]}),
        "poor": Facts(size=99),
    }
    return compare("tiles", reports, facts)


def test_each_pair_is_counted_and_tested(three):
    assert [(pair.first, pair.second) for pair in three.pairs] == [
        ("good", "fair"),
        ("good", "poor"),
        ("fair", "poor"),
    ]
    first, second, third = three.pairs
    assert (first.only_first, first.only_second, first.both_wrong) == (2, 1, 1)
    assert (second.only_first, second.only_second, second.both_wrong) == (28, 0, 2)
    assert first.difference == pytest.approx(0.01)
    assert first.interval == difference_interval(2, 1, 100)
    assert second.p == mcnemar(28, 0)
    assert [pair.p_holm for pair in three.pairs] == holm([first.p, second.p, third.p])


@pytest.mark.parametrize(
    ("wrong", "indices"),
    [
        ([([5], 0.6), ([7], 0.99)], [5, 7]),
        ([([5], 0.6), ([7], 0.99), ([5, 9], 0.9)], [5, 7, 9]),
        ([([5], 0.9), ([5], 0.9)], []),
    ],
)
def test_disagreements_between_the_most_confident_come_first(wrong, indices):
    answers = {str(number): report(*one) for number, one in enumerate(wrong)}
    found = compare("tiles", answers, dict.fromkeys(answers, Facts()))
    assert found.disagreements().tolist() == indices
    if not indices:
        (pair,) = found.pairs
        assert (pair.both_wrong, pair.p, pair.p_holm, pair.difference) == (1, 1.0, 1.0, 0.0)


def test_json_has_runs_pairs_disagreements_and_recipe_differences(three):
    different = {"epochs": [9, 3, None], "widths": [[4, 8], [4, 8], None]}
    assert three.recipe_differences() == different
    told = json.loads(json.dumps(three.as_dict()))
    assert (told["data"], told["n"]) == ("tiles", 100)
    assert [run["errors"] for run in told["runs"]] == [2, 3, 30]
    assert told["runs"][0]["parameters"] == 1000
    assert told["runs"][2]["training_seconds"] is None
    assert told["pairs"][1]["p"] == pytest.approx(mcnemar(28, 0), rel=1e-3)
    assert len(told["disagreements"]) == 29  # all but tile 2, which all read as 3
    first = next(row for row in told["disagreements"] if row["index"] == 1)
    assert first == {"index": 1, "truth": 1, "read": {"good": 2, "fair": 1, "poor": 2}}


def test_reports_on_different_tiles_and_single_models_are_refused():
    other = Split(TILES.tiles[:50], TILES.labels[:50])
    for reports in ({"a": report([1])}, {"a": report([1]), "b": report([1], split=other)}):
        with pytest.raises(ValueError, match="at least two reports on the same tiles"):
            compare("tiles", reports, {name: Facts() for name in reports})
