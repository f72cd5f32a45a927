import numpy as np
import pytest

from digitlens.visualization.sheet import MOST, draw_tiles

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


def test_an_empty_sheet_says_so():
    picture = sheet()
    assert (picture < 100).any()


def test_too_many_are_counted():
    shown, more = (sheet(*[1] * count) for count in (MOST, MOST + 7))
    assert shown.shape[0] < more.shape[0] < 1.05 * shown.shape[0]


def test_titles_differ():
    rows = [draw_tiles(np.zeros((1, 28, 28), np.uint8), chances(1), [t]) for t in ("one", "two")]
    assert (rows[0] != rows[1]).any()


def test_lists_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="expected as many of each, found 1 tiles, 2 prob"):
        draw_tiles(np.zeros((1, 28, 28), np.uint8), chances(1, 2), ["#1"])
