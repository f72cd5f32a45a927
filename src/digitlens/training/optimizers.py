"""The optimisers of a recipe; Muon, which not every release of PyTorch has, is written out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from digitlens.training.recipe import Recipe

BESIDE_MUON = 0.04  # learning rate of what Adam trains beside Muon, as a share of Muon's
MOMENTUM = 0.6  # of Muon: runs of some thousand steps have no time for more
# Coefficients of the quintic that drives all singular values towards 1.
_QUINTIC = (3.4445, -4.7750, 2.0315)


class Muon(torch.optim.Adam):
    """Momentum whose step is made orthogonal, for banks of filters; Adam for everything else.

    K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024. Each bank is
    a matrix with a row for each filter, kept at norm sqrt(rows): batch normalisation follows it, so
    that only its direction matters.
    """

    def __init__(self, network: nn.Module, lr: float) -> None:
        weights = list(network.parameters())
        banks = [weight for weight in weights if _is_bank(weight)]
        others = [weight for weight in weights if not _is_bank(weight)]
        groups = [
            {"params": banks, "orthogonal": True, "relative": 1.0},
            {"params": others, "orthogonal": False, "relative": BESIDE_MUON},
        ]
        super().__init__(groups, lr, fused=True)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One step down the gradients; those of banks are used up."""
        for weight in self.param_groups[0]["params"]:
            _turn(weight, weight.grad, self.state[weight], self.param_groups[0]["lr"])
            weight.grad = None  # Adam passes over what has no gradient
        super().step(closure)


def new_optimizer(recipe: Recipe, network: nn.Module) -> torch.optim.Optimizer:
    """The optimiser that a recipe asks for."""
    rate, decay = recipe.learning_rate, recipe.weight_decay
    if recipe.optimizer == "muon":
        return Muon(network, rate)
    parameters = network.parameters()
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            parameters, rate, momentum=0.9, nesterov=True, weight_decay=decay, fused=True
        )
    kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    return kind(parameters, rate, weight_decay=decay, fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Sets the learning rate, of groups that have a share of it to that."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("relative", 1.0)


def _is_bank(weight: Tensor) -> bool:
    """Whether these are filters over several maps; those of the first layer are too narrow."""
    return weight.ndim == 4 and weight.shape[1] > 1


def _turn(weight: Tensor, gradient: Tensor, state: dict[str, Any], rate: float) -> None:
    if "momentum" not in state:
        # Adam expects a count of steps in every state that it loads.
        state |= {"momentum": torch.zeros_like(gradient), "step": torch.zeros(())}
    momentum: Tensor = state["momentum"].mul_(MOMENTUM).add_(gradient)
    direction = orthogonal((gradient + MOMENTUM * momentum).flatten(1))
    weight.mul_(len(weight) ** 0.5 / weight.norm())
    weight.add_(direction.view(weight.shape), alpha=-rate)


def orthogonal(matrix: Tensor, rounds: int = 3) -> Tensor:
    """The nearest matrix with orthogonal rows or columns, roughly: singular values 0.7 to 1.2.

    Args:
        matrix: float[R, C].
        rounds: Newton-Schulz iterations.
    """
    first, second, third = _QUINTIC
    tall = matrix.shape[0] > matrix.shape[1]
    found = (matrix.T if tall else matrix) / (matrix.norm() + 1e-7)
    for _ in range(rounds):
        gram = found @ found.T
        found = first * found + (second * gram + third * gram @ gram) @ found
    return found.T if tall else found
