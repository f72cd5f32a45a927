import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digitlens.evaluation.neighbours import nearest, nearest_of, share_nearer


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
    found = nearest(features, known, k)
    np.testing.assert_allclose(found.distances, np.sort(apart, axis=1)[:, :k], atol=2e-3)
    mine = np.take_along_axis(apart, found.indices, axis=1)
    np.testing.assert_allclose(mine, found.distances, atol=2e-3)
    assert all(len(set(row)) == k for row in found.indices.tolist())
    assert (np.diff(found.distances, axis=1) >= 0).all()


@settings(max_examples=30)
@given(cases(), st.floats(0.1, 100))
def test_length_is_nothing_and_a_known_digit_is_nearest_to_itself(case, factor):
    features, known, k, random = case
    longer = nearest(features * np.float32(factor), known * np.float32(factor), k)
    np.testing.assert_allclose(longer.distances, nearest(features, known, k).distances, atol=2e-3)
    place = int(random.integers(len(known)))
    assert nearest(known[place : place + 1], known, 1).distances[0, 0] <= 2e-3


@settings(max_examples=30)
@given(cases())
def test_of_chosen_ones_the_indices_are_those_of_all(case):
    features, known, k, random = case
    chosen = random.random(len(known)) < 0.5
    chosen[random.integers(len(known))] = True
    found = nearest_of(features, known, chosen, k)
    assert found.indices.shape[1] == min(k, chosen.sum())
    assert chosen[found.indices].all()
    alone = nearest(features, known[chosen], found.indices.shape[1])
    assert (np.flatnonzero(chosen)[alone.indices] == found.indices).all()


@given(st.lists(st.floats(0, 2), min_size=1), st.lists(st.floats(0, 2)))
def test_the_share_that_is_nearer_is_counted(usual, distances):
    shares = share_nearer(np.array(distances), np.sort(usual))
    counted = [sum(one < distance for one in usual) / len(usual) for distance in distances]
    assert shares.tolist() == counted


def test_of_equals_the_first_is_first():
    known = np.tile(np.eye(3, dtype=np.float32), (3, 1))
    assert nearest(known[1:2], known, 3).indices.tolist() == [[1, 4, 7]]


def test_what_cannot_be_compared_is_said():
    known = np.ones((3, 4), np.float32)
    with pytest.raises(ValueError, match=r"found \[2, 5\] and \[3, 4\]"):
        nearest(np.ones((2, 5)), known, 1)
    with pytest.raises(ValueError, match="expected k from 1 to 3, found 4"):
        nearest(known, known, 4)
    with pytest.raises(ValueError, match="from 1 to 0"):
        nearest_of(known, known, np.zeros(3, bool), 2)
    with pytest.raises(ValueError, match="at least one usual distance"):
        share_nearer(np.ones(1), np.ones(0))
