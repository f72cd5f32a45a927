import numpy as np
import pytest

from digitlens.datasets.synthetic.letters import LETTERS
from digitlens.datasets.synthetic.pens import SIDE, draw_form, draw_pen


@pytest.mark.parametrize("char", LETTERS)
def test_each_letter_is_drawn_within_the_square(char: str):
    strokes = LETTERS[char]
    points = np.concatenate(strokes)
    assert all(len(stroke) >= 2 for stroke in strokes)
    assert points.min() >= 0
    assert points.max() <= 1.25
    rng = np.random.default_rng(3)
    ink = draw_form(strokes, draw_pen(rng), rng)
    assert ink.shape == (SIDE, SIDE)
    assert ink.any()
