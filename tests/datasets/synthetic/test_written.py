import numpy as np
import pytest

from digitlens.datasets.synthetic.hands import FontHand
from digitlens.datasets.synthetic.sheet import Sheet
from digitlens.datasets.synthetic.texts import GAP, RAISE
from digitlens.datasets.synthetic.writing import Style
from digitlens.datasets.synthetic.written import as_label, cased, lay_out, put_marks


def sheet_of(x0: float, x1: float) -> Sheet:
    """Shows the line from x0 to x1, in digit heights, twenty pixels each."""
    view = np.array([[20, 0, -20 * x0], [0, 20, 30], [0, 0, 1.0]])
    return Sheet(round(20 * (x1 - x0)), 44, view)


def test_characters_stand_side_by_side_on_the_line(font_hand: FontHand, rng):
    written = lay_out("0123", Style(font_hand), rng)

    lefts = [mark.extent[0] for mark in written.marks]
    assert lefts == sorted(lefts)
    assert written.extent[1] == pytest.approx(-1, abs=0.06)
    assert written.extent[3] == pytest.approx(0, abs=0.06)


def test_a_character_cut_by_more_than_half_is_not_read(font_hand: FontHand, rng):
    written = lay_out("0808", Style(font_hand), rng)
    ends = [mark.extent for mark in written.marks]
    nearly_all = ends[3][0] + 0.85 * (ends[3][2] - ends[3][0])
    a_little = ends[3][0] + 0.2 * (ends[3][2] - ends[3][0])

    assert put_marks(sheet_of(0, nearly_all), written.marks) == "0808"
    assert put_marks(sheet_of(0, a_little), written.marks) == "080"
    assert put_marks(sheet_of(ends[2][0] - 0.01, 9), written.marks) == "08"


def test_what_is_raised_is_small_and_high(font_hand: FontHand, rng):
    written = lay_out(f"7{RAISE}77{RAISE}7", Style(font_hand), rng)

    first, small, _, last = (mark.extent for mark in written.marks)
    assert small[3] - small[1] < 0.75 * (first[3] - first[1])
    assert small[1] == pytest.approx(first[1], abs=0.05)
    assert last[3] == pytest.approx(first[3], abs=0.01)
    assert len(written.raised) == 1
    assert put_marks(sheet_of(-0.2, 4), written.marks) == "7777"


def test_gaps_are_wide_and_single_spaces_in_the_label(font_hand: FontHand, rng):
    close = lay_out("1 1", Style(font_hand), rng)
    apart = lay_out(f"1{GAP}1", Style(font_hand), rng)

    assert apart.extent[2] > close.extent[2] + 0.3
    assert put_marks(sheet_of(-0.2, 8), apart.marks) == "1 1"


def test_boxes_of_a_form_are_equally_far_apart(font_hand: FontHand, rng):
    written = lay_out("1080", Style(font_hand), rng, pitch=1.2)

    middles = [(mark.extent[0] + mark.extent[2]) / 2 for mark in written.marks]
    assert middles == pytest.approx([0.6, 1.8, 3.0, 4.2], abs=0.08)


def test_a_line_ends_where_no_crop_would_hold_it(font_hand: FontHand, rng):
    assert lay_out("8" * 300, Style(font_hand), rng).extent[2] < 21


def test_nothing_written_is_an_empty_line(font_hand: FontHand, rng):
    assert lay_out("ж", Style(font_hand), rng).marks == ()
    assert lay_out("", Style(font_hand), rng).marks == ()


def test_labels_are_plain():
    assert as_label(f" 1{GAP}2  –3{RAISE}00{RAISE} ") == "1 2 -300"  # noqa: RUF001


def test_small_letters_stay_small_in_a_font_that_has_them(font_hand: FontHand):
    assert cased("Abc", font_hand) == "Abc"
