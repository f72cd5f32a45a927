"""The loss of the digit detector: focal for centres, cross-entropy for values, L1 for boxes."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from digitlens.training.nets.detector_network import Cells

VALUE_WEIGHT = 1.0
REACH_WEIGHT = 1.0


class Losses(NamedTuple):
    """What is made small, and what it consists of; each a number.

    Attributes:
        total: Carries the gradient.
        centre: The part for centres.
        value: The part for values; 0 where there are no digits.
        box: The part for boxes, likewise.
    """

    total: Tensor
    centre: Tensor
    value: Tensor
    box: Tensor


def page_loss(cells: Cells, centre: Tensor, weight: Tensor, value: Tensor, reach: Tensor) -> Tensor:
    """One number to be made small; see ``page_losses``."""
    return page_losses(cells, centre, weight, value, reach).total


def page_losses(
    cells: Cells, centre: Tensor, weight: Tensor, value: Tensor, reach: Tensor
) -> Losses:
    """The loss of a batch and its parts.

    A page with n digits counts as much as the square root of n pages with one: else pages full of
    small digits would leave no say to those with one large digit or none.

    Args:
        cells: What the network says.
        centre: float[B, h, w]; see ``Targets``, as are the others.
        weight: [B, h, w].
        value: [B, h, w].
        reach: float[B, 4, h, w].
    """
    peaks = (centre > 0.999) & (weight > 0)
    count = peaks.sum(dim=(1, 2)).clamp(min=1).float()
    focal = _focal(cells.centre, centre.float(), weight.float(), peaks)
    centres = (focal.sum(dim=(1, 2)) / count.sqrt()).sum() / count.sqrt().sum()
    named = value >= 0
    if not bool(named.any()):
        none = torch.zeros_like(centres)
        return Losses(centres, centres.detach(), none, none)
    # The cells around a digit's centre name it too, but count less than the centre.
    share = (torch.where(peaks, 1.0, 0.3) / count.sqrt()[:, None, None])[named]
    logits = cells.values.permute(0, 2, 3, 1)[named]
    names = functional.cross_entropy(logits, value[named].long(), reduction="none")
    found = cells.reach.permute(0, 2, 3, 1)[named]
    wanted = reach.permute(0, 2, 3, 1)[named].float()
    sides = functional.smooth_l1_loss(found, wanted, beta=0.1, reduction="none").sum(dim=1)
    total = centres + ((VALUE_WEIGHT * names + REACH_WEIGHT * sides) * share).sum() / share.sum()
    parts = [(part.detach() * share).sum() / share.sum() for part in (names, sides)]
    return Losses(total, centres.detach(), *parts)


def _focal(logit: Tensor, centre: Tensor, weight: Tensor, peaks: Tensor) -> Tensor:
    """The penalty-reduced focal loss of each cell (Law and Deng, *CornerNet*, 2018)."""
    chance = torch.sigmoid(logit)
    hit = (1 - chance) ** 2 * functional.softplus(-logit)
    miss = chance**2 * (1 - centre) ** 4 * functional.softplus(logit) * weight
    return torch.where(peaks, hit, miss)
