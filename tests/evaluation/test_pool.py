import numpy as np
import pytest

from digitlens.evaluation.pool import fit_pool, pooled


def drawn(count, weights, seed=0):
    """Opinions, and values drawn from what the weights make of them."""
    rng = np.random.default_rng(seed)
    logs = np.log(rng.dirichlet(np.full(10, 0.3), (count, len(weights))) + 1e-3)
    logs = logs.transpose(0, 2, 1)
    chances = pooled(weights, logs)
    truth = np.array([rng.choice(10, p=row) for row in chances])
    return logs, truth


def test_the_weights_that_values_were_drawn_with_are_found():
    logs, truth = drawn(6000, (0.8, 0.3))
    assert fit_pool(logs, truth) == pytest.approx((0.8, 0.3), abs=0.05)


def test_a_voter_that_knows_nothing_has_no_weight():
    logs, truth = drawn(4000, (0.9, 0.0), seed=1)
    assert fit_pool(logs, truth)[1] == pytest.approx(0, abs=0.06)


def test_voters_that_always_agree_share_the_weight():
    logs, truth = drawn(2000, (0.8,), seed=2)
    first, second = fit_pool(np.repeat(logs, 2, axis=2), truth)
    assert first == pytest.approx(second)
    assert first + second == pytest.approx(0.8, abs=0.08)


def test_rows_are_probabilities_however_sure_the_voters_are():
    logs = np.log(np.eye(10)[:, :, None].clip(1e-4)) * 1000
    found = pooled((2.0,), logs)
    assert found.sum(axis=1) == pytest.approx(1)
    assert found.argmax(axis=1).tolist() == list(range(10))


def test_no_rows_are_no_rows():
    assert pooled((1.0, 2.0), np.zeros((0, 10, 2))).shape == (0, 10)


@pytest.mark.parametrize(
    ("logs", "truth"),
    [
        (np.zeros((3, 10)), np.zeros(3, int)),
        (np.zeros((3, 10, 2)), np.zeros(2, int)),
        (np.zeros((0, 10, 2)), np.zeros(0, int)),
    ],
)
def test_what_cannot_be_fitted_is_refused(logs, truth):
    with pytest.raises(ValueError, match=r"expected logarithms \[N, K, D\]"):
        fit_pool(logs, truth)
