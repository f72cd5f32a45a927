import numpy as np
import pytest

from digitlens.datasets.corruptions.corruptions import corrupt


@pytest.fixture(scope="module")
def square():
    tile = np.zeros((1, 28, 28), np.uint8)
    tile[:, 8:20, 8:20] = 255
    return tile


def test_a_square_becomes_its_outline(square):
    edges = corrupt(square, "canny_edges")[0]
    assert set(np.unique(edges)) == {0, 255}
    assert not edges[11:17, 11:17].any()
    assert not edges[:6].any()
    for line in (edges[14], edges[:, 14]):
        on = np.flatnonzero(line)
        assert on.min() in {7, 8}
        assert on.max() in {19, 20}
    reached = np.pad(edges, 1)  # the outline is closed: every pixel has two neighbours on it
    around = sum(np.roll(reached, (y, x), (0, 1)) > 0 for y in (-1, 0, 1) for x in (-1, 0, 1))
    assert (around[reached > 0] >= 3).all()


def test_faint_ink_shows_only_where_it_is_tied_to_an_edge_that_is_strong(square):
    faint = (square * 0.02).astype(np.uint8)
    assert not corrupt(faint, "canny_edges").any()
    flat = np.full((1, 28, 28), 200, np.uint8)
    assert not corrupt(flat, "canny_edges").any()


def test_an_edge_goes_on_where_it_gets_weaker():
    fading = np.zeros((2, 28, 28), np.uint8)
    ramp = np.linspace(120, 9, 20).astype(np.uint8)
    fading[0, 14:, 4:24] = ramp
    fading[1, 14:, 14:24] = ramp[10:] * (ramp[10:] < 14)  # the weak end without its start
    connected, alone = (np.flatnonzero(tile.any(axis=0)) for tile in corrupt(fading, "canny_edges"))
    assert connected.max() > 18
    assert not len(alone) or alone.max() < connected.max() + 2
