import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from digitlens.explain.attribution import integrate_gradients, log_odds, occlude
from digitlens.training.recipe import Recipe
from digitlens.training.tasks.tile import new_network

ROWS, COLUMNS = slice(9, 14), slice(17, 22)


def sees(patch, share):
    """A classifier that calls a tile a 3 the surer, the more of the ink of one patch it sees."""

    def predict_proba(tiles):
        odds = np.exp(share * tiles[(slice(None), *patch)].mean(axis=(1, 2)) / 255)
        rows = np.full((len(tiles), 10), 0.1 / 9)
        rows[:, 3] = odds * rows[:, 4]
        return rows / rows.sum(axis=1, keepdims=True)

    return predict_proba


@given(st.integers(0, 23), st.integers(0, 23), st.integers(1, 9))
def test_the_patch_that_counts_is_found(top, left, size):
    patch = slice(top, top + 5), slice(left, left + 5)
    found = occlude(sees(patch, 4), np.full((28, 28), 255, np.uint8), 3, size=size, against=4)
    assert found.dtype == np.float32
    y, x = np.unravel_index(found.argmax(), found.shape)
    assert top <= y < top + 5
    assert left <= x < left + 5
    reached = np.zeros((28, 28), bool)
    near = size - 1
    reached[max(0, top - near) : top + 5 + near, max(0, left - near) : left + 5 + near] = True
    # Pixels that share a patch with it, and no others.
    assert np.array_equal(found > 1e-6, reached)


def test_one_pixel_at_a_time_finds_exactly_the_patch():
    tile = np.full((28, 28), 255, np.uint8)
    found = occlude(sees((ROWS, COLUMNS), 5), tile, 3, size=1, against=4)
    expected = np.zeros((28, 28))
    expected[ROWS, COLUMNS] = 5 / 25  # nats a pixel
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_ink_where_there_should_be_none_speaks_against():
    tile = np.zeros((28, 28), np.uint8)
    tile[ROWS, COLUMNS] = 255
    blanked = occlude(sees((ROWS, COLUMNS), -4), tile, 3)
    assert blanked[11, 19] < 0
    assert blanked[0, 0] == 0
    inked = occlude(sees((ROWS, COLUMNS), -4), np.zeros_like(tile), 3, ink=255)
    assert inked[11, 19] > 0, "the paper there speaks for it"


def test_log_odds_keep_their_digits_near_certainty():
    rows = np.full((1, 10), 1e-9, np.float32)
    rows[0, 7] = 1
    assert log_odds(rows, 7)[0] == pytest.approx(-np.log(9e-9), rel=1e-6)
    assert log_odds(rows, 7, 2)[0] == pytest.approx(-np.log(1e-9), rel=1e-6)
    assert log_odds(np.eye(10, dtype=np.float32)[:1], 0, 1)[0] == pytest.approx(-np.log(1e-12))


def test_what_makes_no_sense_is_refused():
    tile = np.zeros((28, 28), np.uint8)
    with pytest.raises(ValueError, match="expected a patch of 1 to 28 pixels, found 0"):
        occlude(sees((ROWS, COLUMNS), 1), tile, 3, size=0)
    with pytest.raises(ValueError, match="found 3 twice"):
        occlude(sees((ROWS, COLUMNS), 1), tile, 3, against=3)
    with pytest.raises(ValueError, match="found 3 twice"):
        integrate_gradients(Weighted(), tile, 3, against=3)


class Weighted(nn.Module):
    """Logits that are sums of weighted pixels, and an eleventh that must not count."""

    def __init__(self):
        super().__init__()
        self.weight = torch.randn(11, 784, generator=torch.Generator().manual_seed(0)) / 500
        self.weight[10] = 100

    def forward(self, tiles):
        return tiles.flatten(1).float() @ self.weight.T


@pytest.mark.train
def test_of_a_sum_each_pixel_is_given_its_share(small_split):
    network, tile = Weighted(), small_split.tiles[0]
    found = integrate_gradients(network, tile, 3, against=8)
    expected = (network.weight[3] - network.weight[8]).numpy().reshape(28, 28) * tile
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert found.dtype == np.float32


@pytest.mark.train
@pytest.mark.parametrize("against", [None, 2])
def test_pixels_add_up_to_what_the_tile_is_more_than_a_blank_one(small_split, against):
    torch.manual_seed(1)
    network = new_network(Recipe(architecture="fast", widths=(4, 8))).eval()
    tile = small_split.tiles[5]
    found = integrate_gradients(network, tile, 7, against=against, steps=512)
    with torch.inference_mode():
        logits = network(torch.from_numpy(np.stack([tile, np.zeros_like(tile)])))
    rest = [digit for digit in range(10) if digit != 7] if against is None else [against]
    odds = logits[:, 7] - torch.logsumexp(logits[:, rest], 1)
    assert found.sum() == pytest.approx(float(odds[0] - odds[1]), abs=0.01)
    assert not found[tile == 0].any()
    assert all(weight.grad is None for weight in network.parameters())
