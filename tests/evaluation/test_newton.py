import numpy as np
import pytest

from digitlens.evaluation.newton import most_likely


def test_the_peak_is_found():
    def derivatives(weights):  # of a likelihood with its peak at (2, -1)
        return np.array([2.0, -1.0]) - weights, np.eye(2)

    assert most_likely(derivatives, 2, 0.0) == pytest.approx((2, -1))


def test_a_ridge_pulls_to_zero_and_makes_one_peak_of_many():
    def derivatives(weights):  # knows the sum of both weights alone
        return np.full(2, 4.0 - weights.sum()), np.ones((2, 2))

    first, second = most_likely(derivatives, 2, 0.01)
    assert first == pytest.approx(second)
    assert 1.9 < first < 2
