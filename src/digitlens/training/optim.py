"""The optimisers; Muon is written out, since PyTorch's own takes matrices alone, not filters."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

# torch.optim imports it with its first optimiser, for seconds that are not training's.
import torch._dynamo  # pyright: ignore[reportUnusedImport]
from torch import Tensor, nn

from digitlens.training.recipe import Recipe

ADAM_SHARE = 0.12  # learning rate of what Adam trains next to Muon, as a share of Muon's
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
            {"params": banks, "orthogonal": True, "factor": 1.0},
            {"params": others, "orthogonal": False, "factor": ADAM_SHARE},
        ]
        super().__init__(groups, lr, fused=True)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One step down the gradients; those of banks are used up."""
        group = self.param_groups[0]
        banks = [weight for weight in group["params"] if weight.grad is not None]
        with _one_thread():
            pushes = [_push(weight.grad, self.state[weight]) for weight in banks]
            for weight, direction in zip(banks, orthogonal_all(pushes), strict=True):
                weight.mul_(len(weight) ** 0.5 / weight.norm())
                weight.add_(direction.view(weight.shape), alpha=-group["lr"])
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


def new_adamw(
    network: nn.Module, rate: float, decay: float, factors: Mapping[str, float] | None = None
) -> torch.optim.Optimizer:
    """AdamW that decays weights; a decayed scale or offset would only fight its normalisation.

    Parameters whose names begin as ``factors`` says learn so many times faster.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {(1.0, decay): [], (1.0, 0.0): []}
    for name, parameter in network.named_parameters():
        starts = (each for start, each in (factors or {}).items() if name.startswith(start))
        key = next(starts, 1.0), decay if parameter.ndim > 1 else 0.0
        groups.setdefault(key, []).append(parameter)
    options = [
        {"params": parameters, "weight_decay": decay, "factor": factor}
        for (factor, decay), parameters in groups.items()
    ]
    return torch.optim.AdamW(options, lr=rate, betas=(0.9, 0.99))


def anchor_weights(
    optimizer: torch.optim.Optimizer, network: nn.Module, published: nn.Module, strength: float
) -> None:
    """Has each step of an optimiser draw weights towards the published ones, the head's left out.

    By ``strength``, as a share of the way for each unit of the learning rate. X. Li et al.,
    "Explicit inductive bias for transfer learning with convolutional networks", ICML 2018;
    decoupled from the gradient as AdamW's decay.
    """
    anchors = dict(published.named_parameters())
    pairs = [
        (weight, anchors[name])
        for name, weight in network.named_parameters()
        if weight.requires_grad and not name.startswith("head.")
    ]

    def draw(*_: object) -> None:
        share = strength * optimizer.param_groups[0]["lr"]
        with torch.no_grad():
            for weight, anchor in pairs:
                weight.lerp_(anchor, share)

    optimizer.register_step_post_hook(draw)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Sets the learning rate, of groups that have a share of it to that."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("factor", 1.0)


def _is_bank(weight: Tensor) -> bool:
    """Whether these are filters over several maps; those of the first layer are too narrow."""
    return weight.ndim == 4 and weight.shape[1] > 1


@contextmanager
def _one_thread() -> Generator[None]:
    """To share such small products takes longer than to do them: 5.6 instead of 3.4 ms a step."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _push(gradient: Tensor, state: dict[str, Any]) -> Tensor:
    """Where momentum and gradient point to, float[R, C]; a row for each filter."""
    if "momentum" not in state:
        # Adam expects a count of steps in every state that it loads.
        state |= {"momentum": torch.zeros_like(gradient), "step": torch.zeros(())}
    momentum: Tensor = state["momentum"].mul_(MOMENTUM).add_(gradient)
    return (gradient + MOMENTUM * momentum).flatten(1)


def orthogonal_all(matrices: list[Tensor]) -> list[Tensor]:
    """``orthogonal`` of matrices of any sizes, float[R, C] each, in as many calls as for one.

    They are filled up with zeros to the size of the largest, which changes nothing.
    """
    if not matrices:
        return []
    rows, columns = (max(matrix.shape[axis] for matrix in matrices) for axis in (0, 1))
    stack = matrices[0].new_zeros(len(matrices), rows, columns)
    for padded, matrix in zip(stack, matrices, strict=True):
        padded[: matrix.shape[0], : matrix.shape[1]] = matrix
    found = orthogonal(stack)
    return [
        turned[: matrix.shape[0], : matrix.shape[1]]
        for turned, matrix in zip(found, matrices, strict=True)
    ]


def orthogonal(matrix: Tensor, rounds: int = 3) -> Tensor:
    """The nearest matrix with orthogonal rows or columns, roughly: singular values 0.7 to 1.2.

    Of float[R, C], or of each of float[M, R, C], by Newton-Schulz iterations.
    """
    first, second, third = _QUINTIC
    tall = matrix.shape[-2] > matrix.shape[-1]
    size = torch.linalg.matrix_norm(matrix, keepdim=True)
    found = (matrix.mT if tall else matrix) / (size + 1e-7)
    for _ in range(rounds):
        gram = found @ found.mT
        found = first * found + (second * gram + third * gram @ gram) @ found
    return found.mT if tall else found
