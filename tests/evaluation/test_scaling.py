import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from digitlens.evaluation.metrics import log_loss
from digitlens.evaluation.scaling import SCALINGS, compare_scalings, fit_temperature, fit_vector


def softmax(logits):
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def drawn(n=3000, sharpness=2.0, bias=0.0, seed=0):
    """Probabilities sharper than they should be, with too much of the last digit."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, 10))
    honest = softmax(logits)
    labels = (honest.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return labels, softmax(sharpness * (logits + bias * (np.arange(10) == 9))), honest


def test_the_temperature_is_the_one_with_the_lowest_loss():
    labels, probabilities, honest = drawn()
    scaled = fit_temperature(labels, probabilities)(probabilities)
    logits = np.log(probabilities)
    best = minimize_scalar(
        lambda t: log_loss(labels, softmax(logits / t)), bounds=(0.2, 5), method="bounded"
    )
    assert log_loss(labels, scaled) == pytest.approx(best.fun, abs=1e-5)
    assert np.abs(scaled - honest).max() < 0.03


@pytest.mark.parametrize("name", SCALINGS)
def test_every_scaling_gives_probabilities_of_lower_loss(name):
    labels, probabilities, _ = drawn(bias=0.7)
    scaled = SCALINGS[name](labels, probabilities)(probabilities)
    np.testing.assert_allclose(scaled.sum(axis=1), 1)
    assert log_loss(labels, scaled) < log_loss(labels, probabilities) - 0.1
    if "temperature" in name and "bias" not in name:
        np.testing.assert_array_equal(scaled.argmax(axis=1), probabilities.argmax(axis=1))


def test_a_constant_for_each_digit_takes_away_the_bias_to_one():
    labels, probabilities, honest = drawn(bias=0.7)
    scaled = fit_vector(labels, probabilities)(probabilities)
    assert np.abs(scaled - honest).mean() < 0.01
    assert abs(scaled[:, 9].mean() - (labels == 9).mean()) < 0.005


def test_probabilities_of_zero_are_scaled_too():
    labels, probabilities = np.arange(20) % 10, np.eye(10, dtype=np.float32)[np.arange(20) % 10]
    for fit in SCALINGS.values():
        assert np.isfinite(fit(labels, probabilities)(probabilities)).all()


def test_only_what_the_data_asks_for_is_worth_it():
    labels, probabilities, honest = drawn(800, bias=2.0)
    scores = compare_scalings(labels, probabilities, folds=2)
    assert list(scores) == list(SCALINGS)
    assert scores["vector"].nll < scores["temperature"].nll < log_loss(labels, probabilities)
    for score in compare_scalings(labels, honest, folds=2).values():
        assert score.gain < 2 * score.error  # nothing to gain where all is well


def test_the_same_seed_gives_the_same_scores():
    labels, probabilities, _ = drawn(100)
    scores = [compare_scalings(labels, probabilities, folds=2, seed=s) for s in (1, 1, 2)]
    assert scores[0] == scores[1] != scores[2]


def test_fewer_tiles_than_folds_are_refused():
    labels, probabilities, _ = drawn(4)
    with pytest.raises(ValueError, match="2 to 4 folds, found 5"):
        compare_scalings(labels, probabilities)
