import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitlens.errors import MissingExtraError
from digitlens.evaluation.projection import pca, project


def distances(points):
    return np.linalg.norm(points[:, None].astype(np.float64) - points[None], axis=2)


@given(st.integers(0, 1000), st.integers(3, 40), st.integers(2, 30))
def test_what_lies_in_a_plane_keeps_its_distances(seed, count, width):
    random = np.random.default_rng(seed)
    features = random.normal(size=(count, 2)) @ random.normal(size=(2, width)) + 100
    found = pca(features)
    np.testing.assert_allclose(distances(found), distances(features), atol=1e-4)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-4)
    assert np.array_equal(found, pca(features.copy()))


@given(st.integers(0, 1000))
def test_axes_are_those_of_most_variance_and_point_one_way(seed):
    random = np.random.default_rng(seed)
    features = random.normal(size=(50, 6)) * [1, 9, 1, 4, 1, 1]
    found = pca(features)
    largest = np.linalg.eigvalsh(np.cov(features.T))[:-3:-1]
    np.testing.assert_allclose(found.var(axis=0, ddof=1), largest, rtol=1e-5)
    assert abs(np.corrcoef(found.T)[0, 1]) < 1e-5
    # Neither the order of the tiles nor rounding turns the map round.
    np.testing.assert_allclose(pca(features[::-1])[::-1], found, atol=1e-4)


def test_tsne_keeps_two_heaps_apart():
    random = np.random.default_rng(0)
    features = random.normal(size=(40, 5)) + np.repeat([0, 50], 20)[:, None]
    found = project(features, "tsne")
    assert found.dtype == np.float32
    far = distances(found)
    nearest = (far + 1e9 * np.eye(40)).argmin(axis=1)
    assert np.array_equal(nearest < 20, np.arange(40) < 20)


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(MissingExtraError, match=r"'umap'.*pip install 'digitlens\[maps\]'"):
        project(np.eye(5), "umap")


@pytest.mark.parametrize("features", [np.zeros((2, 5)), np.zeros((5, 1)), np.zeros(5)])
def test_too_little_for_a_map_is_refused(features):
    with pytest.raises(ValueError, match="expected features of"):
        project(features)
    with pytest.raises(ValueError, match="found 'lda'"):
        project(np.eye(5), "lda")
