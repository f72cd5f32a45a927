import numpy as np
import pytest

from digitlens.datasets.corruptions.corruptions import corrupt
from digitlens.datasets.corruptions.planes import to_planes
from digitlens.datasets.corruptions.warps import turned

ROWS, COLUMNS = np.mgrid[:28, :28] - 13.5


def moments(tiles):
    """Mean row and column of the ink, counted from the middle, and their second moments."""
    ink = tiles / tiles.sum(axis=(1, 2), keepdims=True)
    rows, columns = ((ink * place).sum(axis=(1, 2)) for place in (ROWS, COLUMNS))
    return rows, columns, (ink * ROWS**2).sum((1, 2)), (ink * ROWS * COLUMNS).sum((1, 2))


@pytest.fixture(scope="module")
def bars():
    """Forty upright bars in the middle."""
    tiles = np.zeros((40, 28, 28), np.uint8)
    tiles[:, 6:22, 12:16] = 255
    return tiles


def test_shear_slants_to_either_side_and_makes_taller(bars):
    rows, columns, tall, slant = moments(corrupt(bars, "shear"))
    assert np.abs(rows).max() < 0.05
    assert np.abs(columns).max() < 0.05
    assert set(np.sign(slant)) == {-1, 1}
    assert np.abs(slant) / tall == pytest.approx(np.tan(0.4) * np.cos(0.4), rel=0.05)
    assert np.sqrt(tall / moments(bars)[2]) == pytest.approx(1 / np.cos(0.4), rel=0.03)


def test_scale_shrinks_to_seven_tenths(bars):
    tall = moments(corrupt(bars, "scale"))[2]
    assert np.sqrt(tall / moments(bars)[2]) == pytest.approx(0.7, abs=0.02)


def test_rotate_turns_to_either_side(bars):
    _, _, tall, slant = moments(corrupt(bars, "rotate"))
    turn = 0.5 * np.arctan2(2 * slant, tall - slant / np.tan(2 * 0.4))
    assert set(np.sign(turn)) == {-1, 1}
    exact = turned(to_planes(bars), np.sign(slant).astype(np.float32) * 0.4)
    assert np.array_equal(corrupt(bars, "rotate"), np.rint(exact * 255))


def test_translate_moves_three_pixels_each_way(bars):
    rows, columns, *_ = moments(corrupt(bars, "translate"))
    ways = set(zip(rows.round(3), columns.round(3), strict=True))
    assert ways == {(-3, -3), (-3, 3), (3, -3), (3, 3)}


def test_a_quarter_turn_is_exact_and_anticlockwise():
    planes = np.random.default_rng(0).random((2, 28, 28), np.float32)
    quarter = turned(planes, np.full(2, np.pi / 2, np.float32))
    assert np.allclose(quarter, np.rot90(planes, axes=(1, 2)), atol=1e-4)
