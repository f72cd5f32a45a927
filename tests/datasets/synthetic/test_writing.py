from dataclasses import replace

import numpy as np
import pytest

from digitlens.datasets.synthetic.hands import FontHand, Glyph
from digitlens.datasets.synthetic.sheet import IGNORED, Sheet
from digitlens.datasets.synthetic.writing import Baseline, Style, draw_style, text_width, write


@pytest.fixture
def sheet() -> Sheet:
    return Sheet(300, 120, np.eye(3))


@pytest.fixture
def plain(font_hand: FontHand) -> Style:
    return Style(font_hand)


LINE = Baseline(20, 90, 50)


def heights(sheet: Sheet) -> list[float]:
    return [y1 - y0 for _, y0, _, y1 in sheet.boxes]


def test_digits_stand_on_the_line_from_left_to_right(sheet: Sheet, plain: Style, rng):
    end = write(sheet, "27 4", plain, LINE, rng)

    assert sheet.values == [2, 7, 4]
    assert sorted(sheet.boxes) == sheet.boxes
    assert all(abs(height - 50) <= 2 for height in heights(sheet))
    assert all(abs(bottom - 90) <= 2 for *_, bottom in sheet.boxes)
    assert sheet.boxes[2][0] - sheet.boxes[1][2] > 20  # a space
    assert sheet.boxes[-1][2] <= 20 + end <= sheet.boxes[-1][2] + 15


def test_letters_and_marks_are_ink_without_a_box(sheet: Sheet, plain: Style, rng):
    write(sheet, "Wo, 1", plain, LINE, rng)

    assert sheet.values == [1]
    assert sheet.ink[:, : int(sheet.boxes[0][0]) - 10].any()


@pytest.mark.parametrize(("text", "values"), [("O", [IGNORED]), ("x l", [IGNORED]), ("Ol", [])])
def test_a_letter_alone_that_looks_like_a_digit_may_be_read_or_not(
    sheet: Sheet, plain: Style, rng, text: str, values: list[int]
):
    write(sheet, text, plain, LINE, rng)

    assert sheet.values == values


def test_what_the_hand_does_not_write_is_left_out(sheet: Sheet, plain: Style, rng):
    write(sheet, "1ж2", plain, LINE, rng)

    assert sheet.values == [1, 2]


def test_a_line_runs_at_its_angle_and_bends(sheet: Sheet, plain: Style, rng):
    bent = Sheet(300, 120, np.eye(3))

    write(sheet, "1111", plain, replace(LINE, y=60, angle=0.2), rng)
    write(bent, "1111", plain, replace(LINE, curve=-0.1), rng)

    bottoms = [bottom for *_, bottom in sheet.boxes]
    along = sheet.boxes[-1][0] - sheet.boxes[0][0]
    assert bottoms[-1] - bottoms[0] == pytest.approx(along * np.tan(0.2), abs=3)
    steps = np.diff([bottom for *_, bottom in bent.boxes])
    assert (steps < 0).all()
    assert steps[-1] < steps[0]


def test_slant_leans_to_the_right_and_keeps_the_foot(font_hand: FontHand, rng):
    def columns(slant: float) -> np.ndarray:
        sheet = Sheet(120, 120, np.eye(3))
        write(sheet, "1", Style(font_hand, slant=slant), Baseline(40, 100, 70), rng)
        return np.array([np.nonzero(row)[0].mean() for row in sheet.ink[[35, 98]]])

    upright, leaning = columns(0.0), columns(0.4)

    assert leaning[0] - upright[0] > 15
    assert abs(leaning[1] - upright[1]) < 4


def test_weight_makes_strokes_bolder_and_finer_and_keeps_the_box(font_hand: FontHand, rng):
    def drawn(weight: int) -> Sheet:
        sheet = Sheet(120, 120, np.eye(3))
        write(sheet, "3", Style(font_hand, weight=weight), Baseline(40, 100, 70), rng)
        return sheet

    fine, usual, bold = drawn(-1), drawn(0), drawn(4)

    assert int(fine.ink.sum()) < int(usual.ink.sum()) < int(bold.ink.sum())
    assert heights(bold)[0] == pytest.approx(heights(usual)[0], abs=2)


class Hairline:
    """Writes everything as one stroke, a pixel wide."""

    letters = ""

    def glyph(self, char: str, rng: np.random.Generator) -> Glyph:
        del rng
        ink = np.zeros((60, 30), np.uint8)
        ink[:, 15] = 255
        return Glyph(char, ink, 1.0, 0.0, 0.5)


def test_hairlines_are_not_made_finer_until_nothing_is_left(sheet: Sheet, rng):
    write(sheet, "1", Style(Hairline(), weight=-2), LINE, rng)

    assert sheet.values == [1]
    assert heights(sheet)[0] == pytest.approx(50, abs=1)


def test_unsteady_writing_differs_from_digit_to_digit(sheet: Sheet, font_hand: FontHand, rng):
    style = Style(font_hand, drift=0.1, wobble=0.1, turn=0.1, bend=2.0)

    write(sheet, "555", style, LINE, rng)

    assert len({(x1 - x0, y1 - y0, y0) for x0, y0, x1, y1 in sheet.boxes}) == 3
    assert all(30 < height < 75 for height in heights(sheet))


@pytest.mark.parametrize("text", ["1", "07", "3.14"])
def test_the_width_of_a_text_is_known_before_it_is_written(
    sheet: Sheet, font_hand: FontHand, rng, text: str
):
    style = Style(font_hand, stretch=1.3, gap=0.1)

    told = text_width(text, style, rng) * LINE.height

    assert told == pytest.approx(write(sheet, text, style, LINE, rng))


def test_print_is_steadier_than_handwriting(font_hand: FontHand):
    random = np.random.default_rng(1)
    printed = [draw_style(font_hand, random, by_hand=False) for _ in range(50)]
    written = [draw_style(font_hand, random, by_hand=True) for _ in range(50)]

    assert {(style.drift, style.wobble, style.turn, style.bend) for style in printed} == {(0,) * 4}
    assert min(style.wobble for style in written) > 0
    assert min(style.gap for style in printed) >= -0.03
