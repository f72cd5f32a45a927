import numpy as np

from digitlens.datasets.corruptions.corruptions import corrupt

DARK = np.zeros((300, 28, 28), np.uint8)


def test_a_dotted_line_has_every_other_dash_of_a_straight_line():
    dotted = corrupt(DARK, "dotted_line").astype(float)
    columns = dotted.sum(axis=1)
    assert not columns[:, np.arange(28) // 2 % 2 == 0].any()
    assert not columns[:, 27].any()
    assert (columns[:, [2, 3, 6, 7, 14, 22, 26]] > 255).all()
    rows = (dotted * np.arange(28)[:, None]).sum(axis=1)[:, [6, 14, 22]] / columns[:, [6, 14, 22]]
    inside = ((rows > 3) & (rows < 24)).all(axis=1)
    bend = rows[inside, 0] - 2 * rows[inside, 1] + rows[inside, 2]
    assert inside.sum() > 100
    assert np.abs(bend).max() < 0.3


def test_a_zigzag_swings_about_a_line_that_hardly_slants():
    drawn = corrupt(DARK, "zigzag").astype(float)
    columns = drawn.sum(axis=1)
    whole = (columns[:, 4:23] > 255).all(axis=1)  # not cut by the edge of the tile
    assert whole.sum() > 100
    assert not columns[whole][:, :1].any()
    assert not columns[whole][:, 27:].any()
    rows = (drawn * np.arange(28)[:, None]).sum(axis=1)[whole, 4:23] / columns[whole, 4:23]
    turns = (np.diff(np.sign(np.diff(rows, axis=1)), axis=1) != 0).sum(axis=1)
    assert np.median(turns) == 4  # at columns 8, 12, 16 and 20
    assert np.abs(rows[:, 0] - rows[:, -1]).max() < 9


def test_ink_of_the_digit_stays(tiles):
    for name in ("dotted_line", "zigzag"):
        assert (corrupt(tiles, name) >= tiles).all()
