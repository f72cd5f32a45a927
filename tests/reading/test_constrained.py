"""Re-reading numbers under constraints."""

from dataclasses import replace

import numpy as np
import pytest

from digitlens.alphabet import CLASS_OF, CLASSES
from digitlens.reading.constrained import constrain
from digitlens.reading.constraints import Expectation
from digitlens.reading.decode import decode
from digitlens.reading.layout import arrange

THRESHOLDS = {"digit": 0.8, "reject": 0.4}
SIZE = (600, 200)


def chances(value, second=None):
    """float32[10]; 91 % for one value, or 52 % for it and 40 % for a second one."""
    row = np.full(10, 0.01, np.float32)
    row[value] = 0.91 if second is None else 0.52
    if second is not None:
        row[second] = 0.4
    return row


@pytest.fixture
def read(view_of):
    """Reads digits, each a value (or two), x, y and confidence, under a constraint."""

    def reading(expect, *rows):
        boxes = [[x, y, x + 20, y + 40] for _, x, y, _ in rows]
        named = np.array([chances(*np.atleast_1d(value)) for value, *_ in rows])
        view = view_of(boxes, [sure for *_, sure in rows], named)
        layout = arrange(view, SIZE, THRESHOLDS)
        return constrain(view, layout, SIZE, THRESHOLDS, Expectation.of(expect))

    return reading


def told(layout):
    """The digits of each line with the initials of their statuses: ``1d 2u 3r``."""
    return [" ".join(f"{d.value}{d.status[0]}" for d in line) for line in layout.lines]


@pytest.mark.parametrize(
    ("expect", "rows", "wanted"),
    [
        ("3", [(1, 0, 10, 0.9), (2, 30, 10, 0.2), (3, 60, 10, 0.9)], "1d 2d 3d"),  # revived
        ("2", [(1, 0, 10, 0.9), (2, 30, 10, 0.5), (3, 60, 10, 0.9)], "1d 2r 3d"),  # left out
        ("2", [(1, 0, 10, 0.9), (9, 30, 10, 0.1), (3, 60, 10, 0.9)], "1d 9r 3d"),
        ("[49]", [((7, 4), 0, 10, 0.51)], "4d"),  # another value
        ("1", [((7, 4), 0, 10, 0.5)], "7u"),  # both are allowed
        ("one of 14, 20", [((1, 2), 0, 10, 0.9), ((7, 4), 30, 10, 0.9)], "1d 4d"),
        ("2; luhn", [(1, 0, 10, 0.9), ((3, 8), 30, 10, 0.9)], "1d 8d"),
        ("range 80..90", [((3, 8), 0, 10, 0.9), (5, 30, 10, 0.9)], "8d 5d"),
    ],
)
def test_constraint_selects_among_the_candidates(read, expect, rows, wanted):
    layout, said = read(expect, *rows)
    assert told(layout) == [wanted]
    assert said.fulfilled


def test_reasons_name_the_original_reading_and_the_deciding_constraint(read):
    layout, said = read("2; luhn", (1, 0, 10, 0.9), ((3, 8), 30, 10, 0.9), (7, 60, 10, 0.2))
    assert [digit.reason.split(",")[0] for digit in layout.lines[0]] == [
        "",
        "read as 3 without expecting luhn",
        "hardly a digit",
    ]
    assert (said.expected, said.decided_by, said.unconstrained) == (("2", "luhn"), ("luhn",), "13")
    layout, _ = read("3", (1, 0, 10, 0.9), (2, 30, 10, 0.2), (3, 60, 10, 0.9))
    assert layout.lines[0][1].reason == "no digit without expecting 3"
    layout, _ = read("2", (1, 0, 10, 0.9), (2, 30, 10, 0.5), (3, 60, 10, 0.9))
    assert layout.lines[0][1].reason == "more than the digits that were expected"


def test_improbable_value_forced_by_a_constraint_is_unsure(read):
    layout, said = read("[3]", (8, 0, 10, 0.9))
    assert (told(layout), said.decided_by) == (["3u"], ("[3]",))
    assert layout.lines[0][0].confidence < 0.5


def test_reading_is_kept_as_unsure_when_nothing_fits_the_constraint(read):
    layout, said = read("5", (1, 0, 10, 0.9), (2, 30, 10, 0.9))
    assert told(layout) == ["1u 2u"]
    assert layout.lines[0][0].reason == "no number found that is as expected: 5"
    assert "".join(each.char for each in layout.characters[0]) == "12"
    assert not said.fulfilled
    assert read("5")[0].lines == ()


def test_separate_digits_on_several_lines_form_one_number(read):
    rows = [(1, 0, 10, 0.9), ((2, 7), 80, 10, 0.9), (3, 0, 100, 0.9), (4, 160, 100, 0.3)]
    layout, said = read("17##", *rows)
    assert told(layout) == ["1d 7d", "3d 4d"]
    assert said.fulfilled


def on_a_line(view_of, text, faint=()):
    """A view of a line; ``faint`` adds a 5 without a place for each (step, probability)."""
    rows = np.full((4 * len(text) + 2, CLASSES), 1e-4, np.float32)
    rows[:, 0] = 1
    for number, char in enumerate(text):
        rows[4 * number + 2, [0, CLASS_OF[char]]] = 0.03, 0.97
    for step, chance in faint:
        rows[step, [0, CLASS_OF["5"]]] = 1 - chance, chance
    rows /= rows.sum(axis=1, keepdims=True)
    digits = [number for number, char in enumerate(text) if char.isdigit()]
    boxes = [[32 * number + 10, 10, 32 * number + 30, 40] for number in digits]
    named = [chances(int(text[number])) for number in digits]
    view = view_of(boxes, [0.9] * len(digits), named)
    [read] = view.lines[:1]
    symbols = decode(rows)
    crop = np.full((48, 8 * len(rows), 3), 255, np.uint8)
    quad = np.array([[0, 0], [8 * len(rows), 0], [8 * len(rows), 48], [0, 48]], np.float32)
    line = replace(read.line, quad=quad)
    read = replace(read, line=line, crop=crop, posteriors=rows, symbols=symbols)
    places = replace(
        view.scores.places,
        line=np.zeros(len(digits), np.intp),
        symbol=np.array([[*"".join(text)].index(text[d], d) for d in digits], np.intp),
    )
    return replace(view, lines=[read], scores=replace(view.scores, places=places))


def spelled(view, expect):
    layout = arrange(view, SIZE, THRESHOLDS)
    layout, said = constrain(view, layout, SIZE, THRESHOLDS, Expectation.of(expect))
    text = "".join(each.char for line in layout.characters for each in line)
    return text, told(layout), said.decided_by, layout


def test_digit_seen_only_in_the_posteriors_is_found_when_expected(view_of):
    view = on_a_line(view_of, "12", faint=[(4, 0.2)])
    text, digits, decided, layout = spelled(view, "3")
    assert (text, digits, decided) == ("", ["1d 5d 2d"], ("3",))
    left, middle, right = (digit.box for digit in layout.lines[0])
    assert left.x0 < middle.x0 < right.x0
    assert layout.places == ((0, 2, 1),)
    assert spelled(view, "2")[1] == ["1d 2d"]


def test_marks_and_letters_are_read_when_the_constraint_allows_them(view_of):
    assert spelled(on_a_line(view_of, "12.5"), "range 0..20")[:3] == ("12.5", ["1d 2d 5d"], ())
    assert spelled(on_a_line(view_of, "-12.5"), "range -20..20")[0] == "-12.5"
    assert spelled(on_a_line(view_of, "No - 12."), "range -20..20")[:3] == ("12", ["1d 2d"], ())
    assert spelled(on_a_line(view_of, "125"), "one of 1.25, 8")[:3] == ("1.25", ["1d 2d 5d"], ())
    account = "IBAN DE89370400440532013000"
    assert spelled(on_a_line(view_of, account), "iban")[0] == "DE89370400440532013000"
    assert spelled(on_a_line(view_of, "079a-X"), "mod 11-2")[0] == "079X"
