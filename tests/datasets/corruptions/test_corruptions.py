import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from digitlens.datasets.corruptions import corruptions
from digitlens.datasets.corruptions.corruptions import CORRUPTIONS, corrupt

PAPER = [
    *("shot_noise", "impulse_noise", "glass_blur", "motion_blur", "shear", "scale", "rotate"),
    *("brightness", "translate", "stripe", "fog", "spatter", "dotted_line", "zigzag"),
    "canny_edges",
]
FIXED = {"scale", "brightness", "stripe", "canny_edges"}  # nothing random in them

names = pytest.mark.parametrize("name", PAPER)


def test_the_fifteen_in_the_order_of_the_paper():
    assert list(CORRUPTIONS) == PAPER


@names
def test_changes_tiles_and_leaves_those_given_alone(tiles, name):
    before = tiles.copy()
    corrupted = corrupt(tiles, name)
    assert corrupted.dtype == np.uint8
    assert corrupted.shape == tiles.shape
    assert np.array_equal(tiles, before)
    assert (corrupted != tiles).any(axis=(1, 2)).all()


@names
def test_the_same_for_the_same_seed_and_another_for_another(tiles, name):
    assert np.array_equal(corrupt(tiles, name, 3), corrupt(tiles, name, 3))
    assert np.array_equal(corrupt(tiles, name, 3), corrupt(tiles, name, 4)) == (name in FIXED)


@names
def test_each_tile_draws_its_own(tiles, name):
    corrupted = corrupt(np.repeat(tiles[:1], 12, axis=0), name)
    assert (len(np.unique(corrupted, axis=0)) == 1) == (name in FIXED)


@names
def test_tiles_of_the_first_chunk_are_the_same_however_many_follow(tiles, name, monkeypatch):
    monkeypatch.setattr(corruptions, "CHUNK", 8)
    assert np.array_equal(corrupt(tiles, name)[:8], corrupt(tiles[:8], name))


@names
def test_no_tiles_are_none(name):
    assert corrupt(np.zeros((0, 28, 28), np.uint8), name).shape == (0, 28, 28)


@settings(max_examples=30)
@given(st.sampled_from(PAPER), arrays(np.uint8, (2, 28, 28)), st.integers(0, 2**31))
def test_any_tiles_can_be_corrupted(name, anything, seed):
    assert corrupt(anything, name, seed).shape == anything.shape


def test_another_name_is_refused_with_those_there_are(tiles):
    with pytest.raises(ValueError, match=r"shot_noise, .*, found 'snow'"):
        corrupt(tiles, "snow")
