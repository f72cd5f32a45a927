import numpy as np
import pytest

from digitlens.recognition.candidates import Candidates
from digitlens.recognition.compose import compose, fitted
from digitlens.recognition.expect import Pattern

THRESHOLDS = {"digit": 0.8, "reject": 0.4}
SIZE = (400, 300)


def chances(value, second=None):
    """91 % for one value; or 52 % for it and 40 % for the second one."""
    row = np.full(10, 0.01)
    row[value] = 0.91 if second is None else 0.52
    if second is not None:
        row[second] = 0.4
    return row


def composed(*rows):
    """Lines from rows of value (or value and second), x, y, confidence; 20 x 40 pixels each."""
    values = [chances(*np.atleast_1d(row[0])) for row in rows]
    confidence = np.array([row[3] for row in rows], np.float32)
    boxes = np.array([(x, y, x + 20, y + 40) for _, x, y, _ in rows], np.float32).reshape(-1, 4)
    probabilities = np.array(values, np.float32).reshape(-1, 10)
    seen = np.full(len(rows), 40, np.float32)
    found = Candidates(np.minimum(1, confidence / 0.9), probabilities, boxes, seen)
    return compose(found, probabilities, confidence, SIZE, THRESHOLDS)


def values(lines):
    return ["".join(str(digit.value) for digit in line) for line in lines]


def statuses(lines):
    return ["".join(digit.status[0] for digit in line) for line in lines]


def test_nothing_is_an_empty_reading():
    assert composed() == ()


def test_digits_come_in_lines_from_left_to_right():
    lines = composed(
        (3, 60, 100, 0.9), (2, 30, 10, 0.9), (1, 0, 10, 0.9), (4, 30, 100, 0.9), (5, 0, 100, 0.9)
    )
    assert values(lines) == ["12", "543"]
    assert statuses(lines) == ["dd", "ddd"]


def test_each_digit_has_its_own_confidence_box_and_status():
    [line] = composed((7, 60, 10, 0.5), (1, 0, 10, 0.95))
    assert [digit.confidence for digit in line] == pytest.approx([0.95, 0.5])
    assert [digit.box.as_list() for digit in line] == [[0, 10, 20, 50], [60, 10, 80, 50]]
    assert [digit.status for digit in line] == ["digit", "unsure"]


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (70, 12, ["192", "34"]),  # between two
        (5, 100, ["12", "934"]),  # before the first
        (200, 90, ["12", "349"]),  # after the last
        (30, 250, ["12", "34", "9"]),  # below all
        (30, 52, ["12", "9", "34"]),  # between the lines
    ],
)
def test_what_is_rejected_stands_where_it_is(x, y, expected):
    lines = composed(
        (1, 40, 10, 0.9), (2, 100, 10, 0.9), (3, 40, 100, 0.9), (4, 100, 100, 0.9), (9, x, y, 0.1)
    )
    assert values(lines) == expected
    assert "".join(statuses(lines)).count("r") == 1


def test_what_is_rejected_above_all_lines_is_a_line_before_them():
    assert values(composed((1, 0, 200, 0.9), (9, 0, 10, 0.1))) == ["9", "1"]


def test_what_is_rejected_alone_is_still_told():
    lines = composed((9, 10, 10, 0.1), (8, 60, 12, 0.2), (7, 10, 200, 0.3))
    assert values(lines) == ["98", "7"]
    assert statuses(lines) == ["rr", "r"]


def test_what_is_rejected_says_nothing_about_lines_and_numbers():
    digits = [(k, 24 * k, 10 + (k % 2), 0.9) for k in range(5)]
    without = composed(*digits)
    specks = composed(*digits, (9, 24 * 2 + 10, 30, 0.1), (9, 340, 200, 0.1))
    kept = [[d for d in line if d.status == "digit"] for line in specks]
    assert [tuple(line) for line in kept if line] == list(without)


def test_a_wide_gap_starts_a_number():
    [line] = composed(
        (1, 0, 10, 0.9), (2, 25, 10, 0.9), (3, 110, 10, 0.9), (4, 135, 10, 0.9), (5, 160, 10, 0.9)
    )
    assert [digit.starts_number for digit in line] == [False, False, True, False, False]


def test_boxes_over_the_edge_are_cut_to_the_page():
    [[digit]] = composed((1, 390, -5, 0.9))
    assert digit.box.as_list() == [390, 0, 400, 35]


def expected(pattern, *rows):
    [line] = fitted(composed(*rows), Pattern.parse(pattern), THRESHOLDS)
    return line


def test_a_pattern_revives_what_was_rejected():
    line = expected("3", (1, 0, 10, 0.9), (2, 30, 10, 0.2), (3, 60, 10, 0.9))
    assert [digit.value for digit in line] == [1, 2, 3]
    assert [digit.status for digit in line] == ["digit", "unsure", "digit"]
    assert "also from what was expected" in line[1].reason


def test_a_pattern_drops_the_least_sure_of_too_many():
    line = expected("2", (1, 0, 10, 0.9), (2, 30, 10, 0.5), (3, 60, 10, 0.9))
    assert [digit.status for digit in line] == ["digit", "rejected", "digit"]
    assert line[1].reason == "more than the digits that were expected"
    assert line[1].value == 2


def test_what_is_rejected_and_not_needed_keeps_its_reason():
    line = expected("2", (1, 0, 10, 0.9), (9, 30, 10, 0.1), (3, 60, 10, 0.9))
    assert [digit.status for digit in line] == ["digit", "rejected", "digit"]
    assert "hardly a digit" in line[1].reason


def test_a_pattern_chooses_another_value():
    line = expected("[49]", ((7, 4), 0, 10, 0.51))
    assert line[0].value == 4
    assert line[0].status == "digit"  # of the two that are allowed, 9 is out of question
    assert line[0].reason == ""
    assert line[0].confidence > 0.8


def test_a_value_that_is_given_leaves_only_whether_there_is_a_digit():
    line = expected("7#", ((1, 7), 0, 10, 0.5), (3, 40, 10, 0.9))
    assert [digit.value for digit in line] == [7, 3]
    assert line[0].confidence == pytest.approx(0.5 / 0.52, abs=0.01)


def test_what_is_unsure_because_of_two_values_stays_so_if_both_are_allowed():
    line = expected("1", ((7, 4), 0, 10, 0.5))
    assert (line[0].value, line[0].status) == (7, "unsure")
    assert line[0].reason == "50 % sure, also from what was expected"


def test_a_pattern_goes_over_lines_and_keeps_them():
    lines = composed((1, 0, 10, 0.9), (2, 0, 100, 0.9), (3, 30, 100, 0.3))
    fit = fitted(lines, Pattern.parse("#\u00b7##"), THRESHOLDS)
    assert values(fit) == ["1", "23"]
    assert statuses(fit) == ["d", "du"]


def test_too_few_digits_are_all_kept():
    line = expected("5", (1, 0, 10, 0.9), (2, 30, 10, 0.9))
    assert [digit.status for digit in line] == ["digit", "digit"]


def test_nothing_fits_no_pattern():
    assert fitted((), Pattern.parse("3"), THRESHOLDS) == ()


def test_boxes_numbers_and_probabilities_are_left_as_they_were():
    rows = ((1, 0, 10, 0.9), (2, 30, 10, 0.3), (3, 120, 10, 0.9))
    [before], after = composed(*rows), expected("3", *rows)
    for one, other in zip(before, after, strict=True):
        assert (one.box, one.probabilities) == (other.box, other.probabilities)
        assert one.starts_number == other.starts_number


@pytest.mark.parametrize(
    ("confidence", "height", "read"),
    [(0.3, 60, True), (0.2, 60, False), (0.3, 200, False)],
)
def test_what_fills_an_otherwise_empty_page_is_read_with_less(confidence, height, read):
    probabilities = np.array([chances(7)], np.float32)
    box, one = np.array([[5, 5, 25, 45]], np.float32), np.ones(1, np.float32)
    found = Candidates(one, probabilities, box, 40 * one)
    thresholds = {"digit": 0.9, "reject": 0.5}
    lines = compose(found, probabilities, confidence * one, (60, height), thresholds)
    [[digit]] = lines
    assert digit.status == ("unsure" if read else "rejected")
    assert ("fills the picture" in digit.reason) == read


def test_what_fills_a_page_with_other_digits_is_not():
    lines = composed((7, 0, 0, 0.3), (1, 60, 10, 0.95))
    assert "".join(statuses(lines)).count("r") == 1
