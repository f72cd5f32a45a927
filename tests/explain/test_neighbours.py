import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digitlens.errors import MissingExtraError, ModelError
from digitlens.explain.neighbours import (
    embed_known_digits,
    find_nearest,
    find_nearest_of,
    measure_usual_distances,
    pca,
    project,
    share_nearer,
)
from digitlens.outputs import Outputs


def unit(rows):
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


@st.composite
def cases(draw):
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    count, width = draw(st.integers(1, 40)), draw(st.integers(1, 6))
    known = random.normal(size=(count, width)).astype(np.float32)
    features = random.normal(size=(draw(st.integers(1, 5)), width)).astype(np.float32)
    return features, known, draw(st.integers(1, count)), random


@settings(max_examples=30)
@given(cases())
def test_they_are_those_that_a_look_at_each_pair_finds(case):
    features, known, k, _ = case
    apart = np.linalg.norm(unit(features)[:, None] - unit(known)[None], axis=2)
    found = find_nearest(features, known, k)
    np.testing.assert_allclose(found.distances, np.sort(apart, axis=1)[:, :k], atol=2e-3)
    mine = np.take_along_axis(apart, found.indices, axis=1)
    np.testing.assert_allclose(mine, found.distances, atol=2e-3)
    assert all(len(set(row)) == k for row in found.indices.tolist())
    assert (np.diff(found.distances, axis=1) >= 0).all()


@settings(max_examples=30)
@given(cases(), st.floats(0.1, 100))
def test_length_is_nothing_and_a_known_digit_is_nearest_to_itself(case, factor):
    features, known, k, random = case
    longer = find_nearest(features * np.float32(factor), known * np.float32(factor), k)
    np.testing.assert_allclose(
        longer.distances, find_nearest(features, known, k).distances, atol=2e-3
    )
    place = int(random.integers(len(known)))
    assert find_nearest(known[place : place + 1], known, 1).distances[0, 0] <= 2e-3


@settings(max_examples=30)
@given(cases())
def test_of_chosen_ones_the_indices_are_those_of_all(case):
    features, known, k, random = case
    chosen = random.random(len(known)) < 0.5
    chosen[random.integers(len(known))] = True
    found = find_nearest_of(features, known, chosen, k)
    assert found.indices.shape[1] == min(k, chosen.sum())
    assert chosen[found.indices].all()
    alone = find_nearest(features, known[chosen], found.indices.shape[1])
    assert (np.flatnonzero(chosen)[alone.indices] == found.indices).all()


@given(st.lists(st.floats(0, 2), min_size=1), st.lists(st.floats(0, 2)))
def test_the_share_that_is_nearer_is_counted(usual, distances):
    shares = share_nearer(np.array(distances), np.sort(usual))
    counted = [sum(one < distance for one in usual) / len(usual) for distance in distances]
    assert shares.tolist() == counted


def test_of_equals_the_first_is_first_and_what_cannot_be_compared_is_said():
    known = np.tile(np.eye(3, dtype=np.float32), (3, 1))
    assert find_nearest(known[1:2], known, 3).indices.tolist() == [[1, 4, 7]]
    known = np.ones((3, 4), np.float32)
    with pytest.raises(ValueError, match=r"found \[2, 5\] and \[3, 4\]"):
        find_nearest(np.ones((2, 5)), known, 1)
    with pytest.raises(ValueError, match="expected k from 1 to 3, found 4"):
        find_nearest(known, known, 4)
    with pytest.raises(ValueError, match="from 1 to 0"):
        find_nearest_of(known, known, np.zeros(3, bool), 2)
    with pytest.raises(ValueError, match="at least one usual distance"):
        share_nearer(np.ones(1), np.ones(0))


class Model:
    """Its features are the columns' sums; counts the tiles that it is asked for."""

    name, sha256 = "sums", "ab" * 32

    def __init__(self):
        self.asked = 0

    def outputs(self, tiles):
        self.asked += len(tiles)
        chances = np.full((len(tiles), 10), 0.1, np.float32)
        return Outputs(chances, features=tiles.sum(axis=1, dtype=np.float32) / 255)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("DIGITLENS_CACHE", str(tmp_path))
    return tmp_path / "known"


def test_what_was_computed_is_loaded_the_next_time(folder, small_split):
    model = Model()
    first = embed_known_digits(model, small_split)
    assert (first.features == small_split.tiles.sum(axis=1, dtype=np.float32) / 255).all()
    assert first.labels is small_split.labels
    asked, (file,) = model.asked, folder.iterdir()
    assert asked > len(small_split)
    again = embed_known_digits(model, small_split)
    assert model.asked == asked + 1  # for their width
    assert again.features.dtype == np.float32
    assert (again.features == first.features).all()
    assert not first.features.flags.writeable
    assert not again.features.flags.writeable
    # Other tiles, and another model, are something else.
    embed_known_digits(model, small_split.take(range(40)))
    model.sha256 = "cd" * 32
    embed_known_digits(model, small_split)
    assert len(list(folder.iterdir())) == 3
    assert file.exists()


def wrong(kind, shape):
    values = np.ones(shape, kind)
    if kind is np.float32 and shape == (400, 28):
        values[7, 7] = np.nan
    return values


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"no numbers", b"\x93NUMPY\x01\x00v\x00{'descr': '<f4'"),
        *(wrong(np.float32, (400, 28)), wrong(np.float64, (400, 28)), wrong(np.float32, (400, 27))),
        np.array([{"a": 1}], object),
    ],
    ids=["empty", "text", "cut", "nan", "double", "narrow", "pickled"],
)
def test_a_damaged_file_is_computed_anew(folder, small_split, content):
    model = Model()
    right = np.array(embed_known_digits(model, small_split).features)
    (file,) = folder.iterdir()
    good = file.read_bytes()
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        np.save(file, content, allow_pickle=True)
    asked = model.asked
    assert (embed_known_digits(model, small_split).features == right).all()
    assert model.asked == asked + 1 + len(small_split)
    assert file.read_bytes() == good


def test_a_cache_that_cannot_be_written_is_only_noted(tmp_path, monkeypatch, small_split, capsys):
    (tmp_path / "file").write_text("here no folder can be")
    monkeypatch.setenv("DIGITLENS_CACHE", str(tmp_path / "file"))
    assert len(embed_known_digits(Model(), small_split).features) == 400
    assert "cannot be kept for the next time" in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
def test_usual_distances_are_those_of_other_digits_in_order_and_kept(small_split):
    model = Model()
    known = embed_known_digits(model, small_split.take(range(300)))
    others = small_split.take(range(300, 400))
    found = measure_usual_distances(model, known, others)
    assert found.shape == (100,)
    assert (np.diff(found) >= 0).all()
    assert 0 < found[0] < found[-1] < 1
    asked = model.asked
    assert (measure_usual_distances(model, known, others) == found).all()
    assert model.asked == asked
    assert measure_usual_distances(model, known, others.take(np.zeros(100, bool))).shape == (0,)


def test_a_model_without_features_is_refused(folder, small_split):
    model = Model()
    model.outputs = lambda tiles: Outputs(np.full((len(tiles), 10), 0.1))
    with pytest.raises(ModelError, match="sums gives no features: expected one network"):
        embed_known_digits(model, small_split)
    assert not folder.exists()


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


def test_what_cannot_be_mapped_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(MissingExtraError, match=r"'umap'.*pip install 'digitlens\[maps\]'"):
        project(np.eye(5), "umap")
    for features in (np.zeros((2, 5)), np.zeros((5, 1)), np.zeros(5)):
        with pytest.raises(ValueError, match="expected features of"):
            project(features)
    with pytest.raises(ValueError, match="found 'lda'"):
        project(np.eye(5), "lda")
