import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from digitlens.evaluation.out_of_distribution import (
    Detection,
    auroc,
    detect,
    false_positive_rate,
    maximum_probability,
    measure_scores,
    recommended,
    scores_for,
    threshold_for,
)
from digitlens.outputs import Outputs

SCORES = st.lists(st.integers(-5, 5), min_size=1, max_size=50).map(np.array)
LABELS = np.arange(200) % 10


def fake_outputs(tiles):
    """Sure of bright tiles, and of their value; the more a tile is dark, the less."""
    bright = tiles.mean(axis=(1, 2)) / 255
    values = tiles[:, 0, 0] % 10
    probabilities = np.full((len(tiles), 10), 0.0, np.float32) + (1 - bright[:, None]) / 10
    probabilities[np.arange(len(tiles)), values] += bright
    features = np.eye(10, dtype=np.float32)[values] + bright[:, None].astype(np.float32)
    return Outputs(probabilities, -bright, features, np.sqrt(bright))


def tiles_of(level, count=200):
    tiles = np.full((count, 28, 28), level, np.uint8)
    tiles[:, 0, 0] = np.arange(count) % 10
    return tiles


@given(SCORES, SCORES)
@settings(deadline=None, derandomize=True, max_examples=40)
def test_both_measures_are_those_of_scikit_learn(digits, strangers):
    truth = np.r_[np.ones(len(digits)), np.zeros(len(strangers))]
    scores = np.r_[digits, strangers]
    assert auroc(digits, strangers) == pytest.approx(roc_auc_score(truth, scores))
    fpr, tpr, _ = roc_curve(truth, scores, drop_intermediate=False)
    expected = fpr[np.flatnonzero(tpr >= 0.95 - 1e-9)[0]]
    assert false_positive_rate(digits, strangers) == pytest.approx(expected)
    assert (digits >= threshold_for(digits)).mean() >= 0.95 - 1e-9


@given(SCORES, SCORES)
@settings(deadline=None, derandomize=True, max_examples=40)
def test_only_the_order_of_scores_counts(digits, strangers):
    found = detect(digits, strangers)
    assert detect(np.exp(digits), np.exp(strangers)) == found
    assert auroc(-strangers, -digits) == pytest.approx(found.auroc)
    assert auroc(strangers, digits) == pytest.approx(1 - found.auroc)


def test_near_1_the_maximum_is_compared_by_what_the_others_get():
    probabilities = np.full((2, 10), 1e-12, np.float32)
    probabilities[0, 0], probabilities[1, 0] = 1, 1
    probabilities[1, 1] = 1e-10
    first, second = maximum_probability(Outputs(probabilities))
    assert first > second


def test_a_classifier_allows_the_scores_that_its_graph_has_outputs_for():
    outputs = fake_outputs(tiles_of(250))
    only = Outputs(outputs.probabilities)
    assert list(scores_for(only, LABELS)) == ["maximum probability"]
    names = list(scores_for(outputs, LABELS))
    assert names == [
        "maximum probability",
        "energy",
        "digit",
        "digit and value",
        "Mahalanobis",
        "neighbour 1",
        "neighbour 10",
        "neighbour 50",
    ]
    with pytest.raises(ValueError, match="found None"):
        scores_for(outputs, LABELS)["energy"](only)


def test_every_score_tells_dark_tiles_from_bright_ones():
    scores = scores_for(fake_outputs(tiles_of(250)), LABELS)
    strangers = {"dark": tiles_of(20), "bright": tiles_of(250, 50)}
    table, found = measure_scores(scores, fake_outputs, tiles_of(250), strangers)
    assert list(table) == list(scores)
    for name, sets in table.items():
        assert sets["dark"] == Detection(200, 1.0, 0.0), name
        assert sets["bright"].auroc == pytest.approx(0.5, abs=0.01), name
        assert sets["bright"].n == 50
        assert found["dark"].scores[name].shape == (200,)
    assert json.loads(json.dumps(table["energy"]["dark"].as_dict()))["fpr95"] == 0


def test_the_score_with_the_best_mean_is_recommended():
    good, fair, poor = (Detection(1, auroc, 0.5) for auroc in (0.99, 0.9, 0.7))
    assert recommended({"a": {"x": good, "y": poor}, "b": {"x": fair, "y": fair}}) == "b"
    assert recommended({"first": {"x": fair}, "second": {"x": fair}}) == "first"


@pytest.mark.parametrize("wrong", [np.zeros(0), np.zeros((2, 2))])
def test_scores_of_another_shape_are_refused(wrong):
    with pytest.raises(ValueError, match="scores of shape"):
        auroc(np.zeros(2), wrong)
    with pytest.raises(ValueError, match="scores of shape"):
        false_positive_rate(wrong, np.zeros(2))
