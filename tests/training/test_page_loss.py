"""The page loss is near zero for the right answer and says which part is wrong."""

import numpy as np
import pytest
import torch

from digitlens.datasets.synthetic.pages import Page
from digitlens.training.nets.detector_network import Cells
from digitlens.training.page_loss import page_loss, page_losses
from digitlens.training.page_targets import targets_of

pytestmark = pytest.mark.train


def _targets(*pages: list[tuple[int, int, int, int]]) -> tuple[torch.Tensor, ...]:
    """Of pages with a 4 in each of the boxes."""
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
    """What a network would say that is sure and right."""
    centre, _, value, reach = targets
    named = torch.nn.functional.one_hot(value.long().clamp(min=0), 10).permute(0, 3, 1, 2)
    return Cells(torch.where(centre > 0.999, 12.0, -12.0), 20.0 * named, reach.float())


BOXES = [(4, 8, 24, 44), (36, 8, 52, 40)]


def test_the_right_answer_costs_nothing():
    targets = _targets(BOXES)
    assert page_loss(_right(targets), *targets).item() == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("part", ["centre", "value", "box"])
def test_a_wrong_answer_costs_in_its_part(part):
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


def test_pages_without_digits_have_centres_to_lose_alone():
    targets = _targets([])
    losses = page_losses(_right(targets)._replace(centre=torch.full((1, 16, 16), 3.0)), *targets)
    assert losses.total == losses.centre > 1
    assert losses.value == losses.box == 0


def test_cells_that_are_not_asked_for_cost_nothing():
    centre, weight, value, reach = _targets([])
    right = _right((centre, weight, value, reach))
    said = right._replace(centre=right.centre + 20)
    assert page_loss(said, centre, torch.zeros_like(weight), value, reach) == 0


def test_a_page_full_of_digits_does_not_drown_one_with_a_single_digit():
    """Ten digits missed weigh as the square root of ten, not ten times what one does."""
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


def test_the_loss_has_a_gradient_everywhere_it_looks():
    targets = _targets(BOXES)
    cells = Cells(*(part.requires_grad_() for part in _right(targets)))
    page_loss(cells._replace(centre=cells.centre * 0.1), *targets).backward()
    assert all(part.grad is not None and part.grad.isfinite().all() for part in cells)
    assert cells.centre.grad.abs().min() > 0  # pyright: ignore[reportOptionalMemberAccess]
