"""Optimisers. Muon is implemented here, as PyTorch's accepts matrices only, not filters."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

# torch.optim imports this with its first optimiser; here, its seconds do not count as training.
import torch._dynamo  # pyright: ignore[reportUnusedImport]
from torch import Tensor, nn

from digitlens.training.recipe import Recipe

ADAM_SHARE = 0.12  # learning rate of the parameters left to Adam, as a fraction of Muon's
MOMENTUM = 0.6  # of Muon: runs of a few thousand steps are too short for more
# Coefficients of the quintic polynomial that drives all singular values towards 1.
_QUINTIC = (3.4445, -4.7750, 2.0315)


class Muon(torch.optim.Adam):
    """Orthogonalised momentum for filter banks, Adam for all other parameters.

    K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024. Each bank is
    a matrix with one row per filter, kept at norm sqrt(rows): since batch normalisation follows it,
    only its direction matters.
    """

    def __init__(self, network: nn.Module, lr: float) -> None:
        weights = list(network.parameters())
        banks = [weight for weight in weights if _is_filter_bank(weight)]
        others = [weight for weight in weights if not _is_filter_bank(weight)]
        groups = [
            {"params": banks, "orthogonal": True, "factor": 1.0},
            {"params": others, "orthogonal": False, "factor": ADAM_SHARE},
        ]
        super().__init__(groups, lr, fused=True)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Takes one step; clears the gradients of banks."""
        group = self.param_groups[0]
        banks = [weight for weight in group["params"] if weight.grad is not None]
        with _one_thread():
            momenta = [_momentum_step(weight.grad, self.state[weight]) for weight in banks]
            for weight, direction in zip(banks, orthogonal_all(momenta), strict=True):
                weight.mul_(len(weight) ** 0.5 / weight.norm())
                weight.add_(direction.view(weight.shape), alpha=-group["lr"])
                weight.grad = None  # Adam skips parameters without a gradient
        super().step(closure)


def new_optimizer(recipe: Recipe, network: nn.Module) -> torch.optim.Optimizer:
    """Returns the optimiser of a recipe."""
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


def new_adamw(
    network: nn.Module, rate: float, decay: float, factors: Mapping[str, float] | None = None
) -> torch.optim.Optimizer:
    """Returns AdamW that decays weights but not scales and offsets, which normalise activations.

    ``factors`` multiply the learning rate of parameters whose names start with their keys.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {(1.0, decay): [], (1.0, 0.0): []}
    for name, parameter in network.named_parameters():
        matches = (value for start, value in (factors or {}).items() if name.startswith(start))
        key = next(matches, 1.0), decay if parameter.ndim > 1 else 0.0
        groups.setdefault(key, []).append(parameter)
    options = [
        {"params": parameters, "weight_decay": decay, "factor": factor}
        for (factor, decay), parameters in groups.items()
    ]
    return torch.optim.AdamW(options, lr=rate, betas=(0.9, 0.99))


def anchor_weights(
    optimizer: torch.optim.Optimizer, network: nn.Module, published: nn.Module, strength: float
) -> None:
    """Makes each step pull all weights but the head's towards the published ones.

    Each step covers ``strength`` times the learning rate of the distance. X. Li et al., "Explicit
    inductive bias for transfer learning with convolutional networks", ICML 2018; decoupled from the
    gradient like the decay of AdamW.
    """
    anchors = dict(published.named_parameters())
    pairs = [
        (weight, anchors[name])
        for name, weight in network.named_parameters()
        if weight.requires_grad and not name.startswith("head.")
    ]

    def pull(*_: object) -> None:
        share = strength * optimizer.param_groups[0]["lr"]
        with torch.no_grad():
            for weight, anchor in pairs:
                weight.lerp_(anchor, share)

    optimizer.register_step_post_hook(pull)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Sets the learning rate, multiplied by the factor of each parameter group."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("factor", 1.0)


def _is_filter_bank(weight: Tensor) -> bool:
    """Returns whether these are filters over several channels, as in all but the first layer."""
    return weight.ndim == 4 and weight.shape[1] > 1


@contextmanager
def _one_thread() -> Generator[None]:
    """Uses one thread in the block: with more, such small products take 5.6, not 3.4 ms a step."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _momentum_step(gradient: Tensor, state: dict[str, Any]) -> Tensor:
    """Returns the Nesterov momentum, float[R, C], one row per filter."""
    if "momentum" not in state:
        # Adam expects a step count in every state that it loads.
        state |= {"momentum": torch.zeros_like(gradient), "step": torch.zeros(())}
    momentum: Tensor = state["momentum"].mul_(MOMENTUM).add_(gradient)
    return (gradient + MOMENTUM * momentum).flatten(1)


def orthogonal_all(matrices: list[Tensor]) -> list[Tensor]:
    """Applies ``orthogonal`` to matrices float[R, C] of any sizes in a single batch.

    Matrices are zero-padded to the size of the largest, which does not change the result.
    """
    if not matrices:
        return []
    rows, columns = (max(matrix.shape[axis] for matrix in matrices) for axis in (0, 1))
    stack = matrices[0].new_zeros(len(matrices), rows, columns)
    for padded, matrix in zip(stack, matrices, strict=True):
        padded[: matrix.shape[0], : matrix.shape[1]] = matrix
    directions = orthogonal(stack)
    return [
        direction[: matrix.shape[0], : matrix.shape[1]]
        for direction, matrix in zip(directions, matrices, strict=True)
    ]


def orthogonal(matrix: Tensor, rounds: int = 3) -> Tensor:
    """Returns approximately the nearest semi-orthogonal matrix: singular values 0.7 to 1.2.

    Accepts float[R, C], or a batch float[M, R, C]; uses Newton-Schulz iterations.
    """
    first, second, third = _QUINTIC
    is_tall = matrix.shape[-2] > matrix.shape[-1]
    size = torch.linalg.matrix_norm(matrix, keepdim=True)
    result = (matrix.mT if is_tall else matrix) / (size + 1e-7)
    for _ in range(rounds):
        gram = result @ result.mT
        result = first * result + (second * gram + third * gram @ gram) @ result
    return result.mT if is_tall else result
