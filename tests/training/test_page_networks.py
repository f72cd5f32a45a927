import pytest
import torch

from digitlens.training.page_networks import CELL, DetectorNetwork, LineNetwork

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return DetectorNetwork((4, 4, 8, 8, 8), (1, 0, 1, 0), (4, 4, 8)).eval()


@pytest.mark.parametrize(("height", "width"), [(64, 64), (96, 160)])
def test_all_cells_have_outputs_and_initial_centres_are_at_one_percent(network, height, width):
    pages = torch.randint(0, 256, (2, 3, height, width), dtype=torch.uint8)
    with torch.inference_mode():
        cells = network(pages)
        assert torch.equal(cells.reach, network(pages.float()).reach)  # bytes or floats
    rows, columns = height // CELL, width // CELL
    assert cells.centre.shape == (2, rows, columns)
    assert cells.values.shape == (2, 10, rows, columns)
    assert cells.reach.shape == (2, 4, rows, columns)
    assert all(part.dtype == torch.float32 for part in cells)
    assert torch.sigmoid(cells.centre).mean() == pytest.approx(0.01, rel=0.2)


@pytest.fixture(scope="module")
def recogniser():
    torch.manual_seed(0)
    return LineNetwork(12).eval()


@pytest.mark.parametrize("width", [16, 72, 320])
def test_one_step_per_eight_pixels_and_lines_are_independent(recogniser, width):
    lines = torch.randint(0, 256, (3, 48, width, 3), dtype=torch.uint8)
    with torch.inference_mode():
        together, alone = recogniser(lines), recogniser(lines[1:2])
    assert together.shape == (3, width // 8, 12)
    torch.testing.assert_close(together[1], alone[0], atol=1e-5, rtol=1e-4)
