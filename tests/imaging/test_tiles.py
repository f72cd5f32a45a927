import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageDraw

from digitlens.imaging import tiles
from digitlens.imaging.tiles import FRAME, SIDE, stroke_width, to_tile, to_tiles

SOME_INK = arrays.arrays(np.uint8, st.tuples(st.integers(1, 60), st.integers(1, 60))).filter(np.any)


def drawn_four(height, pen):
    """uint8[H, W]; a 4 of the given height and pen width, both in pixels."""
    picture = Image.new("L", (height + 4 * pen, height + 4 * pen))
    draw = ImageDraw.Draw(picture)
    for way in ([(0.5, 0), (0.1, 0.65), (0.9, 0.65)], [(0.7, 0.3), (0.7, 1)]):
        points = [(2 * pen + x * height, 2 * pen + y * height) for x, y in way]
        draw.line(points, 255, pen, joint="curve")
    return np.asarray(picture)


@given(SOME_INK)
def test_any_ink_is_framed_like_mnist(ink):
    tile = to_tile(ink)
    rows, columns = np.flatnonzero(tile.any(axis=1)), np.flatnonzero(tile.any(axis=0))
    assert tile.shape == (SIDE, SIDE)
    assert tile.max() == 255
    assert rows[-1] - rows[0] < FRAME
    assert columns[-1] - columns[0] < FRAME


@given(SOME_INK)
def test_centre_of_mass_is_in_the_middle(ink):
    tile = to_tile(ink).astype(float)
    middle = np.arange(SIDE) + 0.5
    for mass in (tile.sum(axis=0), tile.sum(axis=1)):
        centre = (mass * middle).sum() / mass.sum()
        at_border = mass[0] > 0 or mass[-1] > 0  # a digit that could not be moved further
        assert at_border or SIDE / 2 <= centre < SIDE / 2 + 1


def test_no_ink_gives_a_dark_tile_and_tiles_are_stacked_in_order():
    assert not to_tile(np.zeros((5, 8), np.uint8)).any()
    assert to_tiles([]).shape == (0, SIDE, SIDE)
    inks = [drawn_four(100, 12), drawn_four(60, 9)]
    stacked = to_tiles(inks)
    assert stacked.dtype == np.uint8
    assert np.array_equal(stacked, [to_tile(ink) for ink in inks])


@pytest.mark.mnist
def test_framing_leaves_mnist_unchanged(mnist):
    real = mnist.train.tiles[:1000]
    difference = np.abs(to_tiles(list(real)).astype(int) - real).max(axis=(1, 2))
    assert (difference <= 3).mean() > 0.97  # the rest has strokes that are rare in MNIST


@pytest.fixture
def as_drawn(monkeypatch):
    """Frames ink without changing its strokes."""

    def frame(ink):
        with monkeypatch.context() as patch:
            patch.setattr(tiles, "MIN_STROKE", 0)
            patch.setattr(tiles, "MAX_STROKE", np.inf)
            return to_tile(ink)

    return frame


@pytest.mark.parametrize("pen", [1, 2, 4])
def test_strokes_of_a_thin_pen_become_as_wide_as_those_of_mnist(pen, as_drawn):
    ink = drawn_four(400, pen)
    thin, usual = (np.count_nonzero(tile > 127) for tile in (as_drawn(ink), to_tile(ink)))
    assert 1.4 * thin < usual < 3 * thin
    assert stroke_width(to_tile(ink) > 127) < 3


def test_strokes_of_a_fat_pen_are_thinned(as_drawn):
    ink = drawn_four(100, 30)
    assert np.count_nonzero(to_tile(ink)) < 0.9 * np.count_nonzero(as_drawn(ink))


@pytest.mark.parametrize("pen", [9, 12, 20])
def test_strokes_of_an_ordinary_pen_are_unchanged(pen, as_drawn):
    ink = drawn_four(100, pen)
    assert np.array_equal(to_tile(ink), as_drawn(ink))
