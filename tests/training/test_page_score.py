"""Scores count digits found, digits named and finds that are none."""

import numpy as np
import pytest
import torch
from torch import nn

from digitlens.datasets.synthetic.pages import Page
from digitlens.training.nets.detector_network import Cells
from digitlens.training.page_score import score
from digitlens.training.page_stream import Batch
from digitlens.training.page_targets import targets_of

pytestmark = pytest.mark.train

BOXES = [(8, 8, 24, 40), (40, 8, 44, 14)]  # a large digit and one of a cell
LARGE, SMALL = (6, 4), (2, 10)  # row and column of their centres


class _Says(nn.Module):
    """A network that says the same of every page."""

    def __init__(self, peaks: list[tuple[int, int]], value: int = 4) -> None:
        super().__init__()
        self.centre = torch.full((1, 16, 16), -5.0)
        for row, column in peaks:
            self.centre[0, row, column] = 5.0
        self.values = torch.zeros(1, 10, 16, 16)
        self.values[:, value] = 1

    def forward(self, pages: torch.Tensor) -> Cells:
        count = len(pages)
        return Cells(
            self.centre.repeat(count, 1, 1),
            self.values.repeat(count, 1, 1, 1),
            torch.zeros(count, 4, 16, 16),
        )


def _batch(values: tuple[int, int] = (4, 4), count: int = 1) -> Batch:
    pixels = np.zeros((64, 64, 3), np.uint8)
    page = Page(pixels, np.array(BOXES, np.float32), np.array(values, np.int8))
    targets = [torch.from_numpy(np.stack([each] * count)) for each in targets_of(page)]
    return Batch(torch.zeros(count, 3, 64, 64, dtype=torch.uint8), *targets)


def _score(peaks: list[tuple[int, int]], *batches: Batch, value: int = 4) -> dict[str, float]:
    return score(_Says(peaks, value), batches)  # pyright: ignore[reportArgumentType]


def test_all_found_and_right():
    told = _score([LARGE, SMALL], _batch())
    assert (told["found"], told["right"], told["false_finds"]) == (1, 1, 0)


def test_a_digit_missed_and_one_misread():
    assert _score([LARGE], _batch())["found"] == 0.5
    told = _score([LARGE, SMALL], _batch((4, 7)))
    assert (told["found"], told["right"]) == (1, 0.5)


def test_right_is_a_share_of_those_found():
    told = _score([LARGE], _batch((4, 7)))
    assert (told["found"], told["right"]) == (0.5, 1)


def test_finds_elsewhere_are_false_on_average_over_pages():
    told = _score([LARGE, SMALL, (14, 14)], _batch(), _batch(count=3))
    assert told["false_finds"] == 1


def test_a_find_in_the_cell_beside_a_small_digit_is_that_digit():
    assert _score([(SMALL[0] + 1, SMALL[1])], _batch())["false_finds"] == 0


def test_nothing_is_false_where_nothing_is_asked_for():
    told = _score([LARGE], _batch((-1, 4)))
    assert (told["found"], told["false_finds"]) == (0, 0)


def test_two_cells_of_one_peak_are_one_find():
    plateau = _Says([(13, 13), (13, 14)])
    plateau.centre[0, 13, 14] = 4.0
    told = score(plateau, [_batch()])  # pyright: ignore[reportArgumentType]
    assert told["false_finds"] == 1


def test_without_digits_or_finds_nothing_is_divided_by():
    told = _score([], _batch((-1, -1)))
    assert (told["found"], told["right"], told["false_finds"]) == (0, 0, 0)
    assert told["val_loss"] < 0.01
