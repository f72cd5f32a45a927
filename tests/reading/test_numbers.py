"""Which characters of a line belong to its numbers."""

import pytest

from digitlens.reading.numbers import (
    Spot,
    characters_of,
    exponents_in,
    number_spans,
    numbers_on,
)
from digitlens.results import Box

LINES = {
    "12.50": ["12.50"],
    "-37": ["-37"],
    "7.5%": ["7.5%"],
    "3/4": ["3/4"],
    "27/04/2021": ["27/04/2021"],
    "23:59": ["23:59"],
    "$6000.00": ["$6000.00"],
    "$ 12.50": ["$ 12.50"],
    "12 €": ["12 €"],
    "5 %": ["5 %"],
    "20°C": ["20°C"],
    "-3.5 °F below": ["-3.5 °F"],
    "20°Celsius": ["20°"],
    "(12.50)": ["(12.50)"],
    "(see 12)": ["12"],
    "2) 5": ["2", "5"],
    "12.50-": ["12.50-"],
    "450.-": ["450"],
    "6.022e23": ["6.022e23"],
    "12e": ["12"],
    "Room 101B": ["101"],
    "-52-": ["52"],
    "- 52 -": ["52"],
    "-52 -": ["52"],
    "-12.50 - 3": ["-12.50", "3"],
    "--1,250.00--": ["1,250.00"],
    "€ --7,374.34": ["7,374.34"],
    "hello world": [],
    "DE89 3704 0044": ["89", "3704", "0044"],
    "MFG.06.10.2015": ["06.10.2015"],
    "No-12": ["12"],
    "Total -12.50": ["-12.50"],
    "12 + 34 = 46": ["12 + 34 = 46"],
    "16JAN2021": ["16", "2021"],
    ".50": [".50"],
    "a.5": ["5"],
    "12x34": ["12", "34"],
    "1'000'000": ["1'000'000"],
    "+49 89 1234": ["+49", "89", "1234"],
    "#12 §5": ["#12", "§5"],
    "$29.99 $19.99": ["$29.99", "$19.99"],
    "€59€39": ["€59", "€39"],
    "5 € 10 €": ["5 €", "10 €"],
    "129€50": ["129€", "50"],
    "24.9917.49": ["24.99", "17.49"],
    "-129,0099,00 €": ["-129,00", "99,00 €"],
    "1.234.56": ["1.234.56"],
    "12.03.24": ["12.03.24"],
    "08:00-17:30": ["08:00", "17:30"],
    "1.3.2024-31.12.2024": ["1.3.2024", "31.12.2024"],
    "12:30-5": ["12:30-5"],
    "2024-03-01": ["2024-03-01"],
}


@pytest.mark.parametrize("line", LINES)
def test_numbers_keep_their_marks_and_words_are_dropped(line):
    assert [line[begin:end] for begin, end in number_spans(line)] == LINES[line]


def spots(text, places):
    return [
        Spot(char, 0.9, Box(10 * i, 0, 10 * i + 8, 20), place)
        for i, (char, place) in enumerate(zip(text, places, strict=True))
    ]


@pytest.mark.parametrize(
    ("text", "places"), [("84 m2, 37m3/h", [4, 10]), ("m3", [1]), ("am3 M3 m30 m2x", [])]
)
def test_exponents_of_units_are_found(text, places):
    assert exponents_in(text) == places


def test_rejected_digit_splits_a_number():
    found = numbers_on(spots("1234", (0, 1, -1, 2)))
    assert ["".join(spot.char for spot in number) for number in found] == ["12", "4"]


@pytest.mark.parametrize(
    ("text", "missed"),
    [("(12", ")"), ("a (12", ")"), ("12)", "("), ("(12)", ""), ("(12 a)", ""), ("(a 12)", "")],
)
def test_unmatched_bracket_is_recorded_as_missed(text, missed):
    (number,) = numbers_on(spots(text, [k if c.isdigit() else -1 for k, c in enumerate(text)]))
    assert {spot.missed[0] for spot in number} == {"", missed}


@pytest.mark.parametrize(
    ("text", "missed"),
    [
        *(("- 12.50", "-"), ("12.50 -", "-"), ("a 12.50 -", "-"), ("-12.50 -", "-")),
        *(("12.50 - a", ""), ("a - 12.50", ""), ("- 12.50 -", "")),
    ],
)
def test_detached_minus_is_recorded_as_missed(text, missed):
    (number,) = numbers_on(spots(text, [k if c.isdigit() else -1 for k, c in enumerate(text)]))
    assert "".join(spot.char for spot in number) == "12.50"
    assert number[0].missed[0] == missed


@pytest.mark.parametrize(
    ("text", "trail"), [("5,", ","), ("08/ 27", "/"), ("5 ", None), ("5. a", None), ("5.a", None)]
)
def test_trailing_mark_is_recorded(text, trail):
    number, *_ = numbers_on(spots(text, [k if c.isdigit() else -1 for k, c in enumerate(text)]))
    assert (number[-1].trail and number[-1].trail.char) == trail


@pytest.mark.parametrize(
    ("text", "apart"), [("1 2", False), ("1 a 2", True), ("1d2", True), ("1' 2", False)]
)
def test_number_after_more_than_a_space_is_marked_as_apart(text, apart):
    first, second = numbers_on(spots(text, [k if c.isdigit() else -1 for k, c in enumerate(text)]))
    assert (first[0].is_separate, second[0].is_separate) == (False, apart)


def test_numbers_of_a_line_are_separated_by_a_space():
    characters = characters_of(numbers_on(spots("12 5", (0, 1, -1, 2))))
    assert "".join(each.char for each in characters) == "12 5"
    assert characters[2].box == Box(18, 0, 30, 20)
