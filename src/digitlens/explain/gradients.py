"""Where a network's evidence for an answer lies, by its gradients."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from digitlens.training.nets.tile_network import CLASSES

STEPS = 64


def integrate_gradients(
    network: nn.Module,
    tile: npt.NDArray[np.uint8],
    value: int,
    *,
    against: int | None = None,
    steps: int = STEPS,
) -> npt.NDArray[np.float32]:
    """Integrated gradients: how much each pixel's ink adds to the log-odds of a value.

    M. Sundararajan et al., "Axiomatic attribution for deep networks", ICML 2017: the gradient,
    averaged over the way from a blank tile to this one, times the ink. All pixels together add up
    to what the tile's log-odds exceed those of a blank tile, which plain gradients do not. Where
    there is no ink there is nothing to add.

    Args:
        network: In evaluation mode; takes tiles and gives logits, see ``DigitNetwork``.
        tile: uint8[28, 28], ink bright on dark.
        value: The digit.
        against: Odds against this digit; by default against all nine others together.
        steps: Points on the way; the sum is exact for very many.

    Returns:
        float32[28, 28], in nats. Above 0, the ink speaks for the value, and below 0 against it.

    Raises:
        ValueError: A digit is asked for against itself.
    """
    if against == value:
        raise ValueError(f"expected two different digits, found {value} twice")
    pixels = torch.from_numpy(tile).float()
    shares = (torch.arange(steps) + 0.5) / steps  # midpoints: the error falls with their square
    way = (shares[:, None, None] * pixels).requires_grad_()
    odds = _log_odds(network(way), value, against)
    (slopes,) = torch.autograd.grad(odds.sum(), way)
    return (slopes.mean(0) * pixels).numpy()


def _log_odds(logits: Tensor, value: int, against: int | None) -> Tensor:
    digits = logits[:, :CLASSES]
    if against is not None:
        return digits[:, value] - digits[:, against]
    others = [digit for digit in range(CLASSES) if digit != value]
    return digits[:, value] - torch.logsumexp(digits[:, others], dim=1)
