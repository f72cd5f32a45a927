"""Several networks, and several views of each tile, whose answers are averaged; trains nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from digitlens.models.network import CLASSES, DigitNetwork

VIEWS = ((0, 0), (0, -1), (0, 1), (-1, 0), (1, 0))  # pixels down and across


class Committee(nn.Module):
    """The mean of the probabilities that networks give to one or five views of a tile.

    Attributes:
        views: 1, or 5 with the tile moved by one pixel each way.
    """

    def __init__(self, members: Sequence[DigitNetwork], views: int) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.views = views

    @property
    def knows_none(self) -> bool:
        """Whether there is an eleventh class, of tiles that show no digit."""
        return cast(DigitNetwork, self.members[0]).knows_none

    def forward(self, tiles: Tensor) -> Tensor:
        """Logarithms of the mean probabilities, float[N, 10] or [N, 11]: logits like a network's.

        Args:
            tiles: uint8[N, 28, 28].
        """
        return self.examine(tiles)[0]

    def examine(self, tiles: Tensor) -> tuple[Tensor, Tensor]:
        """What ``forward`` gives, and the mean energy float[N], see ``digitlens.outputs``."""
        views = [moved(tiles, *by) for by in VIEWS[: self.views]]
        logits = torch.stack([member(view) for member in self.members for view in views])
        energy = -torch.logsumexp(logits[..., :CLASSES], dim=2).mean(0)
        sure = functional.log_softmax(logits, dim=2)
        return torch.logsumexp(sure, dim=0) - torch.log(torch.tensor(float(len(logits)))), energy


def moved(tiles: Tensor, down: int, across: int) -> Tensor:
    """Tiles uint8[N, 28, 28], moved by at most one pixel; what comes in is dark."""
    if not down and not across:
        return tiles
    edged = functional.pad(tiles, (1, 1, 1, 1))
    side = tiles.shape[-1]
    return edged[:, 1 - down : 1 - down + side, 1 - across : 1 - across + side]
