import numpy as np
import pytest

from digitlens.visualization import redrawn
from digitlens.visualization.redrawn import draw_redrawn

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


def test_a_page_without_digits_and_one_with_too_many_say_so(monkeypatch):
    empty = draw_redrawn(TILES[:0], TILES[:0], [], [])
    assert empty.std() > 5
    monkeypatch.setattr(redrawn, "MOST", 3)
    picture = draw_redrawn(TILES, TILES, [""] * 5, [""] * 5)
    assert _counts(picture)[0] == 3 * 112**2
    assert (picture[-24:] < 100).any()


def test_as_many_of_each_are_wanted():
    with pytest.raises(ValueError, match="as many of each"):
        draw_redrawn(TILES, TILES[:4], [""] * 5, [""] * 5)
