import numpy as np
import pytest
from PIL import ImageFont

from digitlens.alphabet import ALPHABET
from digitlens.datasets.synthetic.glyph_sources import (
    DIGITS,
    EM,
    FontGlyphs,
    MnistGlyphs,
    PenGlyphs,
)
from digitlens.datasets.synthetic.strokes import draw_pen


def is_cropped(ink: np.ndarray) -> bool:
    return all(edge.max() > 40 for edge in (ink[0], ink[-1], ink[:, 0], ink[:, -1]))


def test_a_font_writes_all_digits_at_one_height(font_glyphs, rng):
    for char in DIGITS:
        glyph = font_glyphs.glyph(char, rng)
        assert glyph.char == char
        assert glyph.height == pytest.approx(1, abs=0.08)
        assert glyph.bottom == pytest.approx(0, abs=0.05)
        assert glyph.advance > 0.3
        assert glyph.ink.dtype == np.uint8
        assert is_cropped(glyph.ink)
    assert len({font_glyphs.glyphs[char].ink.tobytes() for char in DIGITS}) == 10


def test_marks_hang_below_the_line_or_above(font_glyphs):
    comma, quote, dash = (font_glyphs.glyphs[char] for char in ",'-")
    assert comma.bottom > 0.05
    assert quote.bottom < -0.5
    assert dash.height < 0.3


def test_letters_are_all_that_a_font_has_and_is_no_digit(font_glyphs, rng):
    assert set("aZ$") <= set(font_glyphs.letters)
    assert not set(DIGITS) & set(font_glyphs.letters)
    assert font_glyphs.glyph("ж", rng) is None
    assert bytes(ImageFont.load_default(EM).getmask("€"))  # the font draws a box for it
    assert font_glyphs.glyph("€", rng) is None
    assert font_glyphs.glyph("$", rng) is not None
    alone = FontGlyphs({"latin": ImageFont.load_default(EM)}, digits_only=True)
    assert alone.letters == ""
    assert alone.glyph("a", rng) is None
    assert alone.glyph("7", rng) is not None


def test_a_writer_repeats_the_tiles_of_a_digit(small_split):
    random = np.random.default_rng(0)
    tiles = [small_split.tiles[small_split.labels == value][:2] for value in range(10)]
    source = MnistGlyphs(tiles)
    drawn = [source.glyph("3", random) for _ in range(20)]
    assert len({glyph.ink.tobytes() for glyph in drawn if glyph}) == 2
    for glyph in drawn:
        assert is_cropped(glyph.ink)
        # The tile's three is 20 rows of 11 columns: four times as large, with smooth edges.
        assert glyph.ink.shape == pytest.approx((80, 44), abs=6)
        assert 0.88 <= glyph.height <= 1.1


def test_writers_write_digits_alone_and_an_empty_tile_is_a_dot(small_split, rng):
    source = MnistGlyphs([small_split.tiles[small_split.labels == value] for value in range(10)])
    assert source.letters == ""
    assert source.glyph("a", rng) is None
    assert all(source.glyph(char, rng) for char in DIGITS)
    empty = MnistGlyphs([np.zeros((1, 28, 28), np.uint8)] * 10)
    assert empty.glyph("0", rng).ink.any()


def test_pens_write_letters_that_are_no_digits(rng):
    source = PenGlyphs(draw_pen(rng))
    assert all(source.glyph(char, rng) for char in DIGITS + source.letters)
    assert not set(source.letters) & (set(DIGITS) | set("oOlIiszZSgq"))
    assert source.glyph("|", rng) is None


def test_small_letters_stand_on_the_line_and_tails_hang_below_it(rng):
    source = PenGlyphs(draw_pen(rng))
    small, tail, tall = (source.glyph(char, rng) for char in "xpT")
    assert small.height < 0.85 * tall.height
    assert abs(small.bottom) < 0.2
    assert tail.bottom > 0.1


def test_a_pen_draws_each_digit_anew(rng):
    source = PenGlyphs(draw_pen(rng))
    first, second = source.glyph("2", rng), source.glyph("2", rng)
    assert is_cropped(first.ink)
    assert first.ink.tobytes() != second.ink.tobytes()


def test_a_pen_writes_the_whole_alphabet_points_on_the_line_and_commas_below(rng):
    pen = PenGlyphs(draw_pen(rng), marks=True)
    missing = [char for char in ALPHABET if char != " " and pen.glyph(char, rng) is None]
    assert missing == []
    point, comma, quote = (pen.glyph(char, rng) for char in ".,'")
    assert point.height < 0.45
    assert comma.bottom > point.bottom
    assert quote.bottom < -0.5
