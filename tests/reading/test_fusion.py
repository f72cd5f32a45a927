"""Fusion of the networks' scores into one probability."""

import json

import numpy as np
import pytest

from digitlens.errors import ModelError
from digitlens.reading.fusion import CONTEXT, LAYERS, NETWORKS, Fusion, Scores, context, log_probs

SEEN = len(NETWORKS) + CONTEXT
EMPTY = {name: np.zeros((1 + (SEEN if name in ("first", "exists") else 1), 1)) for name in LAYERS}


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


def test_inputs_are_finite_when_networks_are_certain(scores):
    certain = Scores(
        scores.places, np.eye(10, dtype=np.float32)[[0, 0, 0]], np.zeros(3, np.float32)
    )
    assert context(certain).shape == (3, CONTEXT)
    assert np.isfinite(context(certain)).all()
    assert np.isfinite(log_probs(certain)).all()


def test_fitted_layers_can_follow_the_classifier_alone(scores):
    layers = {**EMPTY, "existing": np.array([[0.0], [-2.0]])}
    unmoved = Fusion(layers=layers).fuse(scores)
    assert unmoved.existence == pytest.approx(1 / (1 + np.exp(2)), abs=1e-6)
    assert unmoved.probabilities == pytest.approx(Fusion().fuse(scores).probabilities)
    # A hidden unit that grows with the classifier's log-probability and ignores the others.
    first = np.zeros_like(EMPTY["first"])
    first[NETWORKS.index("classifier")], first[-1] = 1, 10
    heard = {**layers, "first": first, "second": np.array([[9.0], [0.0]])}
    heard["third"] = np.array([[1.0], [0.0]])
    classifier = np.eye(10, dtype=np.float32)[[2, 2, 2]]
    found = Fusion(layers=heard).fuse(Scores(scores.places, classifier, scores.is_digit))
    assert found.probabilities.argmax(axis=1).tolist() == [2, 2, 2]


def test_fusion_survives_a_round_trip_through_its_card(scores):
    fusion = Fusion((0.2, 0.9, 0.1), EMPTY)
    known = json.loads(json.dumps(fusion.as_dict()))
    for one, other in zip(Fusion.from_dict(known).fuse(scores), fusion.fuse(scores), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize(
    "broken",
    [
        {"pool": ["x"] * 3},
        {"pool": [1.0]},
        {"pool": [1.0, 1.0, 10**400]},
        {"calibration": {"confidence": [0.5], "probability": [10**400]}},
        {"layers": {"first": [[1.0]]}},
        {"layers": {name: [[1.0]] for name in LAYERS}},
        {"layers": {**{name: layer.tolist() for name, layer in EMPTY.items()}, "third": [["x"]]}},
    ],
)
def test_a_damaged_card_is_refused(broken):
    with pytest.raises(ModelError, match="damaged"):
        Fusion.from_dict(broken)
