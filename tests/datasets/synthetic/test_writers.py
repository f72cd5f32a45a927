import numpy as np

from digitlens.datasets.mnist import Split
from digitlens.datasets.synthetic.hands import FontHand, PenHand, WriterHand
from digitlens.datasets.synthetic.writers import Fonts, Writers


def test_digits_are_written_by_tiles_pens_and_fonts(writers: Writers, rng):
    hands = [type(writers.digit_style(rng).hand) for _ in range(300)]

    shares = [hands.count(kind) / 300 for kind in (WriterHand, PenHand, FontHand)]
    assert np.abs(np.subtract(shares, (0.40, 0.40, 0.20))).max() < 0.08


def test_text_is_written_in_fonts_and_with_pens(writers: Writers, rng):
    hands = [type(writers.word_style(rng).hand) for _ in range(200)]
    assert set(hands) == {FontHand, PenHand}
    assert 0.3 < hands.count(PenHand) / 200 < 0.5


def test_fonts_that_look_handwritten_are_unsteady(
    small_split: Split, font_hand: FontHand, rng: np.random.Generator
):
    by_hand = FontHand.__new__(FontHand)
    by_hand.glyphs = font_hand.glyphs
    writers = Writers(small_split, Fonts(hand=(by_hand,), print=(font_hand,)))

    drawn = [writers.word_style(rng) for _ in range(300)]
    styles = [style for style in drawn if isinstance(style.hand, FontHand)]

    assert all((style.hand is by_hand) == (style.wobble > 0) for style in styles)
    assert 0.35 < np.mean([style.hand is by_hand for style in styles]) < 0.55


def test_a_writer_has_three_tiles_of_each_digit_with_its_label(
    writers: Writers, small_split: Split, rng
):
    drawn = [writers.digit_style(rng).hand for _ in range(40)]
    hands = [hand for hand in drawn if isinstance(hand, WriterHand)]

    assert len(hands) > 3
    for value, own in enumerate(small_split.tiles[small_split.labels == v] for v in range(10)):
        for tiles in (hand.digits[value] for hand in hands):
            assert len(tiles) == 3
            assert all((own == tile).all(axis=(1, 2)).any() for tile in tiles)
