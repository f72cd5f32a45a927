"""Training on pages: learning, resuming, losses and scores."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from torch import nn

from digitlens.datasets.synthetic.pages import Page
from digitlens.training.loop import Trained, fit
from digitlens.training.page_networks import Cells, DetectorNetwork
from digitlens.training.tasks.batches import PageBatch, targets_of
from digitlens.training.tasks.detector import DetectorTask, page_losses, page_score

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def run(maker):
    def trained(recipe, folder, **options) -> Trained[DetectorNetwork]:
        task = DetectorTask(recipe, maker(recipe.seed), maker(1), workers=0)
        return fit(task, folder, **options)

    return trained


@pytest.fixture(scope="module")
def whole(run, tiny_pages, tmp_path_factory):
    """The uninterrupted training of the tiny recipe, and its folder."""
    folder = tmp_path_factory.mktemp("run")
    return run(tiny_pages, folder), folder


def test_detector_learns(maker, tiny_pages, tmp_path):
    """Repeats a few pages: a network this small learns little from others."""
    recipe = dataclasses.replace(tiny_pages, steps=20, check_every=10, views=20, ema_decay=0.5)
    first, last = fit(DetectorTask(recipe, maker(0), maker(0), workers=0), tmp_path).history
    assert last["train_loss"] < 0.8 * first["train_loss"]
    assert last["val_loss"] < first["val_loss"]


def test_history_has_all_losses_and_scores(whole):
    trained, folder = whole
    lines = (folder / "history.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert rows == trained.history
    assert [row["step"] for row in rows] == [3, 6, 7]
    for row in rows:
        parts = row["centre_loss"] + row["value_loss"] + row["box_loss"]
        assert row["train_loss"] == pytest.approx(parts, rel=1e-4)
        assert 0 <= row["found"] <= 1
        assert 0 <= row["right"] <= 1
        assert row["false_finds"] >= 0
        assert row["seconds"] > 0


@pytest.mark.parametrize("step", [1, 4, 7])
def test_interrupted_run_resumes_to_identical_weights(
    step, run, tiny_pages, whole, tmp_path, same, without_times, stopped
):
    stopped(step, lambda: run(tiny_pages, tmp_path))
    resumed = run(tiny_pages, tmp_path, resume=True)
    assert same(whole[0].network, resumed.network)
    assert without_times(resumed.history) == without_times(whole[0].history)


def _targets(*pages: list[tuple[int, int, int, int]]) -> tuple[torch.Tensor, ...]:
    """Returns the targets of pages with a 4 in each of the boxes."""
    drawn = [
        Page(
            np.zeros((64, 64, 3), np.uint8),
            np.array(boxes, np.float32).reshape(-1, 4),
            np.full(len(boxes), 4, np.int8),
        )
        for boxes in pages
    ]
    columns = zip(*(targets_of(page) for page in drawn), strict=True)
    return tuple(torch.from_numpy(np.stack(column)) for column in columns)


def _right(targets: tuple[torch.Tensor, ...]) -> Cells:
    """Returns the cells of a network that is sure and right."""
    centre, _, value, reach = targets
    named = torch.nn.functional.one_hot(value.long().clamp(min=0), 10).permute(0, 3, 1, 2)
    return Cells(torch.where(centre > 0.999, 12.0, -12.0), 20.0 * named, reach.float())


BOXES = [(4, 8, 24, 44), (36, 8, 52, 40)]


@pytest.mark.parametrize("part", ["centre", "value", "box"])
def test_each_loss_penalises_only_its_own_error(part):
    targets = _targets(BOXES)
    right = _right(targets)
    wrong = {
        "centre": right._replace(centre=-right.centre),
        "value": right._replace(values=right.values.roll(1, dims=1)),
        "box": right._replace(reach=right.reach + 0.5),
    }
    losses = page_losses(wrong[part], *targets)
    told = dict(zip(("centre", "value", "box"), losses[1:], strict=True))
    assert told.pop(part) > 0.5
    assert all(other < 1e-3 for other in told.values())
    assert losses.total.item() == pytest.approx(sum(losses[1:]).item(), abs=1e-5)  # pyright: ignore[reportAttributeAccessIssue]


def test_right_cells_and_cells_without_weight_have_no_loss():
    targets = _targets(BOXES)
    assert page_losses(_right(targets), *targets).total.item() == pytest.approx(0, abs=1e-3)
    centre, weight, value, reach = _targets([])
    right = _right((centre, weight, value, reach))
    said = right._replace(centre=right.centre + 20)
    assert page_losses(said, centre, torch.zeros_like(weight), value, reach).total == 0
    # Pages without digits only have a loss of centres.
    losses = page_losses(right._replace(centre=right.centre + 15), centre, weight, value, reach)
    assert losses.total == losses.centre > 1
    assert losses.value == losses.box == 0


def test_crowded_page_does_not_outweigh_one_with_a_single_digit():
    """Ten missed digits cost the square root of ten times as much as one, not ten times."""
    rows, columns = (4, 34), range(2, 62, 12)
    crowd = [(x, y, x + 8, y + 16) for x in columns for y in rows]
    targets = _targets(crowd, [(10, 10, 40, 50)])
    right = _right(targets)
    missed: list[float] = []
    for page in (0, 1):
        centre = right.centre.clone()
        centre[page] = -12.0
        missed.append(page_losses(right._replace(centre=centre), *targets).centre.item())
    assert missed[0] / missed[1] == pytest.approx(10**0.5, rel=1e-3)


DIGITS = [(8, 8, 24, 40), (40, 8, 44, 14)]  # a large digit and one the size of a cell
LARGE, SMALL = (6, 4), (2, 10)  # row and column of their centres


class _Says(nn.Module):
    """A network with the same output for every page."""

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


def _batch(values: tuple[int, int] = (4, 4), count: int = 1) -> PageBatch:
    pixels = np.zeros((64, 64, 3), np.uint8)
    page = Page(pixels, np.array(DIGITS, np.float32), np.array(values, np.int8))
    targets = [torch.from_numpy(np.stack([each] * count)) for each in targets_of(page)]
    return PageBatch(torch.zeros(count, 3, 64, 64, dtype=torch.uint8), *targets)


@pytest.mark.parametrize(
    ("peaks", "batches", "expected"),
    [
        ([LARGE, SMALL], [((4, 4), 1)], (1, 1, 0)),
        ([LARGE], [((4, 4), 1)], (0.5, 1, 0)),
        ([LARGE, SMALL], [((4, 7), 1)], (1, 0.5, 0)),
        ([LARGE], [((4, 7), 1)], (0.5, 1, 0)),  # "right" is a fraction of those found
        # False finds are averaged over pages.
        ([LARGE, SMALL, (14, 14)], [((4, 4), 1), ((4, 4), 3)], (1, 1, 1)),
        # Neither cells next to a small digit nor cells without weight are false finds.
        ([(SMALL[0] + 1, SMALL[1])], [((4, 4), 1)], (0, 0, 0)),
        ([LARGE], [((-1, 4), 1)], (0, 0, 0)),
        ([], [((-1, -1), 1)], (0, 0, 0)),
    ],
)
def test_page_scores(peaks, batches, expected):
    told = page_score(_Says(peaks), [_batch(*batch) for batch in batches])
    assert (told["found"], told["right"], told["false_finds"]) == expected
    assert peaks or told["val_loss"] < 0.01


def test_two_cells_of_one_peak_count_once():
    plateau = _Says([(13, 13), (13, 14)])
    plateau.centre[0, 13, 14] = 4.0
    assert page_score(plateau, [_batch()])["false_finds"] == 1  # pyright: ignore[reportArgumentType]
