import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitlens.reading import orientation
from digitlens.reading.decode import Symbols
from digitlens.reading.orientation import best_turn, turned_back, turned_page
from digitlens.reading.recognize import RecognizedLine
from digitlens.reading.text_lines import TextLine
from digitlens.results import Box, Digit


def digit(box):
    return Digit(5, 0.9, (0.1,) * 10, Box(*box), "unsure", "because", True)


@given(st.integers(0, 3), st.integers(2, 40), st.integers(2, 40), st.data())
def test_boxes_are_mapped_back_to_the_original_page(turn, width, height, data):
    x = sorted(data.draw(st.lists(st.integers(0, width), min_size=2, max_size=2, unique=True)))
    y = sorted(data.draw(st.lists(st.integers(0, height), min_size=2, max_size=2, unique=True)))
    mask = np.zeros((height, width), bool)
    mask[y[0] : y[1], x[0] : x[1]] = True
    rows, columns = np.nonzero(np.rot90(mask, turn))
    seen = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    [[found]] = turned_back(((digit(map(int, seen)),),), turn, width, height)
    assert found.box == Box(x[0], y[0], x[1], y[1])


@pytest.mark.parametrize("turn", range(4))
def test_turning_back_changes_only_the_boxes(turn):
    lines = ((digit((1, 2, 3, 4)), digit((5, 2, 9, 4))), (digit((1, 7, 3, 9)),))
    found = turned_back(lines, turn, 30, 20)
    assert [len(line) for line in found] == [2, 1]
    first = found[0][0]
    assert (first.value, first.status, first.reason) == (5, "unsure", "because")
    assert first.starts_number


@pytest.mark.parametrize("turn", range(4))
def test_a_page_is_turned_counter_clockwise(turn):
    page = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    found = turned_page(page, turn)
    assert np.array_equal(found, np.rot90(page, turn))
    assert found.flags.c_contiguous


@pytest.mark.parametrize(
    ("text", "sure", "width", "fused"),
    [
        ("6", 0.4, 9, [0.4]),
        ("6009", 0.99, 9, [0.99] * 4),
        ("1", 0.6, 3, [0.99]),
        ("", 0, 3, [0.99]),
    ],
)
def test_page_is_not_rotated_for_one_or_sure_characters(text, sure, width, fused):
    quad = np.array([[0, 0], [width, 0], [width, 12], [0, 12]], np.float32)
    posteriors = np.full((len(text), 2), sure, np.float32)
    symbols = Symbols(text, posteriors, np.arange(len(text), dtype=np.float32))
    crop = np.zeros((48, 40, 3), np.uint8)
    line = RecognizedLine(TextLine(quad, 0.0), crop, posteriors, symbols)
    recognizer = None  # must not be called
    assert best_turn([line], np.array(fused), crop, recognizer) == 0


@pytest.mark.parametrize("sure", [0.75, 0.98])  # one character of a wide line says little
@pytest.mark.parametrize(
    ("turned", "expected"),
    [("043401", 2), ("000006", 0), ("98.60", 0), ("00'0009$", 0), ("18 APRIL", 2)],
)
def test_upside_down_line_is_recognised_by_its_text_when_turned(
    monkeypatch, turned, expected, sure
):
    quad = np.array([[0, 0], [36, 0], [36, 12], [0, 12]], np.float32)

    def line(text, chance):
        posteriors = np.full((len(text), 2), chance, np.float32)
        symbols = Symbols(text, posteriors, np.arange(len(text), dtype=np.float32))
        return RecognizedLine(
            TextLine(quad, 0.9), np.zeros((48, 144, 3), np.uint8), posteriors, symbols
        )

    monkeypatch.setattr(orientation, "recognize", lambda *_: [line(turned, 0.99)])
    page = np.zeros((12, 36, 3), np.uint8)
    assert best_turn([line("0", sure)], np.array([0.75]), page, None) == expected
