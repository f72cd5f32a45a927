"""The small pictures of a network that is still learning show what they should."""

import numpy as np
import pytest

from digitlens.visualization.snapshots import draw_counts, draw_filters

CELL, EDGE = 40, 52


def middle_of(picture, row, column):
    """The colour near a corner of a cell, where there is no number."""
    return picture[EDGE + row * CELL + 4, EDGE + column * CELL + 4].astype(int)


def test_errors_stand_out_and_hits_are_quiet():
    confusion = np.diag(np.full(10, 90))
    confusion[3, 5], confusion[4, 9] = 8, 1
    picture = draw_counts(confusion)
    assert picture.dtype == np.uint8
    assert picture.shape == (EDGE + 10 * CELL + 8, EDGE + 10 * CELL + 8, 3)
    many, few, hit, nothing = (
        middle_of(picture, *cell) for cell in [(3, 5), (4, 9), (3, 3), (5, 3)]
    )

    def warmth(colour):
        return colour[0] - colour[2]

    assert warmth(many) > warmth(few) > warmth(nothing) >= 0 > warmth(hit)
    assert hit.min() > 200


def test_no_error_and_no_tile_can_be_drawn():
    assert draw_counts(np.zeros((10, 10), np.int64)).max() == 250


@pytest.mark.parametrize("count", [1, 16, 33])
def test_filters_stand_side_by_side(count):
    kernels = np.zeros((count, 3, 3), np.float32)
    kernels[:, 0, 0], kernels[:, 2, 2] = 0.5, -0.5
    sheet = draw_filters(kernels)
    assert sheet.dtype == np.uint8
    blue, orange, zero = (sheet[6 + at, 6 + at].astype(int) for at in (4, 28, 16))
    assert blue[2] > blue[0] + 50
    assert orange[0] > orange[2] + 50
    assert zero.min() > 240


def test_a_filter_of_zeros_is_blank():
    assert draw_filters(np.zeros((1, 5, 5), np.float32)).min() > 240
