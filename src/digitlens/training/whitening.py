"""Filters for a first convolution that is not trained: they make patches of tiles uncorrelated."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from digitlens.datasets.mnist import Tiles
from digitlens.training.nets.tile_network import MEAN, SD, DigitNetwork

SAMPLE = 1000  # tiles; their 144,000 patches tell 25 directions apart well enough
FLAT = 0.2  # standard deviation of a patch, of normalised pixels, below which there is no ink in it
FAINT = 1e-3  # variance, as a share of the largest, that is added so that no direction is blown up


def whiten(network: DigitNetwork, tiles: Tiles) -> None:
    """Gives the first convolution its filters, if it is one that is not trained.

    Each is one of the strongest principal components of patches, scaled to unit variance, or its
    negative, so that nothing is lost in the ReLU that follows. More filters than that stay as they
    were drawn.

    A. Coates and A. Ng, "Learning feature representations with k-means", 2012, for whitened
    patches; D. Page, "How to train your ResNet", part 8, 2019, for a fixed layer of them.

    Args:
        network: Changed in place; left alone if its first convolution is trained.
        tiles: uint8[N, 28, 28]; those that are trained with.
    """
    convolution = network.fixed
    if convolution is None:
        return
    side = convolution.kernel_size[0]
    half = -(-convolution.out_channels // 2)
    filters = _components(_patches(network, tiles[:SAMPLE], side))[:half]
    both = torch.cat([filters, -filters])[: convolution.out_channels]
    convolution.weight.data[: len(both)] = both.view(-1, 1, side, side)


def _patches(network: DigitNetwork, tiles: Tiles, side: int) -> Tensor:
    """What the convolution sees, where there is ink: float[P, side * side], normalised."""
    pixels = ((torch.from_numpy(tiles).float() / 255 - MEAN) / SD).unsqueeze(1)
    inner = functional.pad(pixels, [-network.margin] * 4)
    patches = functional.unfold(inner, side, padding=side // 2, stride=2)
    rows = patches.transpose(1, 2).reshape(-1, side * side)
    return rows[rows.std(dim=1) > FLAT]


def _components(patches: Tensor) -> Tensor:
    """Directions in which patches vary, float[D, D], a row each, the strongest first."""
    variances, directions = torch.linalg.eigh(patches.T @ patches / max(1, len(patches)))
    scale = (variances + FAINT * variances[-1] + torch.finfo(torch.float32).tiny).rsqrt()
    return (directions * scale).T.flip(0)
