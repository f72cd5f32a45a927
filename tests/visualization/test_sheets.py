import numpy as np
import pytest

from digitlens.datasets.synthetic.pages import Page
from digitlens.visualization.sheets import (
    CELL,
    DIGIT,
    LABEL_WIDTH,
    MARGIN,
    MAYBE,
    MOST,
    MOST_REDRAWN,
    SAMPLE_GAP,
    SAMPLE_PAPER,
    draw_counts,
    draw_kernels,
    draw_pages,
    draw_redrawn,
    draw_samples,
    draw_tiles,
)

BLUE = (0, 92, 184)


def chances(*values):
    found = np.full((len(values), 10), 0.01, np.float32)
    found[range(len(values)), values] = 0.91
    return found


def sheet(*values, tile=None):
    tiles = np.zeros((len(values), 28, 28), np.uint8) if tile is None else tile
    return draw_tiles(tiles, chances(*values), [f"#{k}" for k, _ in enumerate(values, 1)])


def blue_columns(picture):
    return np.flatnonzero((picture == BLUE).all(axis=2).any(axis=0))


def test_tiles_are_shown_as_they_are():
    tile = np.random.default_rng(0).integers(0, 256, (1, 28, 28), dtype=np.uint8)
    picture = sheet(3, tile=tile)
    large = np.repeat(np.repeat(tile[0], 3, 0), 3, 1)
    found = [
        (y, x)
        for y in range(picture.shape[0] - 83)
        for x in range(20)
        if np.array_equal(picture[y : y + 84, x : x + 84, 0], large)
    ]
    assert len(found) == 1


def test_the_likeliest_digit_has_a_high_bar_further_right_for_a_higher_digit():
    starts = [blue_columns(sheet(value)).min() for value in range(10)]
    assert np.all(np.diff(starts) == 12)
    unsure = draw_tiles(
        np.zeros((1, 28, 28), np.uint8), np.array([[0.3] + [0.7 / 9] * 9], np.float32), ["#1"]
    )
    assert (unsure == BLUE).all(axis=2).sum() < 0.6 * (sheet(0) == BLUE).all(axis=2).sum()


def test_rows_hold_five():
    one, five, six = (sheet(*range(count)) for count in (1, 5, 6))
    assert five.shape[1] == five.shape[1] == 5 * one.shape[1]
    assert six.shape[0] > five.shape[0] == one.shape[0]


def test_an_empty_sheet_says_so_and_too_many_are_counted():
    assert (sheet() < 100).any()
    shown, more = (sheet(*[1] * count) for count in (MOST, MOST + 7))
    assert shown.shape[0] < more.shape[0] < 1.05 * shown.shape[0]
    rows = [draw_tiles(np.zeros((1, 28, 28), np.uint8), chances(1), [t]) for t in ("one", "two")]
    assert (rows[0] != rows[1]).any()  # titles differ
    with pytest.raises(ValueError, match="expected as many of each, found 1 tiles, 2 prob"):
        draw_tiles(np.zeros((1, 28, 28), np.uint8), chances(1, 2), ["#1"])


def cell(sheet: np.ndarray, row: int, column: int) -> np.ndarray:
    top = MARGIN + row * (CELL + SAMPLE_GAP)
    left = MARGIN + LABEL_WIDTH + column * (CELL + SAMPLE_GAP)
    return sheet[top : top + CELL, left : left + CELL]


def test_each_digit_has_a_row_of_its_tiles(small_split):
    sheet = np.asarray(draw_samples(small_split, per_digit=5))
    ink = [[(cell(sheet, row, column) < 128).mean() for column in range(5)] for row in range(10)]
    assert sheet.shape[2] == 3
    assert np.min(ink) > 0.03
    assert np.argmin(np.mean(ink, axis=1)) == 1  # a one needs the least ink,
    assert np.argmax(np.mean(ink, axis=1)) == 8  # an eight the most


def test_a_digit_without_tiles_leaves_its_row_empty(small_split):
    sheet = np.asarray(draw_samples(small_split.take(small_split.labels != 4), per_digit=3))
    assert (cell(sheet, 4, 0) == SAMPLE_PAPER).all()
    assert not (cell(sheet, 5, 0) == SAMPLE_PAPER).all()


def test_the_seed_decides_which_tiles_are_shown(small_split):
    first, again, other = (draw_samples(small_split, seed=seed).tobytes() for seed in (0, 0, 1))
    assert first == again
    assert first != other


def page_with(box: tuple[float, ...], value: int, gray: int = 0) -> Page:
    pixels = np.full((64, 64, 3), gray, np.uint8)
    return Page(pixels, np.array([box], np.float32), np.array([value], np.int8))


def on_sheet(sheet: np.ndarray, number: int, columns: int) -> np.ndarray:
    top = SAMPLE_GAP + number // columns * (64 + SAMPLE_GAP)
    left = SAMPLE_GAP + number % columns * (64 + SAMPLE_GAP)
    return sheet[top : top + 64, left : left + 64]


def count(pixels: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((pixels == colour).all(axis=2).sum())


def test_pages_stand_side_by_side_in_rows():
    pages = [page_with((10, 20, 30, 40), 7, gray) for gray in (10, 20, 30, 40, 50)]
    sheet = np.asarray(draw_pages(pages, columns=3, marked=False))
    assert sheet.shape == (2 * 64 + 3 * SAMPLE_GAP, 3 * 64 + 4 * SAMPLE_GAP, 3)
    for number, page in enumerate(pages):
        assert (on_sheet(sheet, number, 3) == page.pixels).all()
    assert (on_sheet(sheet, 5, 3) == SAMPLE_PAPER).all()


def test_a_frame_goes_around_the_box_and_leaves_the_ink_alone():
    page = page_with((10, 20, 30, 40), 7)
    marked = on_sheet(np.asarray(draw_pages([page])), 0, 8)
    frame = marked[19:41, 9:31].copy()
    frame[1:-1, 1:-1] = DIGIT
    assert (frame == DIGIT).all()
    assert (marked[22:40, 10:30] == 0).all()
    assert marked[8:18, 9:20, 1].max() > 100  # the value stands above
    assert (page.pixels == 0).all()


def test_frames_of_what_may_be_read_or_not_are_red_and_stay_on_the_page():
    marked = on_sheet(np.asarray(draw_pages([page_with((10, 20, 30, 40), -1)])), 0, 8)
    assert count(marked, MAYBE) == 2 * 22 + 2 * 20
    assert count(marked, DIGIT) == 0
    marked = on_sheet(np.asarray(draw_pages([page_with((0, 0, 64, 64), 3)])), 0, 8)
    assert (marked[0, 20:] == DIGIT).all()
    assert (marked[-1] == DIGIT).all()
    assert (marked[20:, [0, -1]] == DIGIT).all()


COUNT, EDGE = 40, 52


def middle_of(picture, row, column):
    """The colour near a corner of a cell, where there is no number."""
    return picture[EDGE + row * COUNT + 4, EDGE + column * COUNT + 4].astype(int)


def test_errors_stand_out_and_hits_are_quiet():
    confusion = np.diag(np.full(10, 90))
    confusion[3, 5], confusion[4, 9] = 8, 1
    picture = draw_counts(confusion)
    assert picture.dtype == np.uint8
    assert picture.shape == (EDGE + 10 * COUNT + 8, EDGE + 10 * COUNT + 8, 3)
    many, few, hit, nothing = (
        middle_of(picture, *cell) for cell in [(3, 5), (4, 9), (3, 3), (5, 3)]
    )

    def warmth(colour):
        return colour[0] - colour[2]

    assert warmth(many) > warmth(few) > warmth(nothing) >= 0 > warmth(hit)
    assert hit.min() > 200
    assert draw_counts(np.zeros((10, 10), np.int64)).max() == 250


@pytest.mark.parametrize("count", [1, 16, 33])
def test_filters_stand_side_by_side_and_zeros_are_blank(count):
    kernels = np.zeros((count, 3, 3), np.float32)
    assert draw_kernels(kernels).min() > 240
    kernels[:, 0, 0], kernels[:, 2, 2] = 0.5, -0.5
    sheet = draw_kernels(kernels)
    assert sheet.dtype == np.uint8
    blue, orange, zero = (sheet[6 + at, 6 + at].astype(int) for at in (4, 28, 16))
    assert blue[2] > blue[0] + 50
    assert orange[0] > orange[2] + 50
    assert zero.min() > 240


TILES = np.full((5, 28, 28), 255, np.uint8)


def _counts(picture):
    blue = (picture == np.array((86, 180, 233))).all(axis=2).sum()
    return int(blue), int((picture == 255).all(axis=2).sum())


def test_tiles_are_white_and_drawings_blue_side_by_side():
    picture = draw_redrawn(TILES, TILES, ["7"] * 5, ["error 0.1"] * 5)
    assert (picture.dtype, picture.shape[2]) == (np.uint8, 3)
    assert _counts(picture) == (5 * 112**2, 5 * 112**2)
    left, right = (
        np.flatnonzero((picture == c).all(axis=2).any(axis=0)) for c in (255, (86, 180, 233))
    )
    assert left.min() < right.min()


def test_a_page_without_digits_and_one_with_too_many_say_so():
    empty = draw_redrawn(TILES[:0], TILES[:0], [], [])
    assert empty.std() > 5
    many = np.repeat(TILES[:1], MOST_REDRAWN + 5, axis=0)
    picture = draw_redrawn(many, many, [""] * len(many), [""] * len(many))
    assert _counts(picture)[0] == MOST_REDRAWN * 112**2
    assert (picture[-24:] < 100).any()
    with pytest.raises(ValueError, match="as many of each"):
        draw_redrawn(TILES, TILES[:4], [""] * 5, [""] * 5)
