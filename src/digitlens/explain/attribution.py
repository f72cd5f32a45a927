"""Where a tile's evidence lies: which pixels the odds of an answer rest on.

By occlusion: what covering a small patch does, to any classifier (M. D. Zeiler, R. Fergus,
"Visualizing and understanding convolutional networks", ECCV 2014). By integrated gradients of a
network in PyTorch, which is loaded only then (M. Sundararajan et al., "Axiomatic attribution for
deep networks", ICML 2017).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from digitlens.evaluation.metrics import CLASSES, Floats

if TYPE_CHECKING:
    from torch import nn

PredictProba = Callable[[npt.NDArray[np.uint8]], Floats]
SIDE = 28
STEPS = 64  # of integrated gradients
LEAST = 1e-12  # a probability of float32 that vanished counts as this much


def occlude(
    predict_proba: PredictProba,
    tile: npt.NDArray[np.uint8],
    value: int,
    *,
    size: int = 5,
    against: int | None = None,
    ink: int = 0,
) -> npt.NDArray[np.float32]:
    """How far the log-odds of a value fall when what is around a pixel is covered.

    Log-odds and not the probability: that of a sure answer stays at 1 whatever is covered, while
    its odds fall from a million to a thousand to one.

    Args:
        predict_proba: Tiles uint8[N, 28, 28] to probabilities float[N, 10].
        tile: uint8[28, 28], ink bright on dark.
        value: The digit whose odds are looked at.
        size: Side of the square patch, in pixels.
        against: Odds against this digit; by default against all nine others together.
        ink: What covers: 0 blanks the patch, 255 fills it with ink.

    Returns:
        float32[28, 28], in nats: the mean over all patches that hold the pixel. Above 0, what is
        there speaks for the value, and below 0 against it.

    Raises:
        ValueError: ``size`` is not from 1 to 28, or a digit is asked for against itself.
    """
    if not 1 <= size <= SIDE:
        raise ValueError(f"expected a patch of 1 to {SIDE} pixels, found {size}")
    odds = log_odds(predict_proba(_covered(tile, size, ink)), value, against)
    before = log_odds(predict_proba(tile[None]), value, against)
    places = SIDE + size - 1
    falls = (before - odds).reshape(places, places)
    patches = np.lib.stride_tricks.sliding_window_view(falls, (size, size))
    return patches.mean(axis=(2, 3)).astype(np.float32)


def log_odds(
    probabilities: Floats, value: int, against: int | None = None
) -> npt.NDArray[np.float64]:
    """Natural logarithm of the odds of a value against one digit or all others: float64[N]."""
    if against == value:
        raise ValueError(f"expected two different digits, found {value} twice")
    # The others are summed: 1 less a probability near 1 has lost its digits.
    others = np.delete(probabilities, value, axis=1) if against is None else None
    rest = probabilities[:, against] if others is None else others.sum(axis=1, dtype=np.float64)
    chosen = np.maximum(probabilities[:, value].astype(np.float64), LEAST)
    return np.log(chosen) - np.log(np.maximum(rest.astype(np.float64), LEAST))


def _covered(tile: npt.NDArray[np.uint8], size: int, ink: int) -> npt.NDArray[np.uint8]:
    """The tile with each patch covered that holds a pixel of it, row by row: uint8[P, 28, 28].

    Patches reach over the edge, so that each pixel is in as many of them.
    """
    places = np.arange(1 - size, SIDE)
    pixels = np.arange(SIDE)
    inside = (pixels >= places[:, None]) & (pixels < places[:, None] + size)
    patches = inside[:, None, :, None] & inside[None, :, None, :]
    return np.where(patches, np.uint8(ink), tile).reshape(-1, SIDE, SIDE)


def integrate_gradients(
    network: nn.Module,
    tile: npt.NDArray[np.uint8],
    value: int,
    *,
    against: int | None = None,
    steps: int = STEPS,
) -> npt.NDArray[np.float32]:
    """Integrated gradients: how much each pixel's ink adds to the log-odds of a value.

    The gradient, averaged over the way from a blank tile to this one, times the ink. All pixels
    together add up to what the tile's log-odds exceed those of a blank tile, which plain gradients
    do not. Where there is no ink there is nothing to add.

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
    import torch  # noqa: PLC0415  (slow to load, and an extra)

    if against == value:
        raise ValueError(f"expected two different digits, found {value} twice")
    pixels = torch.from_numpy(tile).float()
    shares = (torch.arange(steps) + 0.5) / steps  # midpoints: the error falls with their square
    way = (shares[:, None, None] * pixels).requires_grad_()
    logits = network(way)[:, :CLASSES]
    others = [digit for digit in range(CLASSES) if digit != value]
    rest = others if against is None else [against]
    odds = logits[:, value] - torch.logsumexp(logits[:, rest], dim=1)
    (slopes,) = torch.autograd.grad(odds.sum(), way)
    return (slopes.mean(0) * pixels).numpy()
