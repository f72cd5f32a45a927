"""Reading order of lines and numbers, from hand-placed boxes in random order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitlens.reading.reading_order import lines_of, numbers_of

HEIGHT = 40.0


def place(digits, angle=0.0):
    """float32[N, 4]; boxes of digits (centre, width, height in digit heights) on a turned page."""
    x, y, wide, tall = np.array(digits, np.float64).reshape(-1, 4).T
    sin, cos = np.sin(np.radians(angle)), np.cos(np.radians(angle))
    x, y = x * cos - y * sin, x * sin + y * cos
    wide, tall = wide * cos + tall * abs(sin), wide * abs(sin) + tall * cos
    corners = np.stack([x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2], axis=1)
    return (corners * HEIGHT + 500).astype(np.float32)


def written(rows, angle=0.0):
    """The lines found in rows of digits, each as the (row, position) of its digits."""
    names = [(r, k) for r, row in enumerate(rows) for k in range(len(row))]
    shuffled = np.random.default_rng(3).permutation(len(names))
    boxes = place([digit for row in rows for digit in row], angle)[shuffled]
    return [[names[shuffled[index]] for index in line] for line in lines_of(boxes)]


def in_order(rows):
    return [[(r, k) for k in range(len(row))] for r, row in enumerate(rows)]


def row(y, count, pitch=0.75, start=0.0, width=0.55, height=1.0):
    return [(start + k * pitch, y, width, height) for k in range(count)]


def test_lines_and_numbers_of_no_digit_and_of_one():
    assert lines_of(np.zeros((0, 4), np.float32)) == []
    assert numbers_of(np.zeros((0, 4), np.float32)) == []
    one = place([(0, 0, 0.5, 1)])
    assert lines_of(one) == [[0]]
    assert numbers_of(one) == [[0]]


def low_or_high(down):
    """Three rows of numbers, with one number shifted down or up."""
    rows = [[digit for k in range(7) for digit in row(1.5 * r, 2, start=3.2 * k)] for r in range(3)]
    rows[1][6:8] = [(x, y + down, wide, high) for x, y, wide, high in rows[1][6:8]]
    return rows


def curved(bend):
    return [
        [(x, y + bend * ((x - 2) / 8) ** 2, wide, 1) for x, y, wide, _ in row(1.35 * k, 13)]
        for k in range(3)
    ]


def drifting(drift, count):
    """A line that rises or falls by ``drift`` at each digit."""
    return [[(x, drift * k, wide, 1) for k, (x, _, wide, _) in enumerate(row(0, count))]]


def cells(y, *counts):
    return [digit for c, n in enumerate(counts) for digit in row(y, n, 0.7, start=7 * c)]


def beside(pitch, apart, *digits):
    """Two lines of digits, each a width, a height and the offset of its centre from the line."""
    return [
        [(pitch * k, apart * r + y, wide, tall) for k, (wide, tall, y) in enumerate(digits)]
        for r in range(2)
    ]


BASE, RAISED = (0.6, 1.0, 0.0), (0.3, 0.5, -0.4)
SIZES = [1.0, 0.5, 0.9, 0.6, 1.0, 0.45]  # on one baseline
TABLE = [cells(0, 3, 2, 4), cells(1.3, 1, 4, 2), cells(2.6, 4, 0, 3), cells(3.9, 0, 2, 1)]
LARGE, SMALL = row(0, 5, 2.4, width=1.8, height=3), row(3.0, 12, 0.3, 0, 0.2, 0.4)
LAID_OUT = {
    "low": (low_or_high(0.45), [0]),
    "high": (low_or_high(-0.45), [0]),
    **{
        f"near lines, {pitch}": (
            [row(1.3 * k, 7, pitch, start=0.4 * k) for k in range(4)],
            [-25, -12, -3, 0, 3, 12, 25],
        )
        for pitch in (0.6, 1.0)
    },
    **{f"a line of {count}": ([row(0, count)], [-25, -15, 15, 25]) for count in (2, 3, 8)},
    "curved up": (curved(-1.5), [0]),
    "curved down": (curved(1.5), [0]),
    **{
        f"drifting by {drift}, {count}": (drifting(drift, count), [0])
        for drift in (-0.2, 0.2)
        for count in (2, 4, 10)
    },
    "jumping": (
        [[(0.8 * k, y, 0.5, 1.0) for k, y in enumerate([0.0, -0.35, 0.1, -0.3, 0.25, 0.0])]],
        [0],
    ),
    "small beside large": (beside(0.8, 1.3, *((s / 2, s, -s / 2) for s in SIZES)), [0]),
    "raised": (beside(0.7, 1.6, BASE, RAISED, BASE, BASE, RAISED, RAISED, BASE), [0]),
    "a table": (TABLE, [-10, 0, 10]),
    "wide gaps": (
        [row(1.3 * k, 3) + row(1.3 * k, 2, start=12) + row(1.3 * k, 2, start=30) for k in (0, 1)],
        [0],
    ),
    "of other sizes": ([LARGE, row(2.2, 9, 0.75), SMALL], [0]),
    "two far apart": ([[(0, 0, 0.6, 1)], [(3.3, 1.3, 0.6, 1)]], [0]),
    "scattered": ([[(x, y, 0.6, 1)] for x, y in ((9, 0), (1, 3), (14, 7), (5, 11))], [0]),
}


@pytest.mark.parametrize(
    ("name", "angle"), [(name, angle) for name, (_, angles) in LAID_OUT.items() for angle in angles]
)
def test_digits_are_grouped_into_lines_in_any_layout(name, angle):
    rows = LAID_OUT[name][0]
    assert written(rows, angle) == in_order(rows)


def spaced(text, widths, gap, space):
    """Boxes of digits with the same gap between their edges; a blank adds a space."""
    boxes, x = [], 0.0
    for character in text:
        if character == " ":
            x += space
            continue
        boxes.append((x, 0, x + widths[character], 1))
        x += widths[character] + gap
    return np.array(boxes, np.float32)


def tabular(text, advance, space, width):
    """Boxes of printed digits, each centred in a slot of the same width."""
    boxes, x = [], 0.0
    for character in text:
        if character != " ":
            wide = 0.38 if character == "1" else width
            boxes.append((x + (advance - wide) / 2, 0, x + (advance + wide) / 2, 1))
        x += space if character == " " else advance
    return np.array(boxes, np.float32)


def as_text(text, numbers):
    digits = text.replace(" ", "")
    return " ".join("".join(digits[index] for index in number) for number in numbers)


HAND = dict.fromkeys("023456789", 0.6) | {"1": 0.12}
TEXTS = [
    "876 516",
    "4075",
    "12 34 56",
    "1 234 567",
    "40 25 162",
    "11 111",
    "1111",
    "2024 7",
    "100 1",
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize(("gap", "space"), [(-0.05, 0.5), (0.15, 0.6), (0.4, 0.9), (0.8, 1.2)])
def test_handwritten_numbers_are_separated(text, gap, space):
    assert as_text(text, numbers_of(spaced(text, HAND, gap, space))) == text


@pytest.mark.parametrize("text", TEXTS)
# The widths of Times, Arial and DejaVu Sans.
@pytest.mark.parametrize(
    ("advance", "space", "width"), [(0.74, 0.37, 0.63), (0.78, 0.39, 0.67), (0.87, 0.44, 0.72)]
)
def test_printed_numbers_are_separated(text, advance, space, width):
    assert as_text(text, numbers_of(tabular(text, advance, space, width))) == text


@pytest.mark.parametrize("gap", [1.0, 1.5, 2.0])
def test_even_gaps_do_not_split_a_number(gap):
    assert numbers_of(spaced("8910", HAND, gap, 0)) == [[0, 1, 2, 3]]
    assert numbers_of(spaced("89", HAND, gap, 0)) == [[0, 1]]


def test_wide_gaps_split_a_number_even_if_they_are_equal():
    assert numbers_of(spaced("891", HAND, 2.5, 0)) == [[0], [1], [2]]


def test_touching_digits_do_not_make_the_other_gaps_wide():
    boxes = np.array([(0, 0, 0.6, 1), (1.06, 0, 1.6, 1), (2.04, 0, 2.6, 1), (2.6, 0, 3.1, 1)])
    assert numbers_of(boxes) == [[0, 1, 2, 3]]


PAGES = st.lists(
    st.tuples(st.integers(0, 400), st.integers(0, 400), st.integers(2, 50), st.integers(4, 60)),
    max_size=14,
).map(lambda rows: np.array([(x, y, x + w, y + h) for x, y, w, h in rows], float).reshape(-1, 4))


@given(PAGES)
def test_every_index_appears_once_and_lines_run_from_left_to_right(boxes):
    lines = lines_of(boxes)
    assert sorted(index for line in lines for index in line) == list(range(len(boxes)))
    middles = boxes[:, 0] + boxes[:, 2]
    assert all(np.all(np.diff(middles[line]) >= 0) for line in lines)
    for line in lines:
        assert [k for number in numbers_of(boxes[line]) for k in number] == list(range(len(line)))


@given(
    PAGES, st.sampled_from([0.25, 0.5, 2.0, 8.0]), st.integers(-300, 1000), st.integers(-300, 1000)
)
def test_moving_and_scaling_changes_nothing(boxes, scale, right, down):
    other = boxes * scale + np.array([right, down, right, down])
    lines = lines_of(boxes)
    assert lines_of(other) == lines
    for line in lines:
        assert numbers_of(other[line]) == numbers_of(boxes[line])


@given(PAGES, st.randoms(use_true_random=False))
def test_the_order_of_the_boxes_does_not_matter(boxes, random):
    boxes = np.unique(boxes, axis=0)
    shuffled = list(range(len(boxes)))
    random.shuffle(shuffled)
    lines = [[shuffled[index] for index in line] for line in lines_of(boxes[shuffled])]
    corners = [boxes[line].tolist() for line in lines]
    assert corners == [boxes[line].tolist() for line in lines_of(boxes)]
