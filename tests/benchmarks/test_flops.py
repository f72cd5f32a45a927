import importlib
from pathlib import Path

import pytest
import torch
from torch import nn

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(BENCHMARKS)
    flops = importlib.import_module("flops")


def test_each_number_that_comes_out_costs_what_it_is_made_of():
    network = nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=2, padding=2),  # 8 maps of 14 x 14, each from 3 x 5 x 5
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1, groups=4),  # of two maps each
        nn.Flatten(),
        nn.Linear(8 * 14 * 14, 10),
    )
    one = 8 * 14 * 14 * (3 * 25 + 2 * 9) + 8 * 14 * 14 * 10
    assert flops.multiply_adds(network, torch.zeros(1, 3, 28, 28)) == one
    assert flops.multiply_adds(network, torch.zeros(4, 3, 28, 28)) == 4 * one


def test_counting_leaves_the_network_as_it_was():
    network = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 2)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    flops.multiply_adds(network, torch.ones(5, 4))
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not network[1]._forward_hooks


def test_limits_are_measured_with_the_threads_that_were_asked_for(monkeypatch):
    monkeypatch.setattr(flops, "SECONDS", 0.0)
    monkeypatch.setattr(flops, "SIDE", 64)
    monkeypatch.setattr(flops, "COPIED", 1 << 12)
    threads, used = torch.get_num_threads(), []
    fastest = flops._fastest

    def watched(work, device):
        used.append(torch.get_num_threads())
        return fastest(work, device)

    monkeypatch.setattr(flops, "_fastest", watched)
    assert flops.peak_flops(torch.float32, 2) > 0
    assert flops.bandwidth(1) > 0
    assert used == [2, 1]
    assert torch.get_num_threads() == threads
