"""The crop network: a window around a candidate in, which digit stands in its middle or none out.

The second stage of a detector (Girshick et al., *R-CNN*, 2014): where the page network sees many
places at once, it sees one of them large, with its neighbours, and may say that it is no digit.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from digitlens.data.windows import SIDE
from digitlens.model.crop_model import CLASSES
from digitlens.model.page_network import Residual, convolution

_QUIET = (
    4.0  # gray levels; deviation that is added, so that the noise of an empty window stays small
)


class CropNetwork(nn.Module):
    """Windows to logits."""

    def __init__(
        self, widths: tuple[int, ...] = (16, 32, 64, 96), blocks: tuple[int, ...] = (2, 2, 0)
    ) -> None:
        """Builds the network.

        Args:
            widths: Channels of the stages, each at half the resolution of the one before.
            blocks: Residual blocks in each stage but the first.
        """
        super().__init__()
        self.stem = convolution(3, widths[0], 5, 2)
        self.stages = nn.Sequential(
            *(
                nn.Sequential(
                    convolution(before, width, 3, 2), *(Residual(width) for _ in range(count))
                )
                for (before, width), count in zip(pairwise(widths), blocks, strict=True)
            )
        )
        self.dropout = nn.Dropout(0.2)
        # Every place keeps weights of its own: it matters what stands in the middle.
        places = _halved(SIDE, len(widths)) ** 2
        self.head = nn.Linear(widths[-1] * places, CLASSES)

    def forward(self, windows: Tensor) -> Tensor:
        """Names what stands in the middle of windows.

        Args:
            windows: uint8[B, 3, 56, 56] in gray levels.

        Returns:
            float32[B, 11]; logits of the ten digits and of none.
        """
        x = windows.float()
        mean = x.mean(dim=(1, 2, 3), keepdim=True)
        spread = torch.sqrt(((x - mean) ** 2).mean(dim=(1, 2, 3), keepdim=True))
        x = self.stages(self.stem((x - mean) / (spread + _QUIET)))
        return self.head(self.dropout(x.flatten(1))).float()


def _halved(side: int, times: int) -> int:
    for _ in range(times):
        side = -(-side // 2)
    return side
