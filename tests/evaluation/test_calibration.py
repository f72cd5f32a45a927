import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from digitlens.evaluation import calibration, metrics
from digitlens.evaluation.calibration import (
    Calibration,
    expected_calibration_error,
    fit_calibration,
    reliability_bins,
)

ANSWERS = st.lists(
    st.tuples(st.floats(0, 1, width=32, allow_nan=False), st.booleans()), min_size=1, max_size=60
)
TABLE = Calibration((0.1, 0.5, 0.9), (0.2, 0.4, 0.8))


def columns(answers):
    confidence, right = zip(*answers, strict=True)
    return np.array(confidence, np.float32), np.array(right, bool)


def overconfident(n, seed=0):
    """Confidences whose probability of being right is known, and lower than they say."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(4, 3, n)
    probability = 1 / (1 + np.exp(-0.5 * logits))
    confidence = (1 / (1 + np.exp(-logits))).astype(np.float32)
    return confidence, rng.random(n) < probability, probability


@given(ANSWERS, st.integers(3, 25))
@settings(deadline=None, derandomize=True)
def test_any_answers_give_a_rising_table_that_keeps_the_order(answers, knots):
    confidence, right = columns(answers)
    table = fit_calibration(confidence, right, knots)
    assert 2 <= len(table.confidence) <= knots
    asked = np.sort(np.r_[confidence, np.linspace(0, 1, 50, dtype=np.float32)])
    answer = table.apply(asked)
    assert answer.dtype == np.float32
    assert (np.diff(answer) >= 0).all()
    assert 0 < answer[0] < answer[-1] < 1
    assert Calibration.from_dict(json.loads(json.dumps(table.as_dict()))) == table


@given(ANSWERS)
@settings(deadline=None, derandomize=True)
def test_confidences_that_differ_stay_apart(answers):
    table = fit_calibration(*columns(answers))
    apart = 1 / (1 + np.exp(-np.arange(-16, 16, 0.25)))
    assert (np.diff(table.apply(apart)) > 0).all()


@given(ANSWERS, st.randoms(use_true_random=False))
@settings(deadline=None, derandomize=True)
def test_the_order_of_the_answers_does_not_matter(answers, random):
    shuffled = answers.copy()
    random.shuffle(shuffled)
    one, other = (fit_calibration(*columns(each)) for each in (answers, shuffled))
    assert one.confidence == pytest.approx(other.confidence)
    assert one.probability == pytest.approx(other.probability)


def test_known_probabilities_are_found():
    table = fit_calibration(*overconfident(20_000)[:2])
    confidence, right, probability = overconfident(20_000, seed=1)
    found = table.apply(confidence)
    assert np.abs(confidence - probability).mean() > 0.05
    assert np.abs(found - probability).mean() < 0.01
    assert expected_calibration_error(found, right) < 0.015
    assert expected_calibration_error(confidence, right) > 0.05


def test_what_is_calibrated_already_stays_nearly_as_it_is():
    confidence = np.random.default_rng(0).random(20_000).astype(np.float32)
    right = np.random.default_rng(1).random(20_000) < confidence
    asked = np.linspace(0.05, 0.95, 19)
    assert fit_calibration(confidence, right).apply(asked) == pytest.approx(asked, abs=0.04)


def test_pooling_is_isotonic_regression():
    confidence, right, _ = overconfident(500)
    confidence = np.round(confidence, 2)  # with ties
    logits = calibration._logit(confidence)
    blocks = calibration._pool(calibration._tied(logits, right), by_shrunk=False)
    theirs = IsotonicRegression().fit_transform(logits, right)
    assert [b.share for b in blocks] == pytest.approx(np.unique(theirs.round(12)).tolist())
    assert sum(b.n for b in blocks) == 500


@pytest.mark.parametrize("n", [1, 10, 1000])
def test_all_right_and_all_wrong_are_not_certain(n):
    confidence = np.full(n, 0.9, np.float32)
    sure = fit_calibration(confidence, np.ones(n, bool)).apply(confidence[:1])
    hopeless = fit_calibration(confidence, np.zeros(n, bool)).apply(confidence[:1])
    assert sure == pytest.approx((n + 1) / (n + 2), rel=1e-5)
    assert hopeless == pytest.approx(1 / (n + 2), rel=1e-5)


def test_the_end_of_the_axis_adds_next_to_nothing():
    confidence = np.full(998, 0.9, np.float32)
    table = fit_calibration(confidence, np.ones(998, bool))
    assert table.apply(np.ones(1)) == pytest.approx(0.999, abs=0.0002)


def test_perfect_separation_gives_two_levels():
    confidence = np.repeat(np.array([0.3, 0.8], np.float32), 100)
    table = fit_calibration(confidence, confidence > 0.5)
    low, high = table.apply(np.array([0.3, 0.8]))
    assert (low, high) == pytest.approx((1 / 102, 101 / 102), rel=1e-5)


def test_a_constant_confidence_gives_the_share_that_is_right():
    for constant in (0.0, 0.5, 1.0):
        confidence = np.full(100, constant, np.float32)
        table = fit_calibration(confidence, np.arange(100) < 70)
        assert table.apply(confidence[:1]) == pytest.approx(71 / 102, rel=1e-5)


def test_a_lucky_run_at_the_top_is_not_taken_for_certainty():
    confidence = np.linspace(0.5, 0.99, 1000).astype(np.float32)
    right = np.arange(1000) % 100 != 30  # 1 % wrong, and none among the surest 69
    # A block of 69 right ones alone would say 98.6 %, after one below 98.5 %: too few to tell.
    found = fit_calibration(confidence, right).apply(confidence[[10, 500, 990]])
    assert found == pytest.approx(991 / 1002, abs=0.001)


def test_a_confidence_against_the_truth_becomes_flat():
    confidence = np.linspace(0.01, 0.99, 200).astype(np.float32)
    found = fit_calibration(confidence, np.arange(200) < 100).apply(confidence)
    assert found == pytest.approx(0.5, abs=0.02)


def test_lines_go_through_the_table():
    assert TABLE.apply(np.array(TABLE.confidence)) == pytest.approx(TABLE.probability)
    assert TABLE.apply(np.array([0.0, 1.0])) == pytest.approx([0.2, 0.8])
    assert 0.2 < TABLE.apply(np.array([0.3]))[0] < 0.4
    assert TABLE.apply(np.array([], np.float32)).shape == (0,)


@pytest.mark.parametrize(
    ("confidence", "right", "message"),
    [
        (np.array([], np.float32), np.array([], bool), "one answer or more, found none"),
        (np.array([0.5]), np.array([1]), "right as bool of shape .1., .* found int64"),
        (np.array([0.5]), np.array([True, False]), "found bool of shape .2."),
        (np.array([[0.5]]), np.array([[True]]), r"shape \[N\], found float64 of shape \[1, 1\]"),
        (np.array([1]), np.array([True]), "floating point of shape .N., found int64"),
        (np.array([1.5]), np.array([True]), "from 0 to 1, found 1.5"),
        (np.array([0.2, np.nan]), np.array([True, True]), "from 0 to 1, found nan"),
    ],
)
def test_wrong_answers_are_refused(confidence, right, message):
    with pytest.raises(ValueError, match=message):
        fit_calibration(confidence, right)
    with pytest.raises(ValueError, match=message):
        expected_calibration_error(confidence, right)


def test_too_few_knots_are_refused():
    with pytest.raises(ValueError, match="3 knots or more, found 2"):
        fit_calibration(np.array([0.5]), np.array([True]), knots=2)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (None, "expected a calibration with confidence and probability, found None"),
        ({"confidence": [0.1]}, "expected a calibration with"),
        ({"confidence": "01", "probability": [0.1, 0.2]}, "confidence as a list .* found '01'"),
        ({"confidence": [0.1, "2"], "probability": [0.1, 0.2]}, "found '2' in it"),
        ({"confidence": [0.1, True], "probability": [0.1, 0.2]}, "found True in it"),
        ({"confidence": [0.1], "probability": [0.1]}, "two or more .* found 1 and 1"),
        ({"confidence": [0.1, 0.2], "probability": [0.1]}, "found 2 and 1"),
        ({"confidence": [0.1, 1], "probability": [0.1, 0.2]}, "confidence above 0 and below 1"),
        ({"confidence": [0.1, 0.2], "probability": [0, 0.2]}, "probability above 0 and below 1"),
        ({"confidence": [0.1, float("nan")], "probability": [0.1, 0.2]}, "found nan"),
        ({"confidence": [0.2, 0.1], "probability": [0.1, 0.2]}, "before, found 0.2, 0.1"),
        ({"confidence": [0.1, 0.2], "probability": [0.2, 0.2]}, "before, found 0.2, 0.2"),
    ],
)
def test_a_damaged_table_says_what_is_wrong(values, message):
    with pytest.raises(ValueError, match=message):
        Calibration.from_dict(values)


def test_calibration_error_is_that_of_the_metrics():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.full(10, 0.2), 500)
    labels = rng.integers(0, 10, 500)
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    theirs = metrics.calibration(labels, probabilities)
    assert expected_calibration_error(confidence, right) == pytest.approx(theirs.error)
    bins = reliability_bins(confidence, right, np.linspace(0, 1, 16))
    for mine, other in zip(bins, theirs.bins, strict=True):
        assert (mine.low, mine.high, mine.count) == pytest.approx(
            (other.low, other.high, other.count)
        )
        assert (mine.confidence, mine.accuracy) == pytest.approx((other.confidence, other.accuracy))


def test_the_outermost_bins_hold_what_is_beyond_the_edges():
    confidence = np.array([0.0, 0.3, 0.5, 0.6, 1.0])
    bins = reliability_bins(confidence, confidence > 0.4, np.array([0.2, 0.5, 0.8]))
    assert [(row.count, row.accuracy) for row in bins] == [(3, pytest.approx(1 / 3)), (2, 1.0)]
