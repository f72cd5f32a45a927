"""Scores made one probability."""

import numpy as np
import pytest

from digitlens.errors import ModelError
from digitlens.reading.fusion import FEATURES, GROUPS, Fusion, Scores, features, opinions


@pytest.fixture
def scores(view_of):
    chances = np.full((3, 10), 0.02, np.float32)
    chances[np.arange(3), [1, 4, 7]] = 0.82
    boxes = [[0, 0, 10, 20], [14, 0, 24, 20], [28, 0, 38, 20]]
    return view_of(boxes, [0.9, 0.6, 0.2], chances).scores


def test_an_unfitted_fusion_follows_the_networks(scores):
    fusion = Fusion()
    probabilities, confidence, _ = fusion.fuse(scores)
    assert probabilities.argmax(axis=1).tolist() == [1, 4, 7]
    assert probabilities.sum(axis=1) == pytest.approx(1)
    assert (np.diff(confidence) <= 0).all()


def test_columns_are_finite_whatever_a_network_is_certain_of(scores):
    certain = Scores(
        scores.places, np.eye(10, dtype=np.float32)[[0, 0, 0]], np.zeros(3, np.float32)
    )
    probabilities = Fusion().probabilities(certain)
    columns = features(certain, probabilities)
    assert columns.shape == (3, FEATURES)
    assert np.isfinite(columns).all()
    assert np.isfinite(opinions(certain)).all()


def test_each_group_has_weights_of_its_own(scores):
    weights = np.zeros((GROUPS, 1 + FEATURES))
    weights[:, 0] = (-2, 0, 2)
    found = Fusion(weights=tuple(weights.ravel().tolist())).fuse(scores)
    expected = 1 / (1 + np.exp(-np.array([-2, 0, 2])[scores.places.reads]))
    assert found.confidence == pytest.approx(expected, abs=1e-6)


def test_a_fusion_comes_back_from_its_card():
    weights = tuple(float(value) for value in range(GROUPS * (1 + FEATURES)))
    fusion = Fusion(weights=weights, existing=weights)
    assert Fusion.from_dict(fusion.as_dict()) == fusion


@pytest.mark.parametrize("broken", [{"weights": [1.0]}, {"pool": ["x"] * 10}])
def test_a_damaged_card_is_refused(broken):
    with pytest.raises(ModelError, match="damaged"):
        Fusion.from_dict(broken)
