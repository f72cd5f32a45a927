"""The comparison of values read with those on the page."""

from datetime import date
from decimal import Decimal

import pytest

import values
from digitlens.results import Alternative, Box, Number


def number(text, value, confidence=0.99, *others, reason=""):
    status = "unsure" if reason else "number"
    offered = tuple(Alternative(text, Decimal(other), confidence) for other in others)
    value = Decimal(value) if isinstance(value, str) else value
    place = Box(0, 0, 1, 1)
    return Number(text, value, "decimal", "", place, (), confidence, offered, status, reason)


@pytest.mark.parametrize(
    ("there", "numbers", "counts"),
    [
        (["12.50"], [number("12.50", "12.50")], (1, 1, 1, 1, 0, 0)),
        (["12.50"], [number("1250", "1250")], (1, 0, 0, 1, 1, 1)),
        (["-12.50"], [number("12.50", "12.50")], (1, 0, 0, 1, 1, 1)),
        (["12.50"], [number("12.51", "12.51")], (1, 0, 0, 1, 1, 0)),
        (["1234"], [number("1.234", "1.234", 0.5, "1234", reason="?")], (1, 0, 1, 0, 0, 0)),
        (["5", "7"], [], (2, 0, 0, 0, 0, 0)),
        (["5", "5"], [number("5", "5")] * 3, (2, 2, 2, 3, 1, 0)),
    ],
)
def test_values_are_compared_in_any_order(there, numbers, counts):
    assert tuple(values.compare(list(map(Decimal, there)), numbers)[0].values()) == counts


def test_summary_counts_all_pages():
    there = Decimal("12.50"), date(2021, 4, 27)
    found = [values.compare(there, [number("12.50", "12.50", 0.97)])] * 2
    row = values.summary("receipts", found)
    assert (row["numbers"], row["right"], row["sure"], row["wrong"]) == (4, 0.5, 2, 0)
    assert [each for each in row["calibration"] if each[3]] == [(0.95, 0.99, 2, 2)]


@pytest.mark.parametrize(
    ("row", "there"),
    [
        ({"label": "34", "note": "a cell", "kind": "cells"}, ["34"]),
        ({"label": "53\n7", "note": "sudoku, clean", "kind": "cells"}, ["5", "3", "7"]),
        ({"label": "3437", "note": "a table", "kind": "page"}, ["34", "37"]),
        ({"label": "1", "note": "full text: 4.20 / -7; crop", "kind": "amount"}, ["4.20", "-7"]),
    ],
)
def test_true_values_come_from_the_note_or_label(row, there):
    assert list(values.real_values({"file": "x", **row})) == list(map(Decimal, there))
