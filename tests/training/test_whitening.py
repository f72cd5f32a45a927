"""The filters of a fixed first convolution make patches uncorrelated, and are kept by training."""

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional

from digitlens.datasets.mnist import Split
from digitlens.training.nets.tile_network import MEAN, SD, DigitNetwork
from digitlens.training.train import one_network, train
from digitlens.training.whitening import FLAT, whiten


@pytest.fixture
def swift(tiny):
    return dataclasses.replace(
        tiny, architecture="swift", widths=(9, 8), kernels=(5, 3), margin=2, optimizer="muon"
    )


def _strokes(count: int) -> np.ndarray:
    """Tiles with soft blobs: neighbouring pixels of a patch are much alike."""
    rng = torch.Generator().manual_seed(0)
    knots = torch.rand(count, 1, 9, 9, generator=rng) ** 3 * 255
    blobs = functional.interpolate(knots, size=28, mode="bilinear")[:, 0]
    return blobs.to(torch.uint8).numpy()


def _responses(network: DigitNetwork, tiles: np.ndarray) -> torch.Tensor:
    """Of patches with ink, float[P, C]."""
    assert network.fixed is not None
    inner = ((torch.from_numpy(tiles[:, 2:26, 2:26]).float() / 255 - MEAN) / SD).unsqueeze(1)
    patches = functional.unfold(inner, 5, padding=2, stride=2).transpose(1, 2).reshape(-1, 25)
    return patches[patches.std(1) > FLAT] @ network.fixed.weight.data.flatten(1).T


def test_components_are_uncorrelated_and_of_unit_size(swift):
    network, tiles = one_network(swift), _strokes(300)
    whiten(network, tiles)
    found = _responses(network, tiles)[:, :5]
    moments = found.T @ found / len(found)
    torch.testing.assert_close(moments, torch.eye(5), atol=0.1, rtol=0)


def test_the_rest_are_their_negatives(swift):
    network = one_network(swift)
    whiten(network, _strokes(50))
    filters = network.fixed.weight.data
    assert torch.equal(filters[5:], -filters[:4])
    assert (filters.flatten(1).norm(dim=1) > 0).all()


def test_a_trained_first_convolution_is_left_alone(tiny):
    network = one_network(tiny)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    whiten(network, _strokes(5))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_more_filters_than_components_stay_as_drawn(swift):
    network = one_network(dataclasses.replace(swift, widths=(60, 4)))
    before = network.fixed.weight.data.clone()
    whiten(network, _strokes(20))
    changed = (network.fixed.weight.data != before).flatten(1).any(dim=1)
    assert changed.tolist() == [True] * 50 + [False] * 10


def test_tiles_without_ink_give_finite_filters(swift):
    network = one_network(swift)
    whiten(network, np.zeros((4, 28, 28), np.uint8))
    assert torch.isfinite(network.fixed.weight).all()


def test_training_keeps_the_filters_and_a_run_stopped_ends_alike(swift, bars, more_bars, tmp_path):
    recipe = dataclasses.replace(swift, epochs=2, learning_rate=0.05)
    expected = one_network(recipe)
    whiten(expected, bars.tiles)

    def stop(row: dict[str, float]) -> None:
        raise KeyboardInterrupt(row["epoch"])

    whole = train(recipe, bars, more_bars, tmp_path / "whole").network
    assert torch.equal(whole.fixed.weight, expected.fixed.weight)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, bars, more_bars, tmp_path / "parts", on_epoch=stop)
    parts = train(recipe, bars, more_bars, tmp_path / "parts", resume=True).network.state_dict()
    assert all(torch.equal(value, parts[name]) for name, value in whole.state_dict().items())


def test_swift_learns_from_few_tiles(swift, bars, more_bars, tmp_path):
    recipe = dataclasses.replace(swift, epochs=3, learning_rate=0.05, average=0.0)
    half = Split(bars.tiles[:400], bars.labels[:400])
    history = train(recipe, half, more_bars, tmp_path).history
    assert history[-1]["val_loss"] < 0.8 * history[0]["val_loss"]
