"""The digit detector: a page of any size in, for each of its cells a digit or none out.

Fully convolutional: five strided stages look ever wider, a path back down brings what they saw to
cells of four pixels (Lin et al., *Feature Pyramid Networks*, 2017). Each cell says whether the
centre of a digit lies in it (Zhou et al., *Objects as Points*, 2019), which one, and how far its
box reaches in each direction (Tian et al., *FCOS*, 2019).
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

STRIDE = 4  # pixels of a cell
MULTIPLE = 32  # width and height of a page must be multiples of it
MEAN, SPREAD = 127.5, 64.0  # gray levels that the network's input is centred on and divided by


class Cells(NamedTuple):
    """What the network says of each cell.

    Attributes:
        centre: float32[B, H/4, W/4]; logit of a digit's centre being in the cell.
        values: float32[B, 10, H/4, W/4]; logits of its value.
        reach: float32[B, 4, H/4, W/4]; logarithm of the distances from the cell's middle to the
            left, top, right and bottom of its box, in cells.
    """

    centre: Tensor
    values: Tensor
    reach: Tensor


class DetectorNetwork(nn.Module):
    """Pages to cells."""

    def __init__(
        self,
        widths: tuple[int, ...] = (16, 32, 64, 128, 192),
        blocks: tuple[int, ...] = (1, 2, 2, 1),
        paths: tuple[int, ...] = (64, 96, 128),
    ) -> None:
        """Builds the network.

        Args:
            widths: Channels of the five stages, at strides 2 to 32.
            blocks: Residual blocks in the last four stages.
            paths: Channels of the path down, at strides 4, 8 and 16.
        """
        super().__init__()
        self.stem = convolution(3, widths[0], 5, 2)
        self.stages = nn.ModuleList(
            nn.Sequential(
                convolution(before, width, 3, 2), *(Residual(width) for _ in range(count))
            )
            for before, width, count in zip(widths, widths[1:], blocks, strict=False)
        )
        self.top = nn.Conv2d(widths[4], paths[2], 1)
        self.sides = nn.ModuleList(
            nn.Conv2d(width, path, 1) for width, path in zip(widths[1:4], paths, strict=True)
        )
        self.merges = nn.ModuleList(convolution(path, path, 3, 1) for path in paths)
        self.downs = nn.ModuleList(nn.Conv2d(above, path, 1) for path, above in pairwise(paths))
        self.head = nn.Conv2d(paths[0], 15, 1)
        nn.init.normal_(self.head.weight, std=0.01)
        with torch.no_grad():
            bias = self.head.get_parameter("bias")
            bias.zero_()
            bias[0] = -4.6  # one cell in a hundred holds a centre

    def forward(self, pages: Tensor) -> Cells:
        """Looks at pages float or uint8[B, 3, H, W] in gray levels; H and W multiples of 32."""
        x = self.stem((pages.float() - MEAN) / SPREAD)
        seen: list[Tensor] = []
        for stage in self.stages:
            x = stage(x)
            seen.append(x)
        y = self.top(seen[3])
        for level in (2, 1, 0):
            y = functional.interpolate(y, scale_factor=2.0, mode="nearest")
            y = self.merges[level](self.sides[level](seen[level]) + y)
            if level:
                y = self.downs[level - 1](y)
        out = self.head(y).float()
        return Cells(out[:, 0], out[:, 1:11], out[:, 11:])


class Residual(nn.Module):
    """Two convolutions around which the input is led (He et al., 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = convolution(width, width, 3, 1)
        self.second = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """float[B, C, H, W] to as many."""
        return functional.relu(x + self.second(self.first(x)))


def convolution(before: int, width: int, kernel: int, stride: int) -> nn.Sequential:
    """A convolution, normalised, and its positive part."""
    return nn.Sequential(
        nn.Conv2d(before, width, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    )
