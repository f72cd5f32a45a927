import numpy as np
import pytest
import torch
from torch import nn

from digitlens.explain.gradients import integrate_gradients
from digitlens.training.recipe import Recipe
from digitlens.training.tasks.tile import new_network

pytestmark = pytest.mark.train


class Weighted(nn.Module):
    """Logits that are sums of weighted pixels, and an eleventh that must not count."""

    def __init__(self):
        super().__init__()
        self.weight = torch.randn(11, 784, generator=torch.Generator().manual_seed(0)) / 500
        self.weight[10] = 100

    def forward(self, tiles):
        return tiles.flatten(1).float() @ self.weight.T


def test_of_a_sum_each_pixel_is_given_its_share(small_split):
    network, tile = Weighted(), small_split.tiles[0]
    found = integrate_gradients(network, tile, 3, against=8)
    expected = (network.weight[3] - network.weight[8]).numpy().reshape(28, 28) * tile
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert found.dtype == np.float32


@pytest.mark.parametrize("against", [None, 2])
def test_pixels_add_up_to_what_the_tile_is_more_than_a_blank_one(small_split, against):
    torch.manual_seed(1)
    network, tile = (
        new_network(Recipe(architecture="fast", widths=(4, 8))).eval(),
        small_split.tiles[5],
    )
    found = integrate_gradients(network, tile, 7, against=against, steps=512)
    with torch.inference_mode():
        logits = network(torch.from_numpy(np.stack([tile, np.zeros_like(tile)])))
    rest = [digit for digit in range(10) if digit != 7] if against is None else [against]
    odds = logits[:, 7] - torch.logsumexp(logits[:, rest], 1)
    assert found.sum() == pytest.approx(float(odds[0] - odds[1]), abs=0.01)
    assert not found[tile == 0].any()
    assert all(weight.grad is None for weight in network.parameters())


def test_a_digit_against_itself_is_refused(small_split):
    with pytest.raises(ValueError, match="found 3 twice"):
        integrate_gradients(Weighted(), small_split.tiles[0], 3, against=3)
