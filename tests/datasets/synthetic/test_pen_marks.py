import numpy as np

from digitlens.alphabet import ALPHABET
from digitlens.datasets.synthetic.pen_marks import PenMarks
from digitlens.datasets.synthetic.pens import draw_pen


def test_a_pen_writes_the_whole_alphabet(rng: np.random.Generator):
    pen = PenMarks(draw_pen(rng))

    missing = [char for char in ALPHABET if char != " " and pen.glyph(char, rng) is None]

    assert missing == []


def test_points_stand_on_the_line_and_commas_below_it(rng: np.random.Generator):
    pen = PenMarks(draw_pen(rng))
    point, comma, quote = (pen.glyph(char, rng) for char in ".,'")

    assert point
    assert point.height < 0.45
    assert comma
    assert comma.bottom > point.bottom
    assert quote
    assert quote.bottom < -0.5
