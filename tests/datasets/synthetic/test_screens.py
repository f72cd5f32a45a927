import numpy as np

from digitlens.datasets.synthetic.hands import FontHand
from digitlens.datasets.synthetic.screens import draw_screen_text
from digitlens.datasets.synthetic.texts import GAP


def test_text_is_set_whole_and_read_without_what_the_font_lacks(font_hand: FontHand, rng):
    for _ in range(20):
        plane, text, digit = draw_screen_text(f"12ж{GAP}5", font_hand, rng)

        assert text == "12 5"
        assert plane.ndim == 3
        assert plane.dtype == np.float32
        assert 4 < digit <= plane.shape[0]
        assert np.ptp(plane) > 20


def test_a_text_too_long_for_a_crop_is_cut(font_hand: FontHand, rng):
    _, text, _ = draw_screen_text("0123456789" * 9, font_hand, rng)

    assert 10 < len(text) < 60
