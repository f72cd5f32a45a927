import numpy as np
import pytest

from digitlens.evaluation.logistic import fit_logistic, logistic


def test_the_weights_that_drew_the_answers_are_found():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(20_000, 2))
    right = rng.random(len(features)) < logistic((0.5, 2.0, -1.0), features)
    assert fit_logistic(features, right) == pytest.approx((0.5, 2.0, -1.0), abs=0.1)


def test_answers_that_features_part_cleanly_give_finite_weights():
    features = np.array([[-1.0], [-2.0], [1.0], [2.0]])
    weights = fit_logistic(features, features[:, 0] > 0)
    assert np.isfinite(weights).all()
    assert logistic(weights, features) == pytest.approx([0, 0, 1, 1], abs=0.05)


def test_only_one_kind_of_answer_and_other_shapes_are_refused():
    with pytest.raises(ValueError, match="only one of both"):
        fit_logistic(np.zeros((3, 1)), np.ones(3, bool))
    with pytest.raises(ValueError, match=r"found \[3, 1\] and 2"):
        fit_logistic(np.zeros((3, 1)), np.ones(2, bool))
