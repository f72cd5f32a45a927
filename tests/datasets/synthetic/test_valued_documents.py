"""Documents with values are determined by the seed and show the digits of their values."""

from datetime import date

import numpy as np
import pytest

from digitlens.datasets.synthetic.valued_documents import OTHERS, draw_valued


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("by_hand", [0.0, 1.0])
def test_document_contains_the_digits_of_its_values(styles, number, by_hand):
    drawn = draw_valued(styles, number, seed=5, by_hand=by_hand)
    again = draw_valued(styles, number, seed=5, by_hand=by_hand)
    assert np.array_equal(drawn.pixels, again.pixels)
    assert drawn.values == again.values
    assert drawn.kind.endswith(", by hand") == bool(by_hand)
    written = ["".join(filter(str.isdigit, line.text)) for line in drawn.lines]
    for value in drawn.values:
        told = f"{value:%Y}" if isinstance(value, date) else f"{abs(value):.2f}".replace(".", "")
        assert any(told.lstrip("0") in text for text in written)


@pytest.mark.parametrize("number", range(6))
def test_lone_wide_and_listed_numbers_have_separate_lines(styles, number):
    drawn = draw_valued(styles, number, seed=5, kinds=OTHERS)
    assert drawn.kind.split(",")[0] == list(OTHERS)[number % len(OTHERS)]
    assert len(drawn.values) == len(drawn.lines) > 0
    numbers = [line.text.split(" ")[-1] for line in drawn.lines]
    assert all(any(char.isdigit() for char in number) for number in numbers)


def test_page_with_overlapping_numbers_is_redrawn(styles):
    def draw_two(desk, habit, by_hand):  # noqa: ARG001  (as all kinds)
        canvas, face = desk.open(300, 200), desk.type(20)
        apart = int(desk.rng.choice([6, 14, 40]))
        for y in (80, 80 + apart):
            assert canvas.put(face.run("4567"), 60, y)
        yield apart

    drawn = [draw_valued(styles, number, 3, kinds={"two": draw_two}) for number in range(8)]

    assert {value for each in drawn for value in each.values} == {40}
