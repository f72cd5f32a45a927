import numpy as np
import pytest
from sklearn.covariance import ShrunkCovariance
from sklearn.neighbors import NearestNeighbors

from digitlens.evaluation.feature_distance import fit_class_means, fit_neighbours

RNG = np.random.default_rng(0)
LABELS = np.arange(600) % 10
CENTRES = RNG.normal(0, 4, (10, 6))
FEATURES = (CENTRES[LABELS] + RNG.normal(0, 1, (600, 6)) @ RNG.normal(0, 1, (6, 6))).astype("f4")
OTHERS = RNG.normal(0, 9, (40, 6)).astype("f4")


def test_class_means_are_those_of_scikit_learns_covariance():
    fitted = fit_class_means(FEATURES, LABELS)
    means = np.stack(
        [FEATURES.astype(np.float64)[digit == LABELS].mean(axis=0) for digit in range(10)]
    )
    # Theirs adds up to one: it is smaller by 1 + 0.001.
    shared = ShrunkCovariance(shrinkage=0.001 / 1.001, assume_centered=True)
    shared.fit(FEATURES.astype(np.float64) - means[LABELS])
    apart = OTHERS[:, None] - means
    squares = np.einsum("ncd,de,nce->nc", apart, shared.precision_, apart).min(axis=1)
    np.testing.assert_allclose(fitted(OTHERS), np.sqrt(squares / 1.001), rtol=1e-5)


def test_features_that_never_vary_do_no_harm():
    flat = np.hstack([FEATURES, np.full((600, 2), 3, np.float32)])
    fitted = fit_class_means(flat, LABELS)
    assert np.isfinite(fitted(flat)).all()
    moved = flat + np.eye(8, dtype=np.float32)[7]  # what never varied does now
    assert fitted(moved).min() > fitted(flat).max()


@pytest.mark.parametrize("k", [1, 7])
def test_neighbours_are_those_of_scikit_learn(k, monkeypatch):
    monkeypatch.setattr("digitlens.evaluation.feature_distance._CHUNK", 16)
    unit = FEATURES / np.linalg.norm(FEATURES, axis=1, keepdims=True)
    asked = OTHERS / np.linalg.norm(OTHERS, axis=1, keepdims=True)
    distances, _ = NearestNeighbors(n_neighbors=k).fit(unit).kneighbors(asked)
    np.testing.assert_allclose(fit_neighbours(FEATURES, k)(OTHERS), distances[:, -1], atol=2e-3)
    np.testing.assert_allclose(fit_neighbours(FEATURES, 1)(FEATURES), 0, atol=2e-3)


def test_features_without_length_are_no_error():
    assert np.isfinite(fit_neighbours(np.zeros((3, 2), np.float32), 2)(np.zeros((1, 2)))).all()


def test_what_does_not_go_together_is_refused():
    with pytest.raises(ValueError, match="all ten digits"):
        fit_class_means(FEATURES, LABELS % 9)
    with pytest.raises(ValueError, match="N labels"):
        fit_class_means(FEATURES, LABELS[:5])
    with pytest.raises(ValueError, match="k from 1 to 600, found 601"):
        fit_neighbours(FEATURES, 601)
    for fitted in (fit_class_means(FEATURES, LABELS), fit_neighbours(FEATURES, 1)):
        with pytest.raises(ValueError, match=r"features of \[N, 6\]"):
            fitted(OTHERS[:, :5])
