import numpy as np

from digitlens.data.mnist import Split
from digitlens.visualization.samples import CELL, GAP, LABEL_WIDTH, MARGIN, PAPER, draw_samples


def cell(sheet: np.ndarray, row: int, column: int) -> np.ndarray:
    top = MARGIN + row * (CELL + GAP)
    left = MARGIN + LABEL_WIDTH + column * (CELL + GAP)
    return sheet[top : top + CELL, left : left + CELL]


def test_each_digit_has_a_row_of_its_tiles(small_split: Split) -> None:
    sheet = np.asarray(draw_samples(small_split, per_digit=5))
    ink = [[(cell(sheet, row, column) < 128).mean() for column in range(5)] for row in range(10)]

    assert sheet.shape[2] == 3
    assert np.min(ink) > 0.03
    assert np.argmin(np.mean(ink, axis=1)) == 1  # a one needs the least ink,
    assert np.argmax(np.mean(ink, axis=1)) == 8  # an eight the most


def test_a_digit_without_tiles_leaves_its_row_empty(small_split: Split) -> None:
    sheet = np.asarray(draw_samples(small_split.take(small_split.labels != 4), per_digit=3))

    assert (cell(sheet, 4, 0) == PAPER).all()
    assert not (cell(sheet, 5, 0) == PAPER).all()


def test_the_seed_decides_which_tiles_are_shown(small_split: Split) -> None:
    first, again, other = (draw_samples(small_split, seed=seed).tobytes() for seed in (0, 0, 1))

    assert first == again
    assert first != other
