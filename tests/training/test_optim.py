"""Each optimiser goes down; steps of Muon are orthogonal and survive a checkpoint."""

import dataclasses

import pytest
import torch

from digitlens.training.optim import (
    ADAM_SHARE,
    Muon,
    new_optimizer,
    orthogonal,
    orthogonal_all,
    set_learning_rate,
)
from digitlens.training.tasks.tile import one_network, train_classifier


def test_matrices_of_any_sizes_are_made_orthogonal_as_each_alone():
    generator = torch.Generator().manual_seed(0)
    shapes = [(6, 20), (20, 6), (8, 8), (3, 30)]
    matrices = [torch.randn(shape, generator=generator) for shape in shapes]
    for together, matrix in zip(orthogonal_all(matrices), matrices, strict=True):
        torch.testing.assert_close(together, orthogonal(matrix), atol=2e-4, rtol=0)
        values = torch.linalg.svdvals(orthogonal(matrix, rounds=8))
        assert values.min() > 0.5
        assert values.max() < 1.3
    assert orthogonal_all([]) == []
    assert not orthogonal(torch.zeros(3, 5)).any()


@pytest.mark.parametrize(
    ("name", "rate"), [("adam", 0.01), ("adamw", 0.01), ("sgd", 0.05), ("muon", 0.1)]
)
def test_the_loss_falls(name, rate, tiny, bars, more_bars, tmp_path):
    recipe = dataclasses.replace(tiny, optimizer=name, learning_rate=rate, epochs=3)
    history = train_classifier(recipe, bars, more_bars, tmp_path).history
    assert history[-1]["train_loss"] < 0.8 * history[0]["train_loss"]
    assert history[-1]["val_accuracy"] > 0.8


def test_muon_takes_banks_of_filters_and_leaves_the_rest_to_adam(tiny):
    network = one_network(tiny)
    optimizer = new_optimizer(dataclasses.replace(tiny, optimizer="muon"), network)
    assert isinstance(optimizer, Muon)
    banks, others = (group["params"] for group in optimizer.param_groups)
    assert [bank.ndim for bank in banks] == [4]
    assert len(banks) + len(others) == len(list(network.parameters()))
    set_learning_rate(optimizer, 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.5 * ADAM_SHARE]
