import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitlens.recognition.turns import best_turn, turned_back
from digitlens.results import Box, Digit

NONE = np.zeros(0, np.float32)


class Upright:
    """Sees digits on a page whose dark corner is at the top left; on others so many unsure ones."""

    def __init__(self, look_at, count=4, otherwise=0, score=0.95):
        self.look_at, self.count, self.otherwise, self.score = look_at, count, otherwise, score
        self.pictures = []

    def look(self, picture):
        self.pictures.append(picture.shape)
        assert picture.flags.c_contiguous
        height, width = picture.shape[:2]
        right = picture[: height // 4, : width // 4].mean() < 128
        count = self.count if right else self.otherwise
        boxes = [(20 * k, 0, 20 * k + 10, 20) for k in range(count)]
        return self.look_at(boxes, [1] * count, (height, width), self.score if right else 0.7)


def page(turn=0, height=60, width=90, colour=False):
    upright = np.full((height, width, 3) if colour else (height, width), 255, np.uint8)
    upright[: height // 3, : width // 3] = 0
    return np.ascontiguousarray(np.rot90(upright, -turn))


def digit(box):
    return Digit(5, 0.9, (0.1,) * 10, Box(*box), "unsure", "because", True)


@given(st.integers(0, 3), st.integers(2, 40), st.integers(2, 40), st.data())
def test_boxes_go_back_to_where_they_were(turn, width, height, data):
    x = sorted(data.draw(st.lists(st.integers(0, width), min_size=2, max_size=2, unique=True)))
    y = sorted(data.draw(st.lists(st.integers(0, height), min_size=2, max_size=2, unique=True)))
    mask = np.zeros((height, width), bool)
    mask[y[0] : y[1], x[0] : x[1]] = True
    rows, columns = np.nonzero(np.rot90(mask, turn))
    seen = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    [[found]] = turned_back(((digit(map(int, seen)),),), turn, width, height)
    assert found.box == Box(x[0], y[0], x[1], y[1])


@pytest.mark.parametrize("turn", range(4))
def test_only_boxes_are_turned_back(turn):
    lines = ((digit((1, 2, 3, 4)), digit((5, 2, 9, 4))), (digit((1, 7, 3, 9)),))
    found = turned_back(lines, turn, 30, 20)
    assert [len(line) for line in found] == [2, 1]
    first = found[0][0]
    assert (first.value, first.status, first.reason) == (5, "unsure", "because")
    assert first.starts_number


def test_no_lines_are_turned_back_to_none():
    assert turned_back((), 3, 30, 20) == ()


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("turn", range(4))
def test_a_page_is_turned_until_it_reads(look_at, turn, colour):
    model = Upright(look_at)
    found = best_turn(page(turn, colour=colour), model, np.array([0.4], np.float32))
    assert found == turn
    assert all(shape[2] == 3 for shape in model.pictures)


def test_pages_are_compared_at_a_small_size(look_at):
    model = Upright(look_at)
    assert best_turn(page(1, 1200, 1800), model, np.array([0.4], np.float32)) == 1
    assert {max(shape) for shape in model.pictures} == {448}


@pytest.mark.parametrize(
    "confidence", [NONE, np.array([0.9, 0.95, 0.1], np.float32)], ids=["nothing", "read well"]
)
def test_a_page_that_is_blank_or_reads_well_is_not_looked_at_again(look_at, confidence):
    model = Upright(look_at)
    assert best_turn(page(1), model, confidence) == 0
    assert model.pictures == []


@pytest.mark.parametrize(
    ("count", "otherwise"), [(1, 0), (4, 6), (0, 0)], ids=["one digit", "hardly better", "none"]
)
def test_a_page_stays_where_no_turn_is_clearly_better(look_at, count, otherwise):
    model = Upright(look_at, count, otherwise)
    assert best_turn(page(2), model, np.array([0.4], np.float32)) == 0


def test_what_is_unsure_is_no_evidence(look_at):
    assert best_turn(page(2), Upright(look_at, 9, score=0.5), np.array([0.4], np.float32)) == 0
