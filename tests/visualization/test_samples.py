import numpy as np

from digitlens.datasets.mnist import Split
from digitlens.datasets.synthetic.pages import Page
from digitlens.visualization.samples import (
    CELL,
    DIGIT,
    GAP,
    LABEL_WIDTH,
    MARGIN,
    MAYBE,
    PAPER,
    draw_pages,
    draw_samples,
)


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


def page_with(box: tuple[float, ...], value: int, gray: int = 0) -> Page:
    pixels = np.full((64, 64, 3), gray, np.uint8)
    return Page(pixels, np.array([box], np.float32), np.array([value], np.int8))


def on_sheet(sheet: np.ndarray, number: int, columns: int) -> np.ndarray:
    top = GAP + number // columns * (64 + GAP)
    left = GAP + number % columns * (64 + GAP)
    return sheet[top : top + 64, left : left + 64]


def count(pixels: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((pixels == colour).all(axis=2).sum())


def test_pages_stand_side_by_side_in_rows() -> None:
    pages = [page_with((10, 20, 30, 40), 7, gray) for gray in (10, 20, 30, 40, 50)]

    sheet = np.asarray(draw_pages(pages, columns=3, marked=False))

    assert sheet.shape == (2 * 64 + 3 * GAP, 3 * 64 + 4 * GAP, 3)
    for number, page in enumerate(pages):
        assert (on_sheet(sheet, number, 3) == page.pixels).all()
    assert (on_sheet(sheet, 5, 3) == PAPER).all()


def test_a_frame_goes_around_the_box_and_leaves_the_ink_alone() -> None:
    page = page_with((10, 20, 30, 40), 7)

    marked = on_sheet(np.asarray(draw_pages([page])), 0, 8)

    frame = marked[19:41, 9:31].copy()
    frame[1:-1, 1:-1] = DIGIT
    assert (frame == DIGIT).all()
    assert (marked[22:40, 10:30] == 0).all()
    assert marked[8:18, 9:20, 1].max() > 100  # the value stands above
    assert (page.pixels == 0).all()


def test_what_may_be_read_or_not_has_a_red_frame_and_no_value() -> None:
    marked = on_sheet(np.asarray(draw_pages([page_with((10, 20, 30, 40), -1)])), 0, 8)

    assert count(marked, MAYBE) == 2 * 22 + 2 * 20
    assert count(marked, DIGIT) == 0


def test_a_frame_at_the_edge_stays_on_the_page() -> None:
    marked = on_sheet(np.asarray(draw_pages([page_with((0, 0, 64, 64), 3)])), 0, 8)

    assert (marked[0, 20:] == DIGIT).all()
    assert (marked[-1] == DIGIT).all()
    assert (marked[20:, [0, -1]] == DIGIT).all()
