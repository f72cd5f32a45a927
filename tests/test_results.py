"""Boxes, digits and readings: validation, text and JSON."""

import json
import re
from dataclasses import replace
from datetime import date, time
from decimal import Decimal

import numpy as np
import pytest

from digitlens.results import Alternative, Box, Character, Digit, Number, Reading, Status


def _digit(value: int, status: Status = "digit", *, starts: bool = False) -> Digit:
    rest = 0.1 / 9
    probabilities = tuple(0.9 if index == value else rest for index in range(10))
    return Digit(value, 0.9, probabilities, Box(0, 0, 5, 9), status, "", starts)


def _reading(*lines: tuple[Digit, ...]) -> Reading:
    return Reading(lines, 100, 50, "m", "abc")


@pytest.mark.parametrize("corners", [(5, 0, 5, 9), (0, 9, 5, 9), (6, 0, 5, 9)])
def test_box_without_area_is_refused(corners):
    with pytest.raises(ValueError, match=f"found {list(corners)}".replace("[", r"\[")):
        Box(*corners)


def test_box_width_height_and_list():
    box = Box(2, 3, 7, 13)
    assert (box.width, box.height, box.as_list()) == (5, 10, [2, 3, 7, 13])


def test_digit_needs_ten_probabilities_and_a_value_from_0_to_9():
    with pytest.raises(ValueError, match="expected 10 probabilities, found 9"):
        Digit(1, 0.5, (0.1,) * 9, Box(0, 0, 1, 1))
    with pytest.raises(ValueError, match="expected a digit from 0 to 9, found 10"):
        Digit(10, 0.5, (0.1,) * 10, Box(0, 0, 1, 1))


def test_tile_of_a_digit_is_not_compared_or_serialised():
    bare, with_tile = _digit(7), replace(_digit(7), tile=np.zeros((28, 28), np.uint8))
    assert with_tile == bare
    assert hash(with_tile) == hash(bare)
    assert repr(with_tile) == repr(bare)
    assert with_tile.as_dict() == bare.as_dict()
    assert bare.tile is None


def test_alternatives_are_the_other_nine_most_probable_first():
    probabilities = (0.0, 0.0, 0.1, 0.6, 0.0, 0.3, 0.0, 0.0, 0.0, 0.0)
    digit = Digit(3, 0.6, probabilities, Box(0, 0, 1, 1))
    assert digit.alternatives[:2] == ((5, 0.3), (2, 0.1))
    assert len(digit.alternatives) == 9


@pytest.mark.parametrize(("confidence", "percent"), [(0.0, 0), (0.289, 28), (0.999, 99), (1.0, 99)])
def test_percent_is_rounded_down_and_never_100(confidence, percent):
    assert Digit(3, confidence, (0.1,) * 10, Box(0, 0, 1, 1)).percent == percent


def test_text_joins_lines_and_omits_rejected_digits():
    reading = _reading(
        (_digit(4), _digit(0, "unsure"), _digit(8, "rejected")),
        (_digit(1, "rejected"),),
        (_digit(7),),
    )
    assert reading.text == reading.digits_only == "40\n7"
    assert [digit.value for digit in reading.digits] == [4, 0, 7]


def _line(text: str) -> tuple[Digit, ...]:
    """Digits of a line; one after a space starts a number, one followed by an x is rejected."""
    return tuple(
        _digit(int(char), "rejected" if mark == "x" else "digit", starts=space == " ")
        for space, char, mark in re.findall(r"( ?)(\d)(x?)", text)
    )


@pytest.mark.parametrize(
    ("lines", "numbers", "text"),
    [
        (["40", "7"], ("40", "7"), "40\n7"),
        ([" 87 5", "1 66"], ("87", "5", "1", "66"), "87 5\n1 66"),
        (["8 7x5", "1x 23", "1x", "49x4"], ("8", "5", "23", "44"), "8 5\n23\n44"),
    ],
    ids=["without gaps", "a gap splits a line", "the gap before what was rejected stays"],
)
def test_gaps_split_a_line_into_numbers(lines, numbers, text):
    reading = _reading(*map(_line, lines))
    assert reading.numbers_digits == numbers
    assert reading.text == text
    assert reading.digits_only == text.replace(" ", "")


def test_text_with_characters_includes_the_marks():
    box = Box(0, 0, 1, 1)
    lines = ("-12.5 7", "", "3/4")
    written = tuple(tuple(Character(char, 0.9, box) for char in line) for line in lines)
    reading = Reading(((_digit(1),),), 100, 50, "m", "abc", written)
    assert reading.text == "-12.5 7\n3/4"
    assert reading.digits_only == "1"
    told = json.loads(json.dumps(reading.as_dict()))
    assert told["characters"][2][1] == {"char": "/", "confidence": 0.9, "box": [0, 0, 1, 1]}
    with pytest.raises(ValueError, match="expected one character, found '12'"):
        Character("12", 0.9, box)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        (Decimal("-12.50"), "-12.50"),
        (Decimal("6.022e23"), "602200000000000000000000"),
        (date(2021, 4, 27), "2021-04-27"),
        (time(23, 59), "23:59:00"),
    ],
)
def test_value_is_serialised_as_lossless_text(value, text):
    box = Box(0, 0, 9, 9)
    number = Number("12", value, "code", "", box, (_digit(1), _digit(2)), 0.5)
    other = Alternative("13", value, 0.25)
    reading = replace(_reading(), numbers=(replace(number, alternatives=(other,)),))
    (told,) = json.loads(json.dumps(reading.as_dict()))["numbers"]
    assert (told["text"], told["value"], told["digits"]) == ("12", text, "12")
    assert told["alternatives"] == [{"text": "13", "value": text, "probability": 0.25}]
    assert (told["box"], told["status"], told["confidence"]) == ([0, 0, 9, 9], "number", 0.5)


def test_empty_reading_has_empty_fields():
    assert _reading().text == ""
    assert _reading().numbers == ()
    assert _reading().digits == ()


def test_reading_is_serialised_to_json():
    reading = _reading((_digit(4), _digit(8, "rejected"), _digit(2, starts=True)))
    told = json.loads(json.dumps(reading.as_dict()))
    assert (told["text"], told["digits_only"]) == ("4 2", "42")
    assert told["numbers_digits"] == ["4", "2"]
    assert [digit["starts_number"] for digit in told["lines"][0]] == [False, False, True]
    assert [digit["status"] for digit in told["lines"][0]] == ["digit", "rejected", "digit"]
    assert told["lines"][0][0]["box"] == [0, 0, 5, 9]
