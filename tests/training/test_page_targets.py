"""Targets say of each cell what the page shows there, and boxes can be had back from them."""

import numpy as np
import pytest

from digitlens.datasets.synthetic.pages import Page
from digitlens.training.page_targets import NOTHING, STRIDE, Targets, targets_of


def _targets(*digits: tuple[tuple[float, float, float, float], int]) -> Targets:
    boxes = np.array([box for box, _ in digits], np.float32).reshape(-1, 4)
    values = np.array([value for _, value in digits], np.int8)
    return targets_of(Page(np.zeros((64, 96, 3), np.uint8), boxes, values))


def test_an_empty_page_has_no_centres_and_asks_everywhere():
    targets = _targets()
    assert targets.centre.shape == (16, 24)
    assert not targets.centre.any()
    assert targets.weight.all()
    assert (targets.value == NOTHING).all()


def test_a_digit_is_named_in_the_cells_of_its_middle_alone():
    targets = _targets(((20, 8, 44, 56), 7))
    row, column = np.unravel_index(targets.centre.argmax(), targets.centre.shape)
    assert (row, column) == (8, 8)
    assert targets.centre[row, column] == 1
    assert targets.value[row, column] == 7
    assert set(np.unique(targets.value)) == {NOTHING, 7}
    assert 0 < (targets.value == 7).sum() < 12
    assert 0 < targets.centre[row + 1, column] < 1


def test_every_cell_that_names_a_digit_gives_back_its_box():
    box = (20.0, 8.0, 45.0, 55.0)
    targets = _targets((box, 3))
    rows, columns = np.nonzero(targets.value == 3)
    reach = np.exp(targets.reach[:, rows, columns].astype(np.float32))
    middle = np.stack([columns, rows]) + 0.5
    found = np.concatenate([middle - reach[:2], middle + reach[2:]]) * STRIDE
    np.testing.assert_allclose(found.T, np.tile(box, (len(rows), 1)), atol=0.1)


@pytest.mark.parametrize("digits", [[0, 1], [1, 0]])
def test_a_small_digit_on_a_large_one_has_its_own_cell(digits):
    both = [((0, 0, 64, 64), 5), ((29, 29, 35, 36), 2)]
    targets = _targets(*(both[index] for index in digits))
    assert targets.value[8, 8] == 2
    assert (targets.value == 5).any()


def test_what_may_be_read_or_not_is_not_asked_for():
    targets = _targets(((0, 0, 20, 30), -1))
    assert not targets.weight[:7, :5].any()
    assert targets.weight[9:, 7:].all()
    assert not targets.centre.any()


def test_a_digit_over_what_is_not_asked_for_is_asked_for():
    targets = _targets(((0, 0, 60, 60), -1), ((20, 20, 30, 40), 4))
    assert targets.weight[targets.value == 4].all()


def test_digits_at_the_edge_and_of_one_pixel_have_a_cell():
    targets = _targets(((95, 63, 96, 64), 1), ((0, 0, 1, 1), 9))
    assert targets.value[15, 23] == 1
    assert targets.value[0, 0] == 9
    assert (targets.centre == 1).sum() == 2
