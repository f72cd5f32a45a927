import numpy as np
import pytest

from digitlens.datasets.corruptions.corruptions import corrupt


@pytest.fixture(scope="module")
def dots():
    tiles = np.zeros((400, 28, 28), np.uint8)
    tiles[:, 14, 14] = 255
    return tiles


def test_glass_spreads_a_dot_in_all_directions_and_further_along_columns(dots):
    ink = corrupt(dots, "glass_blur").mean(axis=0)
    assert ink.sum() == pytest.approx(255, rel=0.05)  # glass takes no light away
    rows, columns = np.mgrid[:28, :28]
    spread = [float((ink * (place - 14) ** 2).sum() / ink.sum()) for place in (rows, columns)]
    assert 0.5 < spread[1] < spread[0] < 4


def test_motion_leaves_a_trail_to_one_side_that_fades(dots):
    moved = corrupt(dots, "motion_blur")
    rows, columns = np.mgrid[:28, :28]
    assert (moved[:, :, 15:] == 0).all()
    fading = moved.sum(axis=(0, 1), dtype=float)[13:4:-1]
    assert (np.diff(fading) < 0).all()
    assert (moved[:, np.abs(rows - 14) > 14 - columns] == 0).all()  # never steeper than 45 degrees
    upward = (moved[:, :14].sum(axis=(1, 2)) > 0).mean()
    assert 0.3 < upward < 0.7
    assert moved.sum(axis=(1, 2)).mean() == pytest.approx(255, rel=0.03)
