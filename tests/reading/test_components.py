import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from digitlens.reading.components import connected_components, join, runs

MASKS = arrays.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def flooded(mask):
    """Labels by flood fill from each pixel in turn: slow and plain."""
    labels, count = np.zeros(mask.shape, int), 0
    for start in zip(*np.nonzero(mask), strict=True):
        if labels[start]:
            continue
        count += 1
        todo = [start]
        while todo:
            y, x = todo.pop()
            if (
                0 <= y < mask.shape[0]
                and 0 <= x < mask.shape[1]
                and mask[y, x]
                and not labels[y, x]
            ):
                labels[y, x] = count
                todo += [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    return labels


@given(MASKS)
def test_parts_are_those_of_a_flood_fill(mask):
    assert np.array_equal(connected_components(mask).labels, flooded(mask))


@given(MASKS)
def test_boxes_and_areas_are_those_of_the_labels(mask):
    parts = connected_components(mask)
    assert len(parts.boxes) == len(parts.areas) == parts.labels.max()
    for label, (box, area) in enumerate(zip(parts.boxes, parts.areas, strict=True), 1):
        rows, columns = np.nonzero(parts.labels == label)
        assert area == len(rows)
        assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_a_long_snake_is_one_part():
    snake = np.zeros((101, 80), bool)
    snake[::2] = True
    snake[1::4, -1] = snake[3::4, 0] = True
    assert connected_components(snake).areas.tolist() == [snake.sum()]


def test_rows_do_not_touch_around_the_edge():
    mask = np.zeros((3, 5), bool)
    mask[0, 4] = mask[2, 0] = True
    assert len(connected_components(mask).areas) == 2


def test_runs_are_counted_along_rows_with_one_empty_pixel_more():
    starts, ends = runs(np.array([[1, 1, 0], [0, 1, 1]], bool))
    assert starts.tolist() == [0, 5]
    assert ends.tolist() == [2, 7]


@pytest.mark.parametrize(
    ("pairs", "groups"),
    [
        ([], [0, 1, 2, 3]),
        ([(2, 3)], [0, 1, 2, 2]),
        ([(3, 0), (2, 3)], [0, 1, 0, 0]),
        ([(0, 1), (1, 2), (2, 3)], [0, 0, 0, 0]),
    ],
)
def test_join_follows_chains_of_pairs(pairs, groups):
    first, second = np.array(pairs, int).reshape(-1, 2).T
    assert join(4, first, second).tolist() == groups
