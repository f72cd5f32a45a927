import pytest
import torch

from digitlens.training.page_networks import CELL, DetectorNetwork, LineNetwork

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
    rows, columns = height // CELL, width // CELL
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


@pytest.fixture(scope="module")
def recogniser():
    torch.manual_seed(0)
    return LineNetwork(12).eval()


def _lines(count, width):
    return torch.randint(0, 256, (count, 48, width, 3), dtype=torch.uint8)


@pytest.mark.parametrize("width", [16, 72, 320])
def test_there_is_a_step_for_every_eight_pixels(recogniser, width):
    with torch.inference_mode():
        assert recogniser(_lines(2, width)).shape == (2, width // 8, 12)


def test_lines_do_not_see_each_other(recogniser):
    lines = _lines(3, 64)
    with torch.inference_mode():
        together, alone = recogniser(lines)[1], recogniser(lines[1:2])[0]
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)
