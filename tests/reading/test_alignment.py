"""Rows and columns of text without ruled lines."""

import numpy as np
import pytest

from digitlens.reading.alignment import align


def texts(rows, widths, *, gap=30.0, height=20.0, right=True):
    """float[N, 4]; boxes of texts, each filling 30 to 100 % of its column's width."""
    rng = np.random.default_rng(0)
    boxes, edges = [], np.r_[0, np.cumsum(np.array(widths) + gap)]
    for r in range(rows):
        for c, width in enumerate(widths):
            own = width * rng.uniform(0.3, 1)
            x = edges[c] + (width - own if right else 0)
            boxes.append([x, 40.0 * r, x + own, 40 * r + height])
    return np.array(boxes)


def moved(boxes, x, y):
    """Boxes of the same sizes around other centres."""
    half = (boxes[:, 2:] - boxes[:, :2]) / 2
    middles = np.stack([x, y], axis=1)
    return np.concatenate([middles - half, middles + half], axis=1)


def middle(boxes):
    return ((boxes[:, :2] + boxes[:, 2:]) / 2).T


def turned(boxes):
    x, y = middle(boxes)
    angle = np.radians(6)
    return moved(
        boxes, x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)
    )


def narrowed(boxes):
    x, y = middle(boxes)
    return moved(boxes, 300 + (x - 300) * (1 - 0.12 * y / y.max()), y)


@pytest.mark.parametrize("change", [lambda boxes: boxes, turned, narrowed])
@pytest.mark.parametrize("right", [True, False])
def test_each_text_gets_its_own_cell(change, right):
    boxes = change(texts(8, [80, 120, 60, 100], right=right))
    grid = align(boxes)
    assert grid is not None
    assert grid.shape == (8, 4)
    quads = grid.quads().reshape(-1, 4, 2)
    for quad, (x, y) in zip(quads, middle(boxes).T, strict=True):
        sides = np.roll(quad, -1, axis=0) - quad
        away = np.array([x, y]) - quad
        assert (sides[:, 0] * away[:, 1] - sides[:, 1] * away[:, 0] > 0).all()


@pytest.mark.parametrize(("rows", "columns"), [(8, 3), (3, None)])
def test_narrow_gaps_separate_columns_only_with_enough_rows(rows, columns):
    boxes = texts(rows, [80, 60, 60], gap=9.0)
    boxes[::3, 0], boxes[1::3, 0], boxes[2::3, 0] = 0, 89, 158  # all fill their columns
    grid = align(boxes)
    assert (grid and grid.shape[1]) == columns


def test_number_of_rows_and_columns_can_be_given():
    boxes = texts(6, [80, 60, 60], gap=8.0)
    assert align(boxes, columns=3).shape == (6, 3)
    assert align(boxes, 6, 3).shape == (6, 3)
    assert align(boxes, columns=9) is None
    assert align(boxes, 5, 3) is None
    assert align(texts(6, [80]), columns=1).shape == (6, 1)


@pytest.mark.parametrize("boxes", [texts(1, [80, 60]), texts(5, [80])])
def test_a_single_row_or_column_is_not_a_table(boxes):
    assert align(boxes) is None
