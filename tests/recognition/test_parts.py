import pytest

from digitlens.recognition.parts import Part, digit_parts
from digitlens.results import Box

WIDTH, HEIGHT = 400, 200


def parts(*boxes, stroke=5.0):
    found = [Part((k,), Box(*box), stroke) for k, box in enumerate(boxes, 1)]
    return sorted(found, key=lambda part: -part.box.width * part.box.height)


def lines(found, width=WIDTH, height=HEIGHT):
    """What comes out, as the labels of its parts."""
    return [[sorted(part.labels) for part in line] for line in digit_parts(found, width, height)]


def test_nothing_gives_nothing():
    assert lines([]) == []


def test_lines_are_read_from_top_to_bottom_and_left_to_right():
    lower_right, upper = (200, 120, 230, 180), (100, 20, 130, 80)
    lower_left, lower_middle = (40, 125, 70, 185), (120, 110, 150, 170)
    found = parts(lower_right, upper, lower_left, lower_middle)
    assert lines(found) == [[[2]], [[3], [4], [1]]]


def test_a_line_that_climbs_is_one_line():
    found = parts(*((30 + 60 * k, 100 - 20 * k, 60 + 60 * k, 160 - 20 * k) for k in range(5)))
    assert lines(found) == [[[1], [2], [3], [4], [5]]]


def test_the_bar_of_a_five_belongs_to_it():
    body, bar = (100, 60, 140, 120), (105, 42, 150, 52)
    assert lines(parts(body, bar)) == [[[1, 2]]]


def test_a_short_stroke_beside_a_long_one_belongs_to_it():
    stem, corner = (130, 40, 140, 120), (90, 40, 125, 80)
    assert lines(parts(stem, corner)) == [[[1, 2]]]


def test_digits_side_by_side_stay_apart():
    assert lines(parts((90, 40, 130, 120), (133, 42, 170, 120))) == [[[1], [2]]]


def test_digits_of_two_close_lines_stay_apart():
    assert lines(parts((90, 20, 130, 80), (90, 85, 130, 145))) == [[[1]], [[2]]]


@pytest.mark.parametrize(
    "other",
    [
        (200, 110, 208, 118),  # a full stop
        (200, 75, 240, 82),  # a dash
        (0, 190, 400, 196),  # a line at the foot of the page
        (0, 0, 30, 200),  # a shadow at its side
        (70, 20, 180, 150),  # a box drawn around the digit
        (300, 60, 380, 66),  # a piece of a rule
    ],
)
def test_what_is_no_digit_is_left_out(other):
    assert lines(parts((100, 40, 140, 120), other)) == [[[1]]]


def test_a_digit_that_fills_the_picture_is_kept():
    assert lines(parts((0, 0, 20, 20)), 20, 20) == [[[1]]]
    assert lines(parts((0, 0, 6, 28)), 6, 28) == [[[1]]]


def test_an_empty_cell_of_a_form_is_empty():
    left, foot = Part((1,), Box(0, 0, 4, 60), 4.0), Part((2,), Box(0, 57, 60, 60), 3.0)
    assert lines([left], 60, 60) == []
    assert lines([foot], 60, 60) == []


def test_specks_alone_are_no_digits():
    assert lines(parts((50, 50, 53, 53), (90, 20, 92, 23), stroke=2.0)) == []


def test_a_blot_is_no_digit():
    assert lines(parts((100, 40, 160, 100), stroke=50.0)) == []
