import numpy as np
import pytest

from digitlens.datasets.synthetic import displays
from digitlens.datasets.synthetic.displays import DOTS, FOURTEEN, SEVEN, draw_screen_text
from digitlens.datasets.synthetic.texts import GAP

PLAIN = displays.Segments(0.55, 0.12, 0.01, "pointed", 0.0, 0.75, (True, True, False))


def lit(text: str, how: displays.Segments = PLAIN) -> int:
    panel = displays.seven_segments(text, how, np.random.default_rng(0))
    return sum(segment.lit for segment in panel.segments)


def test_digits_light_their_segments():
    assert [lit(str(value)) for value in range(10)] == [6, 2, 5, 5, 4, 5, 6, 3, 7, 6]
    assert [lit(text) for text in ("-", "1:1", "1.1")] == [1, 6, 5]
    other = PLAIN._replace(tails=(False, False, True))  # no tails, but a hook
    assert [lit(char, other) for char in "679"] == [5, 4, 5]
    panel = displays.seven_segments("  42", PLAIN, np.random.default_rng(0))
    assert panel.text == "42"  # without positions that are off
    assert panel.extent[0] > 1.4


@pytest.mark.parametrize("ends", ["pointed", "mitred", "round", "square"])
def test_segments_stay_within_their_digit(ends):
    panel = displays.seven_segments("8", PLAIN._replace(ends=ends), np.random.default_rng(0))
    points = np.concatenate([segment.outline for segment in panel.segments])
    assert points[:, 0].min() >= -0.01
    assert points[:, 0].max() <= 0.56
    assert points[:, 1].min() >= -1.01
    assert points[:, 1].max() <= 0.01


def test_characters_have_distinct_segments_and_dots():
    digits = [SEVEN[char] for char in "0123456789"]
    assert len(set(digits)) == 10
    assert len({frozenset(FOURTEEN[char]) for char in "0123456789ABCDEFGHJKLMNPQRTUVWXYZ"}) == 33
    assert len({DOTS[char] for char in "0123456789ABCDEFGHIJKLMNPQRSTUVWXYZ"}) == 35


def test_screen_text_omits_missing_glyphs_and_is_cut_if_too_long(font_glyphs, rng):
    for _ in range(20):
        plane, text, digit = draw_screen_text(f"12ж{GAP}5", font_glyphs, rng)
        assert text == "12 5"
        assert plane.ndim == 3
        assert plane.dtype == np.float32
        assert 4 < digit <= plane.shape[0]
        assert np.ptp(plane) > 20
    _, text, _ = draw_screen_text("0123456789" * 9, font_glyphs, rng)
    assert 10 < len(text) < 60
