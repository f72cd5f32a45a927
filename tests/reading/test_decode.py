"""From the posteriors of a line to its characters."""

import numpy as np
import pytest

from digitlens.alphabet import CLASS_OF, CLASSES
from digitlens.reading.decode import STRIDE, decode, digit_evidence


def posteriors(path, sure=0.9):
    """float32[T, C]: the steps of a path, ``_`` for the blank, each so sure."""
    rows = np.full((len(path), CLASSES), (1 - sure) / (CLASSES - 1), np.float32)
    for step, char in enumerate(path):
        rows[step, 0 if char == "_" else CLASS_OF[char]] = sure
    return rows


@pytest.mark.parametrize(
    ("path", "text"),
    [("____", ""), ("_1_2", "12"), ("11_1", "11"), ("1112", "12"), ("-_3.5", "-3.5"), ("7", "7")],
)
def test_repetitions_are_one_character_and_a_blank_parts_two(path, text):
    symbols = decode(posteriors(path))
    assert symbols.text == text
    assert len(symbols) == len(text)
    assert symbols.confidence == pytest.approx(0.9)


def test_a_character_stands_in_the_middle_of_its_steps():
    assert decode(posteriors("__44__")).centres == pytest.approx([3 * STRIDE])


def test_a_character_has_the_posteriors_of_its_surest_step():
    rows = posteriors("44")
    rows[1, CLASS_OF["4"]] = 0.99
    assert decode(rows).confidence == pytest.approx([0.99])


def test_evidence_is_that_of_the_step_with_most_digits():
    rows = posteriors("_a3_", sure=0.8)
    found = digit_evidence(rows, 0, 4 * STRIDE)
    assert found.values.argmax() == 3
    assert found.values.sum() == pytest.approx(1, abs=0.01)
    assert 0.8 < found.mass < found.given <= found.numeric <= 1


def test_where_a_letter_is_read_a_digit_is_likely_only_if_letters_are_ruled_out():
    row = np.zeros((1, CLASSES), np.float32)
    row[0, [CLASS_OF["O"], CLASS_OF["0"], CLASS_OF["."]]] = 0.9, 0.09, 0.01
    found = digit_evidence(row, 0, STRIDE)
    assert found.mass == pytest.approx(0.09)
    assert found.numeric == pytest.approx(0.9, abs=0.01)


def test_evidence_beyond_the_line_is_that_of_its_end():
    rows = posteriors("__5", sure=0.8)
    assert digit_evidence(rows, 100 * STRIDE, 120 * STRIDE).values.argmax() == 5
