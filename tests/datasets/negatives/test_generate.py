import numpy as np
import pytest

from digitlens.datasets.negatives.generate import face_ink, make_negatives, source_of


@pytest.fixture(scope="module")
def tiles(face, small_split):
    return make_negatives(300, [face], 0, small_split.tiles)


def test_tiles_are_framed_as_those_of_mnist(tiles):
    assert tiles.shape == (300, 28, 28)
    assert tiles.dtype == np.uint8
    drawn = tiles[(tiles[:, 0] == 0).all(axis=1) & (tiles.max(axis=(1, 2)) == 255)]
    assert len(drawn) > 200  # the others are surfaces
    y, x = np.mgrid[:28, :28] + 0.5
    mass = drawn.sum(axis=(1, 2), dtype=np.float64)
    for axis in (x, y):
        centre = (drawn * axis).sum(axis=(1, 2)) / mass
        assert (np.abs(centre - 14) < 2).all()


def test_a_seed_gives_the_same_tiles_and_a_longer_run_begins_with_a_shorter(
    face, small_split, tiles
):
    again = make_negatives(40, [face], 0, small_split.tiles)
    np.testing.assert_array_equal(again, tiles[:40])
    assert (make_negatives(40, [face], 1, small_split.tiles) != again).any(axis=(1, 2)).mean() > 0.9


def test_tiles_are_of_many_kinds(tiles):
    assert len(np.unique(tiles, axis=0)) > 290
    assert ((tiles > 0).mean(axis=(1, 2)) > 0.9).any()  # noise and patterns


def test_without_digits_nothing_is_spoiled(face, monkeypatch):
    monkeypatch.setattr(
        "digitlens.datasets.negatives.generate.spoil", lambda *_: pytest.fail("spoiled")
    )
    assert make_negatives(60, [face], 0).any(axis=(1, 2)).mean() > 0.9


def test_letters_that_a_face_draws_like_its_digits_are_left_out(face):
    rng = np.random.default_rng(0)
    assert face_ink([face], "8", rng) is None
    assert face_ink([face], "\uffff", rng) is None  # a character that it lacks
    assert face_ink([face], "W", rng) is not None


def test_nothing_to_draw_with_is_an_error(face):
    with pytest.raises(ValueError, match="one face or more"):
        make_negatives(1, [], 0)
    assert source_of([face], None).digits.shape == (0, 28, 28)
