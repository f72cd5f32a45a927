import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.covariance import ShrunkCovariance
from sklearn.metrics import roc_auc_score, roc_curve

from digitlens.evaluation.ood import (
    Choice,
    Detection,
    auroc,
    best_score,
    detect,
    fit_class_means,
    maximum_probability,
    measure_rejection,
    measure_scores,
    scores_for,
    taken_for_digits,
)
from digitlens.results import Outputs

SCORES = st.lists(st.integers(-5, 5), min_size=1, max_size=50).map(np.array)
LABELS = np.arange(200) % 10


def fake_outputs(tiles):
    """Outputs whose confidence grows with the brightness of the tile."""
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
@settings(max_examples=40)
def test_auroc_and_fpr95_agree_with_scikit_learn(digits, negatives):
    truth = np.r_[np.ones(len(digits)), np.zeros(len(negatives))]
    scores = np.r_[digits, negatives]
    assert auroc(digits, negatives) == pytest.approx(roc_auc_score(truth, scores))
    fpr, tpr, _ = roc_curve(truth, scores, drop_intermediate=False)
    expected = fpr[np.flatnonzero(tpr >= 0.95 - 1e-9)[0]]
    assert detect(digits, negatives).fpr95 == pytest.approx(expected)


def test_maximum_probabilities_near_1_are_ranked_by_the_remainder():
    probabilities = np.full((2, 10), 1e-12, np.float32)
    probabilities[0, 0], probabilities[1, 0] = 1, 1
    probabilities[1, 1] = 1e-10
    first, second = maximum_probability(Outputs(probabilities))
    assert first > second


def test_available_scores_depend_on_the_outputs_of_the_graph():
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


def test_every_score_separates_dark_tiles_from_bright_ones():
    scores = scores_for(fake_outputs(tiles_of(250)), LABELS)
    negatives = {"dark": tiles_of(20), "bright": tiles_of(250, 50)}
    table, found = measure_scores(scores, fake_outputs, tiles_of(250), negatives)
    assert list(table) == list(scores)
    for name, sets in table.items():
        assert sets["dark"] == Detection(200, 1.0, 0.0), name
        assert sets["bright"].auroc == pytest.approx(0.5, abs=0.01), name
        assert sets["bright"].n == 50
        assert found["dark"].scores[name].shape == (200,)
    assert json.loads(json.dumps(asdict(table["energy"]["dark"])))["fpr95"] == 0


def test_score_with_the_best_mean_is_recommended():
    good, fair, poor = (Detection(1, auroc, 0.5) for auroc in (0.99, 0.9, 0.7))
    assert best_score({"a": {"x": good, "y": poor}, "b": {"x": fair, "y": fair}}) == "b"
    assert best_score({"first": {"x": fair}, "second": {"x": fair}}) == "first"


RNG = np.random.default_rng(0)
FITTED_LABELS = np.arange(600) % 10
CENTRES = RNG.normal(0, 4, (10, 6))
FEATURES = (CENTRES[FITTED_LABELS] + RNG.normal(0, 1, (600, 6)) @ RNG.normal(0, 1, (6, 6))).astype(
    "f4"
)
OTHERS = RNG.normal(0, 9, (40, 6)).astype("f4")


def test_class_mean_distances_agree_with_scikit_learns_covariance():
    fitted = fit_class_means(FEATURES, FITTED_LABELS)
    means = np.stack(
        [FEATURES.astype(np.float64)[digit == FITTED_LABELS].mean(axis=0) for digit in range(10)]
    )
    # scikit-learn's weights sum to one, so its covariance is smaller by a factor of 1.001.
    shared = ShrunkCovariance(shrinkage=0.001 / 1.001, assume_centered=True)
    shared.fit(FEATURES.astype(np.float64) - means[FITTED_LABELS])
    apart = OTHERS[:, None] - means
    squares = np.einsum("ncd,de,nce->nc", apart, shared.precision_, apart).min(axis=1)
    np.testing.assert_allclose(fitted(OTHERS), np.sqrt(squares / 1.001), rtol=1e-5)


def test_constant_features_are_harmless_and_a_digit_without_tiles_is_refused():
    flat = np.hstack([FEATURES, np.full((600, 2), 3, np.float32)])
    fitted = fit_class_means(flat, FITTED_LABELS)
    assert np.isfinite(fitted(flat)).all()
    moved = flat + np.eye(8, dtype=np.float32)[7]  # the constant feature changes
    assert fitted(moved).min() > fitted(flat).max()
    with pytest.raises(ValueError, match="all ten digits"):
        fit_class_means(FEATURES, FITTED_LABELS % 9)


NEGATIVES = {
    "black": np.zeros((30, 28, 28), np.uint8),
    "noise": np.random.default_rng(0).integers(0, 256, (20, 28, 28), dtype=np.uint8),
}


def probabilities_of(tiles):
    """Probabilities of a 3 that grow with the ink in the left half."""
    ink = tiles[:, :, :14].mean(axis=(1, 2)) / 255
    chances = np.full((len(tiles), 10), 0.05, np.float32)
    chances[:, 3] += 10 * ink
    return chances / chances.sum(axis=1, keepdims=True)


def plain(tiles):
    return Outputs(probabilities_of(tiles))


def with_digit(tiles):
    """A graph that rejects noise for its few dark pixels and accepts black tiles as digits."""
    dark = (tiles < 40).mean(axis=(1, 2))
    return Outputs(probabilities_of(tiles), digit=dark.astype(np.float32))


def never():
    pytest.fail("nothing is to be chosen")


@pytest.fixture(autouse=True)
def _few(monkeypatch):
    monkeypatch.setattr("digitlens.evaluation.ood.CORRUPTION_TILES", 20)


def test_graph_with_only_probabilities_gets_no_choice_of_score(small_split):
    found = measure_rejection(plain, small_split, NEGATIVES, never)
    assert found.recommended == "maximum probability"
    assert list(found.scores) == ["maximum probability"]
    assert (found.chosen_by, found.scaling) == ({}, {})
    assert found.uncertainty["clean"].n == len(small_split)
    assert found.uncertainty["corrupted"].n == 15 * 20
    confidence, right = found.answers["corrupted"]
    assert len(confidence) == len(right) == 300
    assert found.uncertainty["corrupted"].error == pytest.approx(1 - right.mean())
    worst = taken_for_digits(found, "noise", 5)
    scores = found.scored["noise"].scores["maximum probability"]
    assert scores[worst[0]] == scores.max()
    assert (np.diff(scores[worst]) <= 0).all()
    values = json.loads(json.dumps(found.as_dict()))
    assert values["recommended"] == "maximum probability"
    assert values["scores"]["maximum probability"]["black"] == {"n": 30, "auroc": 1, "fpr95": 0}
    assert set(values["uncertainty"]) == {"clean", "corrupted"}


def test_score_is_chosen_on_other_tiles_than_it_is_reported_on(small_split):
    def choice(negatives):
        return lambda: Choice(small_split, small_split.tiles, {"as in training": negatives})

    # The negatives of the choice decide, not those of the report.
    by_noise = measure_rejection(with_digit, small_split, NEGATIVES, choice(NEGATIVES["noise"]))
    assert by_noise.recommended == "digit"
    by_black = measure_rejection(with_digit, small_split, NEGATIVES, choice(NEGATIVES["black"]))
    assert by_black.recommended == "maximum probability"
    assert list(by_black.chosen_by["digit"]) == ["as in training"]
    assert by_black.scores == by_noise.scores


def test_external_score_is_measured_everywhere_and_never_recommended(small_split):
    def bright(tiles):
        """Scores by closeness to the mean ink of digits: more than black, less than noise."""
        ink = tiles.mean(axis=(1, 2)).astype(np.float64)
        return -np.abs(ink - small_split.tiles.mean())

    def choice():
        return Choice(small_split, small_split.tiles, NEGATIVES)

    given, others = (small_split, NEGATIVES), {"ink": bright}
    found = measure_rejection(with_digit, *given, choice, others=others)
    assert list(found.scores)[-1] == list(found.chosen_by)[-1] == "ink"
    assert found.scores["ink"]["noise"].auroc == 1
    assert found.scored["noise"].scores["ink"].shape == (20,)
    assert found.recommended in {"maximum probability", "digit", "digit and value"}
    assert "ink" in found.as_dict()["scores"]
    alone = measure_rejection(plain, *given, never, others=others, scaling=True)
    assert list(alone.scores) == ["maximum probability", "ink"]
    assert alone.recommended == "maximum probability"
    assert "temperature" in alone.scaling  # scalings are compared on request
