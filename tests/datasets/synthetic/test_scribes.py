import numpy as np

from digitlens.datasets.mnist import Split
from digitlens.datasets.synthetic.hands import FontHand
from digitlens.datasets.synthetic.scribes import Scribe
from digitlens.datasets.synthetic.writers import Fonts


def test_half_of_the_numbers_by_hand_are_of_writers_of_mnist(small_split: Split, fonts: Fonts, rng):
    scribe = Scribe(small_split, fonts)
    hands = [type(scribe.by_hand(rng).hand).__name__ for _ in range(200)]
    lettered = [type(scribe.by_hand(rng, letters=True).hand).__name__ for _ in range(200)]

    assert 70 < hands.count("_MixedHand") < 130
    assert lettered.count("FontHand") > 90


def test_every_hand_writes_digits_and_marks(small_split: Split, fonts: Fonts, rng):
    scribe = Scribe(small_split, fonts)
    for _ in range(20):
        hand = scribe.by_hand(rng).hand

        assert all(hand.glyph(char, rng) for char in "0123456789.,-/")


def test_print_is_set_in_fonts(small_split: Split, fonts: Fonts, rng):
    scribe = Scribe(small_split, fonts)

    assert all(isinstance(scribe.printed(rng).hand, FontHand) for _ in range(20))


def test_tiles_come_with_their_values(small_split: Split, fonts: Fonts, rng: np.random.Generator):
    tile, value = Scribe(small_split, fonts).tile(rng)

    of_value = small_split.tiles[small_split.labels == value]
    assert any((tile == other).all() for other in of_value)
