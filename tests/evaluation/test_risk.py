import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitlens.evaluation.risk import (
    RiskCoverage,
    binomial_bound,
    digits_needed,
    parse_target,
    risk_coverage,
)

ANSWERS = st.lists(
    st.tuples(st.floats(0, 1, width=32, allow_nan=False), st.booleans()), min_size=1, max_size=120
)
GOOD = {"total": 10, "threshold": [0.9, 0.5], "stated": [4, 8], "wrong": [0, 1]}


def columns(answers):
    confidence, right = zip(*answers, strict=True)
    return np.array(confidence, np.float32), np.array(right, bool)


def drawn(n=20_000, seed=0):
    """Calibrated confidences, most of them near 1, and whether each is right."""
    rng = np.random.default_rng(seed)
    probability = (1 / (1 + np.exp(-rng.normal(6, 3, n)))).astype(np.float32)
    return probability, rng.random(n) < probability


@given(ANSWERS, st.integers(0, 20), st.integers(2, 60))
def test_every_point_of_the_curve_matches_plain_counting(answers, missed, points):
    confidence, right = columns(answers)
    total = int(right.sum()) + missed or 1
    curve = risk_coverage(confidence, right, total, points)
    assert len(curve.threshold) <= points
    assert curve.threshold[-1] == confidence.min()  # stating everything is always a point
    for i, threshold in enumerate(curve.threshold):
        stated = confidence >= threshold
        wrong = int((stated & ~right).sum())
        assert (curve.stated[i], curve.wrong[i]) == (stated.sum(), wrong)
        assert curve.coverage[i] == pytest.approx((stated & right).sum() / total)
        assert curve.risk[i] == pytest.approx(wrong / stated.sum())
        assert curve.upper[i] == binomial_bound(wrong, int(stated.sum()))
    assert (np.diff(curve.threshold) < 0).all()
    assert (np.diff(curve.coverage) >= 0).all()
    assert RiskCoverage.from_dict(json.loads(json.dumps(curve.as_dict()))) == curve


@given(ANSWERS)
def test_threshold_meets_its_target_and_so_do_all_tested_before_it(answers):
    confidence, right = columns(answers)
    curve = risk_coverage(confidence, right, len(right))
    rate = curve.upper
    for target in (0.001, 0.01, 0.05, 0.2, 0.5, 0.9, 0.999):
        try:
            threshold = curve.threshold_for(target)
        except ValueError as error:
            promised = str(error).rsplit(maxsplit=1)[-1]
            if promised != "100%":
                curve.threshold_for(parse_target(promised))
            continue
        chosen = curve.threshold.index(threshold)
        assert rate[chosen] <= target
        able = [binomial_bound(0, stated) <= target for stated in curve.stated]
        assert all(rate[i] <= target for i in range(chosen) if able[i])
        assert chosen + 1 == len(rate) or rate[chosen + 1] > target


@pytest.mark.parametrize("target", [0, 1, -0.1, 1.5, float("nan")])
def test_targets_outside_0_to_1_are_refused(target):
    with pytest.raises(ValueError, match="above 0 and below 1"):
        RiskCoverage.from_dict(GOOD).threshold_for(target)


@pytest.mark.parametrize(
    ("wrong", "stated", "bound"), [(0, 59, 0.0495), (0, 299, 0.00997), (1, 10, 0.3942), (5, 5, 1)]
)
def test_bound_is_clopper_pearson(wrong, stated, bound):
    assert binomial_bound(wrong, stated) == pytest.approx(bound, abs=1e-4)


def test_bound_holds_on_new_answers_where_the_measured_risk_does_not():
    others, right = drawn(400_000, seed=99)
    bounded, measured = [], []
    for seed in range(20):
        curve = risk_coverage(*drawn(5000, seed), 5000)
        last = curve.threshold[np.flatnonzero(curve.risk <= 0.01)[-1]]
        bounded.append(1 - right[others >= curve.threshold_for(0.01)].mean())
        measured.append(1 - right[others >= last].mean())
    assert max(bounded) <= 0.01
    assert max(measured) > 0.01


def test_fifty_points_approximate_the_full_curve():
    confidence, right = drawn(2000)
    few = risk_coverage(confidence, right, len(right))
    every = risk_coverage(confidence, right, len(right), points=2 * len(right))
    assert 40 <= len(few.threshold) <= 50 < len(every.threshold)
    for target in (0.005, 0.01, 0.02):
        few_at, every_at = (
            float((confidence >= curve.threshold_for(target)).mean()) for curve in (few, every)
        )
        assert every_at - 0.04 <= few_at <= every_at


def test_perfect_reader_is_limited_by_its_number_of_digits():
    curve = risk_coverage(np.linspace(0.5, 1, 4000).astype(np.float32), np.ones(4000, bool), 4000)
    assert curve.coverage[-1] == 1
    assert not curve.risk.any()
    assert curve.threshold_for(0.001) == 0.5
    with pytest.raises(ValueError, match=r"0\.01%: the least .* 4,000 digits, is 0\.07487%"):
        curve.threshold_for(0.0001)


@pytest.mark.parametrize(
    ("confidence", "right", "total", "coverage", "kept", "refused", "message"),
    [
        (np.full(100, 0.7, np.float32), np.arange(100) < 90, 120, 0.75, 0.2, 0.1,
         r"with 100 digits, is 16\.38%"),
        (np.array([0.5]), np.array([True]), 1, 1, 0.96, 0.001, r"with 1 digits, is 95%"),
        (np.full(50, 0.5), np.zeros(50, bool), 50, 0, None, 0.9, "is 100%"),
        (np.full(40, 0.9), np.arange(40) < 10, 20, 0.5, 0.9, 0.8, "with 40 digits"),
    ],
    ids=["constant", "one answer", "all wrong", "specks do not make up for missed digits"],
)  # fmt: skip
def test_constant_confidence_gives_one_point(
    confidence, right, total, coverage, kept, refused, message
):
    curve = risk_coverage(confidence, right, total)
    assert curve.threshold == (float(confidence[0]),)
    assert (curve.stated, curve.wrong) == ((len(right),), (np.count_nonzero(~right),))
    assert curve.coverage == pytest.approx([coverage])
    if kept:
        assert curve.threshold_for(kept) == curve.threshold[0]
    with pytest.raises(ValueError, match=message):
        curve.threshold_for(refused)


@pytest.mark.parametrize(
    ("confidence", "right", "total", "message"),
    [
        (np.array([]), np.array([], bool), 5, "one answer or more, found none"),
        (np.array([0.5]), np.array([True]), 0, "total of one or more, .* the 1 digits .* found 0"),
        (np.array([0.5]), np.array([False]), 0, "total of one or more"),
        (np.array([0.5, 0.6]), np.array([True, True]), 1, "the 2 digits read right, found 1"),
        (np.array([2.0]), np.array([True]), 1, "from 0 to 1, found 2"),
        (np.array([0.5]), np.array([1.0]), 1, "right as bool"),
    ],
)
def test_wrong_answers_are_refused(confidence, right, total, message):
    with pytest.raises(ValueError, match=message):
        risk_coverage(confidence, right, total)
    with pytest.raises(ValueError, match="2 points or more, found 1"):
        risk_coverage(np.array([0.5]), np.array([True]), 1, points=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"total": 6}, "total of one or more, not below the 7 digits read right, found 6"),
        ({"total": 10.5}, "whole numbers in total, found 10.5"),
        ({"extra": 1}, "expected a curve with stated, threshold, total, wrong"),
        ({"threshold": [0.9]}, r"columns of \(1, 2, 2\)"),
        ({"threshold": [], "stated": [], "wrong": []}, "one or more thresholds"),
        ({"threshold": 0.9}, "threshold as a list of numbers, found 0.9"),
        ({"threshold": [0.9, None]}, "threshold as a list of numbers, found None in it"),
        ({"threshold": [0.5, 0.9]}, "below the one before, found 0.5, 0.9"),
        ({"threshold": [1.1, 0.9]}, "from 0 to 1, found 1.1"),
        ({"threshold": [0.9, float("nan")]}, "from 0 to 1, found nan"),
        ({"stated": [0, 8]}, r"count stated above the one before, found \(0, 8\)"),
        ({"stated": [8, 8]}, "count stated above the one before"),
        ({"stated": [4, True]}, "whole numbers in stated, found True"),
        ({"stated": [4, 10**400]}, "at most 10,000,000 digits"),
        ({"wrong": [2, 1]}, "wrong that never fall"),
        ({"wrong": [-1, 1]}, "wrong that never fall"),
        ({"wrong": [5, 5]}, "no more wrong than stated"),
        ({"wrong": [0, 5]}, "no more wrong than stated"),
    ],
)
def test_damaged_curve_is_refused_with_the_reason(change, message):
    with pytest.raises(ValueError, match=message):
        RiskCoverage.from_dict(GOOD | change)
    with pytest.raises(ValueError, match=r"expected a curve .* found \[\]"):
        RiskCoverage.from_dict([])


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("0.1%", 0.001),
        ("0.001", 0.001),
        (" 0.7 % ", 0.007),
        ("1e-3", 0.001),
        (".5%", 0.005),
        ("99.9%", 0.999),
    ],
)
def test_targets_are_fractions_or_percentages(text, share):
    assert parse_target(text) == share


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "such as 0.1% or 0.001, found ''"),
        ("%", "found '%'"),
        ("little", "found 'little'"),
        ("0,1%", "found '0,1%'"),
        ("0.1%%", "found '0.1%%'"),
        ("5", "found '5'; for percent write 5%"),
        ("1", "for percent write 1%"),
        ("100%", "below 1 .100 %., found 1"),
        ("250 %", "found 2.5"),
        ("0", "found 0"),
        ("-1%", "found -0.01"),
        ("nan", "found nan"),
        ("sNaN", "found 'sNaN'"),
        ("1e-999999", "found 0"),
        ("inf%", "found inf"),
    ],
)
def test_malformed_targets_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_target(text)


@pytest.mark.parametrize(("target", "needed"), [(0.005, 598), (0.001, 2995), (0.01, 299), (0.5, 5)])
def test_digits_needed_is_the_smallest_sufficient_number(target, needed):
    assert digits_needed(target) == needed
    assert binomial_bound(0, needed) <= target < binomial_bound(0, needed - 1)
