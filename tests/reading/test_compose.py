import dataclasses

import numpy as np
import pytest

from digitlens.reading.compose import fitted
from digitlens.reading.expect import Pattern
from digitlens.reading.judge import judge
from digitlens.results import Box

THRESHOLDS = {"digit": 0.8, "reject": 0.4}


def chances(value, second=None):
    """91 % for one value; or 52 % for it and 40 % for the second one."""
    row = np.full(10, 0.01, np.float32)
    row[value] = 0.91 if second is None else 0.52
    if second is not None:
        row[second] = 0.4
    return row


def composed(*rows):
    """Lines from rows of value (or value and second), x, y, confidence; those of one y are one."""
    lines = {}
    for value, x, y, confidence in rows:
        named, box = chances(*np.atleast_1d(value)), Box(x, y, x + 20, y + 40)
        digit = judge(min(1, confidence / 0.9), named, confidence, box, THRESHOLDS)
        lines.setdefault(y, []).append(dataclasses.replace(digit, starts_number=x > 100))
    return tuple(tuple(line) for line in lines.values())


def values(lines):
    return ["".join(str(digit.value) for digit in line) for line in lines]


def statuses(lines):
    return ["".join(digit.status[0] for digit in line) for line in lines]


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
