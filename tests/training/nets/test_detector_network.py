"""The digit detector answers for every cell of pages of any size, and starts out seeing nothing."""

import pytest
import torch

from digitlens.training.nets.detector_network import MULTIPLE, STRIDE, DetectorNetwork

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return DetectorNetwork((4, 4, 8, 8, 8), (1, 0, 1, 0), (4, 4, 8)).eval()


@pytest.mark.parametrize(("height", "width"), [(64, 64), (96, 160)])
def test_each_cell_has_an_answer(network, height, width):
    pages = torch.randint(0, 256, (2, 3, height, width), dtype=torch.uint8)
    with torch.inference_mode():
        cells = network(pages)
    rows, columns = height // STRIDE, width // STRIDE
    assert cells.centre.shape == (2, rows, columns)
    assert cells.values.shape == (2, 10, rows, columns)
    assert cells.reach.shape == (2, 4, rows, columns)
    assert all(part.dtype == torch.float32 for part in cells)


def test_at_first_one_cell_in_a_hundred_holds_a_centre_of_bytes_or_numbers(network):
    pages = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    with torch.inference_mode():
        cells = network(pages)
        assert torch.equal(cells.reach, network(pages.float()).reach)
    assert torch.sigmoid(cells.centre).mean() == pytest.approx(0.01, rel=0.2)


def test_moving_a_page_by_the_coarsest_cell_moves_the_answer(network):
    """Far from the edges, which look different from paper that goes on."""
    page = torch.randint(0, 256, (1, 3, 256, 256)).float()
    with torch.inference_mode():
        here = network(page).centre
        there = network(page.roll(MULTIPLE, dims=3)).centre
    moved = MULTIPLE // STRIDE
    middle = slice(26, 38)
    torch.testing.assert_close(
        here[:, middle, 24:32], there[:, middle, 24 + moved : 32 + moved], atol=1e-3, rtol=1e-3
    )


def test_every_weight_has_a_part_in_the_answer():
    network = DetectorNetwork((4, 4, 8, 8, 8), (1, 1, 1, 1), (4, 4, 8))
    cells = network(torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8))
    sum(part.square().sum() for part in cells).backward()  # pyright: ignore[reportAttributeAccessIssue]
    missing = [name for name, p in network.named_parameters() if p.grad is None]
    assert not missing
