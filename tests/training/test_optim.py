"""Muon: orthogonal steps and its groups of parameters."""

import dataclasses

import torch

from digitlens.training.optim import (
    ADAM_SHARE,
    Muon,
    new_optimizer,
    orthogonal,
    orthogonal_all,
    set_learning_rate,
)
from digitlens.training.tasks.tile import one_network


def test_matrices_are_orthogonalised_together_as_one_by_one():
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


def test_muon_optimises_filters_and_adam_the_rest(tiny):
    network = one_network(tiny)
    optimizer = new_optimizer(dataclasses.replace(tiny, optimizer="muon"), network)
    assert isinstance(optimizer, Muon)
    banks, others = (group["params"] for group in optimizer.param_groups)
    assert [bank.ndim for bank in banks] == [4]
    assert len(banks) + len(others) == len(list(network.parameters()))
    set_learning_rate(optimizer, 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.5 * ADAM_SHARE]
