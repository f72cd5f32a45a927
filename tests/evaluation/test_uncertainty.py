import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss

from digitlens.evaluation.uncertainty import (
    adaptive_error,
    answers,
    brier_score,
    coverage_at_zero,
    equal_mass_bins,
    mean_uncertainty,
    measure_uncertainty,
    risk_curve,
)

ANSWERS = st.lists(
    st.tuples(st.sampled_from([0.1, 0.5, 0.9, 0.99, 1.0]), st.booleans()), min_size=1, max_size=60
)


def drawn(n=2000, seed=0):
    """Labels that follow their probabilities."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (n, 10))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (probabilities.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return labels, probabilities


def columns(pairs):
    confidence, right = zip(*pairs, strict=True)
    return np.array(confidence), np.array(right)


def test_brier_is_that_of_scikit_learn_summed_over_the_digits():
    labels, probabilities = drawn()
    each = [brier_score_loss(labels == k, probabilities[:, k]) for k in range(10)]
    assert brier_score(labels, probabilities) == pytest.approx(sum(each))


@given(ANSWERS, st.integers(0, 100))
@settings(deadline=None, derandomize=True)
def test_risk_is_that_of_ties_in_any_order_on_average(pairs, seed):
    confidence, right = columns(pairs)
    curve = risk_curve(confidence, right)
    order = np.random.default_rng(seed).permutation(len(right))
    np.testing.assert_allclose(risk_curve(confidence[order], right[order]), curve)
    assert curve[-1] == pytest.approx(1 - right.mean())
    for threshold in np.unique(confidence):  # where no tie is cut the curve is plain counting
        stated = confidence >= threshold
        assert curve[stated.sum() - 1] == pytest.approx((~right[stated]).mean())


@given(ANSWERS)
@settings(deadline=None, derandomize=True)
def test_no_mistake_is_among_what_is_covered_at_zero_errors(pairs):
    confidence, right = columns(pairs)
    covered = coverage_at_zero(confidence, right)
    surest = np.argsort(-confidence, kind="stable")[: round(covered * len(right))]
    assert right[surest].all()
    assert covered == 1 or covered <= right.mean()


@given(ANSWERS, st.integers(1, 20))
@settings(deadline=None, derandomize=True)
def test_bins_hold_all_answers_in_equal_parts(pairs, bins):
    confidence, right = columns(pairs)
    rows = equal_mass_bins(confidence, right, bins)
    counts = [row.count for row in rows]
    assert sum(counts) == len(right)
    assert max(counts) - min(counts) <= 1
    assert sum(row.count * row.accuracy for row in rows) == pytest.approx(right.sum())
    assert 0 <= adaptive_error(rows) <= 1


def test_scores_of_known_answers():
    probabilities = np.full((4, 10), 0.0)
    probabilities[:, 3] = [1.0, 0.9, 0.8, 0.7]
    probabilities[:, 4] = [0.0, 0.1, 0.2, 0.3]
    found = measure_uncertainty(np.array([3, 3, 4, 3]), probabilities)
    assert (found.n, found.error, found.coverage_at_zero) == (4, 0.25, 0.5)
    assert found.aurc == pytest.approx((0 + 0 + 1 / 3 + 1 / 4) / 4)
    assert found.error_at_99 == 0.25
    assert found.brier == pytest.approx((0 + 0.02 + 2 * 0.64 + 0.18) / 4)
    assert found.adaptive_ece == pytest.approx((0 + 0.1 + 0.8 + 0.3) / 4)
    assert found.nll == pytest.approx(-np.log([0.9, 0.2, 0.7]).sum() / 4)
    assert json.loads(json.dumps(found.as_dict()))["n"] == 4


def test_answers_that_are_as_sure_as_right_have_little_error():
    labels, probabilities = drawn(20_000)
    honest = measure_uncertainty(labels, probabilities)
    sharp = probabilities**3 / (probabilities**3).sum(axis=1, keepdims=True)
    boastful = measure_uncertainty(labels, sharp)
    assert honest.adaptive_ece < 0.015
    assert boastful.adaptive_ece > 5 * honest.adaptive_ece
    assert boastful.nll > honest.nll
    assert boastful.brier > honest.brier
    assert boastful.error == honest.error
    confidence, right = answers(labels, probabilities)
    assert honest.error_at_99 < honest.error
    assert honest.aurc < honest.error  # the surest are right more often
    assert 1 - right.mean() == pytest.approx(honest.error)
    assert confidence.shape == (20_000,)


def test_the_mean_counts_each_set_the_same():
    one, other = (measure_uncertainty(*drawn(n, seed=n)) for n in (10, 200))
    mean = mean_uncertainty([one, other])
    assert mean.n == 210
    assert mean.brier == pytest.approx((one.brier + other.brier) / 2)
    with pytest.raises(ValueError, match="found none"):
        mean_uncertainty([])


def test_probabilities_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"\[2, 10\]"):
        measure_uncertainty(np.array([1, 2]), np.ones((2, 9)))
