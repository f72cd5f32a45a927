import numpy as np

from digitlens.datasets.negatives.lookalikes import AMBIGUOUS, MEASURED_LETTERS
from digitlens.datasets.negatives.strange import printed_digits, strange_sets


def test_sets_are_tiles_and_the_same_for_one_seed(face):
    sets, again = strange_sets([face], 3, count=20), strange_sets([face], 3, count=20)
    assert list(sets) == ["letters", "look-alikes", "strokes", "noise", "textures", "blank"]
    for name, tiles in sets.items():
        assert tiles.dtype == np.uint8
        assert tiles.shape[1:] == (28, 28)
        np.testing.assert_array_equal(tiles, again[name])
    other = strange_sets([face], 4, count=20)
    assert (other["textures"] != sets["textures"]).any()
    np.testing.assert_array_equal(other["letters"], sets["letters"])


def test_every_letter_is_either_measured_or_a_look_alike(face):
    sets = strange_sets([face], 0, count=1)
    assert len(sets["letters"]) == len(MEASURED_LETTERS) == 52 - 16
    assert len(sets["look-alikes"]) == len(AMBIGUOUS) == 16
    assert not set(MEASURED_LETTERS) & set(AMBIGUOUS)


def test_random_tiles_differ_from_each_other_and_blank_ones_have_no_edges(face):
    sets = strange_sets([face], 0, count=24)
    for name in ("strokes", "noise", "textures"):
        assert len(np.unique(sets[name], axis=0)) == 24
    steps = np.abs(np.diff(sets["blank"].astype(int), axis=2)).mean(axis=(1, 2))
    assert steps.max() < 12
    assert not sets["blank"][0].any()


def test_printed_digits_are_labelled(face):
    tiles, labels = printed_digits([face, face])
    assert labels.tolist() == [*range(10)] * 2
    assert (tiles.max(axis=(1, 2)) == 255).all()
