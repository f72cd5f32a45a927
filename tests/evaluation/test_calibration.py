import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from digitlens.evaluation.calibration import (
    SCALINGS,
    Calibration,
    compare_scalings,
    fit_calibration,
    fit_logistic,
    fit_pool,
    fit_temperature,
    logistic,
    pooled,
)
from digitlens.evaluation.metrics import calibration_error, equal_width_bins, log_loss

ANSWERS = st.lists(
    st.tuples(st.floats(0, 1, width=32, allow_nan=False), st.booleans()), min_size=1, max_size=60
)
TABLE = Calibration((0.1, 0.5, 0.9), (0.2, 0.4, 0.8))


def columns(answers):
    confidence, right = zip(*answers, strict=True)
    return np.array(confidence, np.float32), np.array(right, bool)


def overconfident(n, seed=0):
    """Confidences, whether each is right, and the true probability, which is lower."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(4, 3, n)
    probability = 1 / (1 + np.exp(-0.5 * logits))
    confidence = (1 / (1 + np.exp(-logits))).astype(np.float32)
    return confidence, rng.random(n) < probability, probability


@given(ANSWERS, st.integers(3, 25))
def test_fitted_table_rises_strictly_for_any_answers(answers, knots):
    confidence, right = columns(answers)
    table = fit_calibration(confidence, right, knots)
    assert 2 <= len(table.confidence) <= knots
    asked = np.sort(np.r_[confidence, np.linspace(0, 1, 50, dtype=np.float32)])
    answer = table.apply(asked)
    assert answer.dtype == np.float32
    assert (np.diff(answer) >= 0).all()
    assert 0 < answer[0] < answer[-1] < 1
    apart = 1 / (1 + np.exp(-np.arange(-16, 16, 0.25)))  # different inputs stay different
    assert (np.diff(table.apply(apart)) > 0).all()
    assert Calibration.from_dict(json.loads(json.dumps(table.as_dict()))) == table


@given(ANSWERS, st.randoms(use_true_random=False))
def test_fit_does_not_depend_on_the_order_of_the_answers(answers, random):
    shuffled = answers.copy()
    random.shuffle(shuffled)
    one, other = (fit_calibration(*columns(each)) for each in (answers, shuffled))
    assert one.confidence == pytest.approx(other.confidence)
    assert one.probability == pytest.approx(other.probability)


def test_fit_recovers_known_probabilities():
    table = fit_calibration(*overconfident(20_000)[:2])
    confidence, right, probability = overconfident(20_000, seed=1)
    found = table.apply(confidence)
    assert np.abs(confidence - probability).mean() > 0.05
    assert np.abs(found - probability).mean() < 0.01
    assert calibration_error(equal_width_bins(found, right)) < 0.015
    assert calibration_error(equal_width_bins(confidence, right)) > 0.05


def test_calibrated_confidence_is_kept_and_anticorrelated_confidence_becomes_flat():
    confidence = np.random.default_rng(0).random(20_000).astype(np.float32)
    right = np.random.default_rng(1).random(20_000) < confidence
    asked = np.linspace(0.05, 0.95, 19)
    assert fit_calibration(confidence, right).apply(asked) == pytest.approx(asked, abs=0.04)
    against = np.linspace(0.01, 0.99, 200).astype(np.float32)
    found = fit_calibration(against, np.arange(200) < 100).apply(against)
    assert found == pytest.approx(0.5, abs=0.02)


def test_knot_at_the_end_of_the_axis_adds_almost_nothing():
    confidence = np.full(998, 0.9, np.float32)
    table = fit_calibration(confidence, np.ones(998, bool))
    assert table.apply(np.ones(1)) == pytest.approx(0.999, abs=0.0002)


@pytest.mark.parametrize(
    ("confidence", "right", "asked", "expected"),
    [
        *((np.full(100, c), np.arange(100) < 70, [c], [71 / 102]) for c in (0.0, 0.5, 1.0)),
        (
            np.repeat([0.3, 0.8], 100),
            np.repeat([False, True], 100),
            [0.3, 0.8],
            [1 / 102, 101 / 102],
        ),
        *((np.full(n, 0.9), np.ones(n, bool), [0.9], [(n + 1) / (n + 2)]) for n in (1, 10, 1000)),
        *((np.full(n, 0.9), np.zeros(n, bool), [0.9], [1 / (n + 2)]) for n in (1, 10, 1000)),
    ],
)
def test_few_confidence_levels_give_the_smoothed_accuracy_never_certainty(
    confidence, right, asked, expected
):
    table = fit_calibration(confidence.astype(np.float32), right)
    assert table.apply(np.array(asked, np.float32)) == pytest.approx(expected, rel=1e-5)


def test_lucky_run_at_the_top_does_not_become_certainty():
    confidence = np.linspace(0.5, 0.99, 1000).astype(np.float32)
    right = np.arange(1000) % 100 != 30  # 1 % wrong, none of them among the most confident 69
    # A block of 69 right answers alone gives 98.6 %, the block below it 98.5 %: too few to tell.
    found = fit_calibration(confidence, right).apply(confidence[[10, 500, 990]])
    assert found == pytest.approx(991 / 1002, abs=0.001)


def test_interpolation_passes_through_the_table():
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
def test_damaged_table_is_refused_with_the_reason(values, message):
    with pytest.raises(ValueError, match=message):
        Calibration.from_dict(values)


def test_logistic_fit_recovers_the_weights_and_is_finite_on_separable_data():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(20_000, 2))
    right = rng.random(len(features)) < logistic((0.5, 2.0, -1.0), features)
    assert fit_logistic(features, right) == pytest.approx((0.5, 2.0, -1.0), abs=0.1)
    features = np.array([[-1.0], [-2.0], [1.0], [2.0]])
    weights = fit_logistic(features, features[:, 0] > 0)
    assert np.isfinite(weights).all()
    assert logistic(weights, features) == pytest.approx([0, 0, 1, 1], abs=0.05)


def drawn(count, weights, seed=0):
    """Log probabilities of several voters, and values drawn from their weighted pool."""
    rng = np.random.default_rng(seed)
    logs = np.log(rng.dirichlet(np.full(10, 0.3), (count, len(weights))) + 1e-3)
    logs = logs.transpose(0, 2, 1)
    chances = pooled(weights, logs)
    truth = np.array([rng.choice(10, p=row) for row in chances])
    return logs, truth


@pytest.mark.parametrize(
    ("count", "weights", "seed"),
    [(6000, (0.8, 0.3), 0), (4000, (0.9, 0.0), 1)],
    ids=["both know something", "one knows nothing"],
)
def test_pool_fit_recovers_the_weights(count, weights, seed):
    assert fit_pool(*drawn(count, weights, seed)) == pytest.approx(weights, abs=0.06)


def test_identical_voters_share_the_weight():
    logs, truth = drawn(2000, (0.8,), seed=2)
    first, second = fit_pool(np.repeat(logs, 2, axis=2), truth)
    assert first == pytest.approx(second)
    assert first + second == pytest.approx(0.8, abs=0.08)


def test_pooled_rows_sum_to_one_for_very_confident_voters():
    logs = np.log(np.eye(10)[:, :, None].clip(1e-4)) * 1000
    found = pooled((2.0,), logs)
    assert found.sum(axis=1) == pytest.approx(1)
    assert found.argmax(axis=1).tolist() == list(range(10))
    assert pooled((1.0, 2.0), np.zeros((0, 10, 2))).shape == (0, 10)


def softmax(logits):
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def probabilities_drawn(n=3000, sharpness=2.0, bias=0.0, seed=0):
    """Labels, overconfident probabilities biased towards the last digit, and the true ones."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, 10))
    honest = softmax(logits)
    labels = (honest.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return labels, softmax(sharpness * (logits + bias * (np.arange(10) == 9))), honest


def test_fitted_temperature_minimises_the_loss():
    labels, probabilities, honest = probabilities_drawn()
    scaled = fit_temperature(labels, probabilities)(probabilities)
    logits = np.log(probabilities)
    best = minimize_scalar(
        lambda t: log_loss(labels, softmax(logits / t)), bounds=(0.2, 5), method="bounded"
    )
    assert log_loss(labels, scaled) == pytest.approx(best.fun, abs=1e-5)
    assert np.abs(scaled - honest).max() < 0.03


@pytest.mark.parametrize("name", SCALINGS)
def test_every_scaling_lowers_the_loss(name):
    labels, probabilities, _ = probabilities_drawn(bias=0.7)
    scaled = SCALINGS[name](labels, probabilities)(probabilities)
    np.testing.assert_allclose(scaled.sum(axis=1), 1)
    assert log_loss(labels, scaled) < log_loss(labels, probabilities) - 0.1
    if "temperature" in name and "bias" not in name:
        np.testing.assert_array_equal(scaled.argmax(axis=1), probabilities.argmax(axis=1))


def test_vector_scaling_removes_the_bias_towards_a_digit():
    labels, probabilities, honest = probabilities_drawn(bias=0.7)
    scaled = SCALINGS["vector"](labels, probabilities)(probabilities)
    assert np.abs(scaled - honest).mean() < 0.01
    assert abs(scaled[:, 9].mean() - (labels == 9).mean()) < 0.005


def test_probabilities_of_zero_are_scaled_to_finite_values():
    labels, probabilities = np.arange(20) % 10, np.eye(10, dtype=np.float32)[np.arange(20) % 10]
    for fit in SCALINGS.values():
        assert np.isfinite(fit(labels, probabilities)(probabilities)).all()


def test_scaling_gains_only_on_miscalibrated_data():
    labels, probabilities, honest = probabilities_drawn(800, bias=2.0)
    scores = compare_scalings(labels, probabilities, folds=2)
    assert list(scores) == list(SCALINGS)
    assert scores["vector"].nll < scores["temperature"].nll < log_loss(labels, probabilities)
    for score in compare_scalings(labels, honest, folds=2).values():
        assert score.gain < 2 * score.error  # nothing to gain on calibrated data


def test_scores_depend_only_on_the_seed_and_too_few_tiles_are_refused():
    labels, probabilities, _ = probabilities_drawn(100)
    scores = [compare_scalings(labels, probabilities, folds=2, seed=s) for s in (1, 1, 2)]
    assert scores[0] == scores[1] != scores[2]
    with pytest.raises(ValueError, match="2 to 4 folds, found 5"):
        compare_scalings(labels[:4], probabilities[:4])
