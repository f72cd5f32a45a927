from datetime import date
from decimal import Decimal

import pytest

from digitlens.cli.answers import Answer, print_answers
from digitlens.results import Box, Digit, Number, Reading


def digit(value, status="digit", *, confidence=0.95, starts=False):
    reason = {"digit": "", "unsure": "62 % sure, could be 1", "rejected": "hardly a digit"}[status]
    return Digit(value, confidence, (0.1,) * 10, Box(0, 0, 1, 1), status, reason, starts)


@pytest.fixture
def table(monkeypatch, capsys):
    """What the table says of a page with these lines."""
    monkeypatch.setenv("COLUMNS", "120")

    def show(*lines, numbers=()):
        lines = tuple(tuple(line) for line in lines)
        reading = Reading(lines, 9, 9, "model", "0" * 64, numbers=numbers)
        print_answers([Answer("a.png", 1, 1, reading)], "table", None)
        return capsys.readouterr().out

    return show


def test_numbers_of_a_line_stand_apart(table):
    line = [digit(2), digit(0), digit(4, starts=True), digit(8)]
    assert "20 48" in table(line)
    assert "2048" in table([digit(value) for value in (2, 0, 4, 8)])
    assert "2048" in table([digit(2, starts=True), *map(digit, (0, 4, 8))])


def test_rejected_ones_are_counted_and_not_shown(table):
    shown = table([digit(2), digit(7, "rejected", starts=True), digit(0), digit(7, "rejected")])
    assert "2 0" in shown
    assert "7" not in shown
    assert "2 rejected" in shown
    assert "no digits" in table([digit(7, "rejected")])


def test_doubts_are_named_with_their_place(table):
    line = [digit(1), digit(7, "rejected"), digit(9, "unsure", confidence=0.629)]
    shown = table(line)
    assert "9, no. 2: 62 % sure, could be 1" in shown
    assert "62 %" in shown.split("9, no.")[0]
    many = table([digit(3, "unsure")] * 8)
    assert many.count("no. ") == 3
    assert "and 5 more" in many


def test_values_are_shown_where_they_are_written_otherwise(table):
    line = [digit(1), digit(2)]
    box = line[0].box
    plain = Number("12", Decimal(12), "integer", "", box, tuple(line), 0.9)
    assert "values" not in table(line, numbers=(plain,))
    day = Number("1/2/12", date(2012, 2, 1), "date", "", box, tuple(line), 0.4)
    doubtful = Number(
        "1.200", Decimal(1200), "integer", "", box, tuple(line), 0.4, (), "unsure", "?"
    )
    shown = table(line, numbers=(plain, day, doubtful))
    assert "1/2/12 = 2012-02-01" in shown
    assert "1.200 = 1200" in shown
    assert "1.200: ?" in shown
