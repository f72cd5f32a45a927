from dataclasses import replace

import numpy as np
import pytest

from digitlens.alphabet import OTHER, encode
from digitlens.datasets.synthetic.canvas import (
    IGNORED,
    Baseline,
    Canvas,
    Style,
    as_label,
    cased,
    lay_out,
    put_glyphs,
    text_width,
    write,
)
from digitlens.datasets.synthetic.glyph_sources import FontGlyphs
from digitlens.datasets.synthetic.texts import GAP, RAISE

BLOCK = np.full((30, 20), 255, np.uint8)


def placed(x: float, y: float, scale: float = 1.0) -> np.ndarray:
    return np.array([[scale, 0, x], [0, scale, y]])


def ink_box(canvas: Canvas, above: int = 70) -> tuple[int, ...]:
    rows, columns = np.nonzero(canvas.ink > above)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def test_untransformed_ink_gets_its_exact_box():
    canvas = Canvas(100, 80, np.eye(3))
    canvas.put(BLOCK, placed(12, 7), 4)
    assert canvas.boxes == [(12, 7, 32, 37)]
    assert canvas.values == [4]
    assert (canvas.ink[7:37, 12:32] == 255).all()
    assert np.count_nonzero(canvas.ink) == BLOCK.size


@pytest.mark.parametrize("tilt", [(0.0, 0.0), (1.5e-3, 0.0), (-1e-3, 1.2e-3)])
def test_box_follows_rotation_and_perspective(font_glyphs, tilt):
    view = np.array([[0.96, -0.25, 30], [0.25, 0.96, -10], [*tilt, 1]])
    canvas = Canvas(200, 200, view)
    ink = font_glyphs.glyphs["8"].ink
    canvas.put(ink, placed(80, 60, 0.8), 8)
    assert canvas.boxes[0] == ink_box(canvas)
    rows, columns = np.nonzero(ink > 128)  # each pixel mapped by the homography itself
    points = np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))])
    to_paper = np.vstack([placed(80, 60, 0.8), [0, 0, 1]])
    x, y, w = view @ to_paper @ points
    expected = ((x / w).min(), (y / w).min(), (x / w).max(), (y / w).max())
    assert np.abs(np.subtract(canvas.boxes[0], expected)).max() <= 3


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (0, [4]),
        (-8, [4]),  # 12 of 20 columns are visible
        (-12, [IGNORED]),
        (-19, []),
        (-40, []),
        (90, [IGNORED]),
        (200, []),
    ],
)
def test_cut_digit_is_labelled_by_its_visible_fraction(x, expected):
    canvas = Canvas(100, 80, np.eye(3))
    canvas.put(BLOCK, placed(x, 7), 4)
    assert canvas.values == expected
    for box in canvas.boxes:
        assert box == (max(0, x), 7, min(100, x + 20), 37)


@pytest.mark.parametrize(
    ("ink", "place", "value"),
    [(BLOCK, (12, 7), None), (0 * BLOCK, (12, 7), 4), (BLOCK, (-500, -500, 100), 4)],
    ids=["no digit", "no ink", "blown up"],
)
def test_other_ink_and_invisible_ink_get_no_box(ink, place, value):
    canvas = Canvas(100, 80, np.eye(3))
    canvas.put(ink, placed(*place), value)
    assert canvas.boxes == canvas.values == []
    assert np.count_nonzero(canvas.ink) == (BLOCK.size if value is None else 0)


def test_overlapping_ink_keeps_the_darker():
    canvas = Canvas(100, 80, np.eye(3))
    canvas.put(BLOCK, placed(12, 7), 4)
    canvas.put(BLOCK // 2, placed(22, 7), 5)
    assert (canvas.ink[7:37, 12:32] == 255).all()
    assert (canvas.ink[7:37, 32:42] == 127).all()
    assert canvas.boxes[1] == (22, 7, 42, 37)


def test_rule_is_drawn_between_its_transformed_points():
    turned = np.array([[0, -1, 100], [1, 0, 0], [0, 0, 1]])  # a quarter turn clockwise
    canvas = Canvas(100, 100, turned)
    canvas.line((20, 30), (80, 30), 3, level=160)
    assert canvas.at((20, 30)) == (70, 20)
    assert np.abs(np.subtract(ink_box(canvas), (69, 20, 72, 81))).max() <= 2
    assert canvas.ink.max() == 160


@pytest.fixture
def canvas() -> Canvas:
    return Canvas(300, 120, np.eye(3))


@pytest.fixture
def plain(font_glyphs: FontGlyphs) -> Style:
    return Style(font_glyphs)


LINE = Baseline(20, 90, 50)


def heights(canvas: Canvas) -> list[float]:
    return [y1 - y0 for _, y0, _, y1 in canvas.boxes]


def test_digits_are_written_on_the_baseline_from_left_to_right(canvas, plain, rng):
    end = write(canvas, "27 4", plain, LINE, rng)
    assert canvas.values == [2, 7, 4]
    assert sorted(canvas.boxes) == canvas.boxes
    assert all(abs(height - 50) <= 2 for height in heights(canvas))
    assert all(abs(bottom - 90) <= 2 for *_, bottom in canvas.boxes)
    assert canvas.boxes[2][0] - canvas.boxes[1][2] > 20  # a space
    assert canvas.boxes[-1][2] <= 20 + end <= canvas.boxes[-1][2] + 15


def test_letters_and_marks_are_ink_without_a_box(canvas, plain, rng):
    write(canvas, "Wo, 1", plain, LINE, rng)
    assert canvas.values == [1]
    assert canvas.ink[:, : int(canvas.boxes[0][0]) - 10].any()


@pytest.mark.parametrize(
    ("text", "values"),
    [
        *(("O", [IGNORED]), ("x l", [IGNORED]), ("Ol", [])),  # a lone look-alike is optional
        ("1ж2", [1, 2]),  # missing in the font: left out
    ],
)
def test_values_of_digits_and_look_alike_letters(canvas, plain, rng, text, values):
    write(canvas, text, plain, LINE, rng)
    assert canvas.values == values


def test_line_follows_its_angle_and_curve(canvas, plain, rng):
    bent = Canvas(300, 120, np.eye(3))
    write(canvas, "1111", plain, replace(LINE, y=60, angle=0.2), rng)
    write(bent, "1111", plain, replace(LINE, curve=-0.1), rng)
    bottoms = [bottom for *_, bottom in canvas.boxes]
    along = canvas.boxes[-1][0] - canvas.boxes[0][0]
    assert bottoms[-1] - bottoms[0] == pytest.approx(along * np.tan(0.2), abs=3)
    steps = np.diff([bottom for *_, bottom in bent.boxes])
    assert (steps < 0).all()
    assert steps[-1] < steps[0]


def test_slant_leans_right_and_weight_changes_stroke_width(font_glyphs, rng):
    def drawn(char: str, **style: float) -> Canvas:
        canvas = Canvas(120, 120, np.eye(3))
        write(canvas, char, Style(font_glyphs, **style), Baseline(40, 100, 70), rng)
        return canvas

    upright, leaning = (
        np.array([np.nonzero(row)[0].mean() for row in drawn("1", slant=slant).ink[[35, 98]]])
        for slant in (0.0, 0.4)
    )
    assert leaning[0] - upright[0] > 15
    assert abs(leaning[1] - upright[1]) < 4  # the foot stays
    fine, usual, bold = (drawn("3", weight=weight) for weight in (-1, 0, 4))
    assert int(fine.ink.sum()) < int(usual.ink.sum()) < int(bold.ink.sum())
    assert heights(bold)[0] == pytest.approx(heights(usual)[0], abs=2)


@pytest.mark.parametrize("text", ["1", "07", "3.14"])
def test_text_width_matches_the_written_width(canvas, font_glyphs, rng, text):
    style = Style(font_glyphs, stretch=1.3, gap=0.1)
    told = text_width(text, style, rng) * LINE.height
    assert told == pytest.approx(write(canvas, text, style, LINE, rng))


def sheet_of(x0: float, x1: float) -> Canvas:
    """Returns a canvas of the line from x0 to x1, in digit heights of 20 pixels."""
    view = np.array([[20, 0, -20 * x0], [0, 20, 30], [0, 0, 1.0]])
    return Canvas(round(20 * (x1 - x0)), 44, view)


def test_character_cut_by_more_than_half_is_not_in_the_label(font_glyphs, rng):
    written = lay_out("0808", Style(font_glyphs), rng)
    ends = [glyph.extent for glyph in written.glyphs]
    nearly_all = ends[3][0] + 0.85 * (ends[3][2] - ends[3][0])
    a_little = ends[3][0] + 0.2 * (ends[3][2] - ends[3][0])
    assert put_glyphs(sheet_of(0, nearly_all), written.glyphs) == "0808"
    assert put_glyphs(sheet_of(0, a_little), written.glyphs) == "080"
    assert put_glyphs(sheet_of(ends[2][0] - 0.01, 9), written.glyphs) == "08"


def test_raised_characters_are_small_and_high(font_glyphs, rng):
    written = lay_out(f"7{RAISE}77{RAISE}7", Style(font_glyphs), rng)
    first, small, _, last = (glyph.extent for glyph in written.glyphs)
    assert small[3] - small[1] < 0.75 * (first[3] - first[1])
    assert small[1] == pytest.approx(first[1], abs=0.05)
    assert last[3] == pytest.approx(first[3], abs=0.01)
    assert len(written.raised) == 1
    assert put_glyphs(sheet_of(-0.2, 4), written.glyphs) == "7777"


def test_gap_is_wide_but_one_space_in_the_label(font_glyphs, rng):
    close = lay_out("1 1", Style(font_glyphs), rng)
    apart = lay_out(f"1{GAP}1", Style(font_glyphs), rng)
    assert apart.extent[2] > close.extent[2] + 0.3
    assert put_glyphs(sheet_of(-0.2, 8), apart.glyphs) == "1 1"


def test_pitch_spaces_characters_equally(font_glyphs, rng):
    written = lay_out("1080", Style(font_glyphs), rng, pitch=1.2)
    middles = [(glyph.extent[0] + glyph.extent[2]) / 2 for glyph in written.glyphs]
    assert middles == pytest.approx([0.6, 1.8, 3.0, 4.2], abs=0.08)


@pytest.mark.parametrize("text", ["ж", ""])
def test_empty_text_has_no_glyphs_and_long_text_is_cut(font_glyphs, rng, text):
    assert lay_out(text, Style(font_glyphs), rng).glyphs == ()
    assert lay_out("8" * 300, Style(font_glyphs), rng).extent[2] < 21  # the most that a crop holds


def test_labels_are_normalised_and_lower_case_kept_if_available(font_glyphs):
    assert as_label(f" 1{GAP}2  –3{RAISE}00{RAISE} ") == "1 2 -300"  # noqa: RUF001
    assert cased("Abc", font_glyphs) == "Abc"


def test_label_has_a_space_for_a_row_of_dots():
    assert as_label("Index . . . . . 12") == as_label("Index.......12") == "Index 12"
    assert as_label("No... 1.50") == "No... 1.50"


def test_icons_are_drawn_in_any_font_and_labelled_other(font_glyphs, rng):
    written = lay_out("▶ 7 ★", Style(font_glyphs), rng)
    drawn = [glyph for glyph in written.glyphs if glyph.ink is not None]
    assert [glyph.char for glyph in drawn] == ["▶", "7", "★"]
    assert all(0.2 < (glyph.ink > 128).mean() < 0.8 for glyph in drawn)
    assert encode("▶★") == [OTHER, OTHER]
