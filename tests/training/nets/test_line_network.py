"""The line network gives one row of scores for every eight pixels of width."""

import pytest
import torch

from digitlens.training.nets.line_network import LineNetwork, normalised


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return LineNetwork(12).eval()


def _lines(count, width):
    return torch.randint(0, 256, (count, 48, width, 3), dtype=torch.uint8)


@pytest.mark.parametrize("width", [16, 72, 320])
def test_there_is_a_step_for_every_eight_pixels(network, width):
    with torch.inference_mode():
        assert network(_lines(2, width)).shape == (2, width // 8, 12)


def test_lines_do_not_see_each_other(network):
    lines = _lines(3, 64)
    with torch.inference_mode():
        together, alone = network(lines)[1], network(lines[1:2])[0]
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def test_pixels_from_0_to_255_become_minus_1_to_1():
    pixels = torch.tensor([0, 255], dtype=torch.uint8)
    torch.testing.assert_close(normalised(pixels), torch.tensor([-1.0, 1.0]))
