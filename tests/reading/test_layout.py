from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitlens.reading.layout import arrange, judge, page_box
from digitlens.results import Box

THRESHOLDS = {"digit": 0.8, "reject": 0.4}
BOX = Box(3, 4, 13, 24)


def chances(first=4, second=9, sure=0.7, rest=0.2):
    values = np.full(10, (1 - sure - rest) / 8)
    values[first], values[second] = sure, rest
    return values.astype(np.float32)


@pytest.mark.parametrize(
    ("existence", "confidence", "status", "reason"),
    [
        (0.99, 0.95, "digit", ""),
        (0.99, 0.80, "digit", ""),
        (0.99, 0.79, "unsure", "79 % sure, could be 9 (20 %)"),
        (0.70, 0.60, "unsure", "60 % sure, may be no digit"),
        (0.70, 0.40, "unsure", "40 % sure, may be no digit"),
        (0.70, 0.39, "rejected", "hardly a digit, closest to 4 (39 %)"),
        (0.10, 0.00, "rejected", "hardly a digit, closest to 4 (0 %)"),
    ],
)
def test_thresholds_decide_between_digit_unsure_and_rejected(existence, confidence, status, reason):
    digit = judge(existence, chances(), confidence, BOX, THRESHOLDS)
    assert (digit.value, digit.box, digit.status) == (4, BOX, status)
    assert digit.confidence == confidence
    assert digit.reason == reason


@pytest.mark.parametrize(
    ("existence", "others", "status"),
    [(0.85, 0, "unsure"), (0.75, 0, "rejected"), (0.75, 1, "unsure"), (0.3, 1, "rejected")],
)
def test_unclear_digit_is_kept_if_it_surely_exists_or_has_a_neighbour(
    view_of, existence, others, status
):
    boxes = [[10 + 20 * k, 10, 24 + 20 * k, 34] for k in range(1 + others)]
    seen = view_of(boxes, [0.35, *[0.95] * others], [chances()] * (1 + others))
    seen = replace(seen, existence=np.float32([existence, *[0.95] * others]))
    (line,) = arrange(seen, (200, 100), THRESHOLDS).lines
    assert line[0].status == status


def test_exponent_of_a_unit_is_rejected(view_of):
    seen = view_of([[10, 10, 24, 34], [30, 10, 44, 34]], [0.95] * 2, [chances(3), chances(3)])
    (read,) = seen.lines
    seen = replace(seen, lines=[replace(read, symbols=replace(read.symbols, text="m3"))])
    layout = arrange(seen, (200, 100), THRESHOLDS)
    assert [digit.status for digit in layout.lines[0]] == ["digit", "rejected"]
    assert layout.lines[0][1].reason == "exponent of a unit"


@pytest.mark.parametrize(
    ("value", "count", "eyes", "status"),
    [(0, 1, 40, "unsure"), (0, 1, 0, "digit"), (0, 2, 40, "digit"), (8, 1, 40, "digit")],
)
def test_lone_zero_around_something_is_unsure(view_of, value, count, eyes, status):
    boxes = [[10 + 20 * k, 10, 24 + 20 * k, 34] for k in range(count)]
    seen = view_of(boxes, [0.95] * count, [chances(value, 1)] * count)
    places = replace(seen.scores.places, lone=np.full(count, count == 1, np.float32))
    tiles = np.zeros((count, 28, 28), np.uint8)
    tiles[:, 4:24, 4:24], tiles[:, 6:22, 6:22] = 255, 0
    tiles[:, 10:13, 10:13] = 2 * eyes
    seen = replace(seen, scores=replace(seen.scores, places=places), tiles=tiles)
    (line,) = arrange(seen, (200, 100), THRESHOLDS).lines
    assert [digit.status for digit in line] == [status] * count


def test_digit_stores_its_probabilities_as_python_floats():
    digit = judge(1, chances(), 0.9, BOX, THRESHOLDS)
    assert digit.probabilities == pytest.approx(chances().tolist())
    assert {type(value) for value in digit.probabilities} == {float}
    assert digit.alternatives[0][0] == 9


@pytest.mark.parametrize(
    ("scores", "status"),
    [((0.9, 0.35, 0.9), "unsure"), ((0.9, 0.25, 0.9), "rejected"), ((0.9, 0.35), "rejected")],
)
def test_faint_digit_between_digits_is_unsure_rather_than_rejected(view_of, scores, status):
    boxes = [[20 * k, 0, 20 * k + 15, 24] for k in range(len(scores))]
    layout = arrange(view_of(boxes, scores, [chances()] * len(scores)), (100, 40), THRESHOLDS)
    assert layout.digits[1].status == status


@pytest.mark.parametrize(
    ("objectness", "word", "status"),
    [(1e-4, "", "unsure"), (0.5, "", "digit"), (1e-4, "go", "digit")],
)
def test_a_lone_mark_unlike_text_in_size_is_unsure(view_of, objectness, word, status):
    """It may be dust, unless the digit detector sees it too or text of its size is nearby."""
    mark = view_of([[0, 0, 15, 24]], [0.95], [chances()])
    text = view_of([[20 * k, 40, 20 * k + 15, 64] for k in range(2)], [0.9] * 2, [chances()] * 2)
    alone = {"lone": np.ones(1, np.float32), "objectness": np.full(1, objectness, np.float32)}
    scores = replace(mark.scores, places=replace(mark.scores.places, **alone))
    lines = mark.lines + (text.lines if word else [])
    (digit,) = arrange(replace(mark, lines=lines, scores=scores), (100, 80), THRESHOLDS).lines[0]
    assert digit.status == status


@pytest.mark.parametrize(("down", "texts"), [(3, ["4444"]), (15, ["44", "44"])])
def test_adjacent_lines_form_one_number_only_at_the_same_height(view_of, down, texts):
    boxes = [[20 * k, down * (k > 1), 20 * k + 15, 24 + down * (k > 1)] for k in range(4)]
    parts = [view_of(part, [0.9] * 2, [chances()] * 2) for part in (boxes[:2], boxes[2:])]
    view = view_of(boxes, [0.9] * 4, [chances()] * 4)
    places = replace(view.scores.places, line=np.array([0, 0, 1, 1]), symbol=np.array([0, 1, 0, 1]))
    lines = [line for part in parts for line in part.lines]
    view = replace(view, lines=lines, scores=replace(view.scores, places=places))

    numbers = [number for row in arrange(view, (100, 60), THRESHOLDS).numbers for number in row]

    assert ["".join(spot.char for spot in number) for number in numbers] == texts


@pytest.mark.parametrize(
    ("rows", "down", "texts"),
    [
        pytest.param(["####"], 40, ["4444"], id="a comb"),
        pytest.param(["####", "####"], 80, ["4444"] * 2, id="two combs"),
        pytest.param(["###", "###", "###"], 40, ["444"] * 3, id="wide numbers below each other"),
        pytest.param(["##.#", "#..#", ".###", "##.."], 40, ["4"] * 10, id="a grid"),
    ],
)
def test_lone_digits_form_numbers_unless_in_a_grid(view_of, rows, down, texts):
    boxes = [
        [40 * column, down * row, 40 * column + 15, down * row + 24]
        for row, cells in enumerate(rows)
        for column, cell in enumerate(cells)
        if cell == "#"
    ]
    count = len(boxes)
    lines = [view_of([box], [0.9], [chances()]).lines[0] for box in boxes]
    view = view_of(boxes, [0.9] * count, [chances()] * count)
    own = {"line": np.arange(count), "symbol": np.zeros(count, int)}
    places = replace(view.scores.places, **own, lone=np.ones(count, np.float32))
    view = replace(view, lines=lines, scores=replace(view.scores, places=places))

    numbers = [number for row in arrange(view, (200, 200), THRESHOLDS).numbers for number in row]

    assert ["".join(spot.char for spot in number) for number in numbers] == texts


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((1.4, 2.6, 8.5, 9.4), (1, 3, 8, 9)),
        ((-5, -3, 120, 90), (0, 0, 100, 50)),
        ((-9, -9, -4, -4), (0, 0, 1, 1)),
        ((140, 80, 150, 90), (99, 49, 100, 50)),
        ((7.2, 7.2, 7.3, 7.3), (7, 7, 8, 8)),
    ],
)
def test_boxes_are_rounded_and_clipped_to_the_page(box, expected):
    assert page_box(np.array(box, np.float32), 100, 50) == Box(*expected)


NUMBERS = st.floats(-1e6, 1e6, width=32)


@given(st.tuples(*[NUMBERS] * 4), st.integers(1, 5000), st.integers(1, 5000))
def test_any_box_becomes_a_non_empty_box_on_the_page(box, width, height):
    found = page_box(np.array(box, np.float32), width, height)
    assert 0 <= found.x0 < found.x1 <= width
    assert 0 <= found.y0 < found.y1 <= height
