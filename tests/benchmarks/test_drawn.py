import json
import sys

import pytest
from PIL import ImageFont

import drawn
import harness


@pytest.fixture(autouse=True)
def own_font(monkeypatch):
    """Uses Pillow's built-in font, so that nothing is downloaded."""

    def font(_family, *, height=0, size=0):
        return ImageFont.load_default(size or 1.4 * height)

    monkeypatch.setattr(drawn, "font", font)


def result(there, text):
    said = harness.Output(text, harness.digits_only(text), 2.0)
    return harness.Result(harness.Case("", "", None, there), said)


@pytest.mark.parametrize(
    ("there", "read", "right", "digits", "not_there"),
    [
        ("12.50 -37", "-37\n12.50", 1, 1, 0),
        ("12.50 -37", "1250 37", 0, 1, 0),
        ("7 7 7", "7 8", 1 / 3, 1 / 3, 1),
        ("hello", "110", None, None, 1),
        ("Room 101B", "Room 101", 1, 1, 0),
    ],
)
def test_numbers_count_in_any_order(there, read, right, digits, not_there):
    scores = drawn.summary([result(there, read)])
    assert (scores["right"], scores["digits"], scores["not_there"]) == (right, digits, not_there)


def test_drawings_are_read_and_recorded(monkeypatch, capsys, tmp_path):
    arguments = ["drawn", "--groups", "upside", "words", "--out", str(tmp_path), "--threads", "1"]
    monkeypatch.setattr(sys, "argv", arguments)
    drawn.main()
    assert "| upside down | 9 |" in capsys.readouterr().out
    record = json.loads((tmp_path / "drawn.json").read_text(encoding="utf-8"))
    assert record["groups"]["words without numbers"]["digitlens"]["right"] is None
    assert record["seed"] == 0
