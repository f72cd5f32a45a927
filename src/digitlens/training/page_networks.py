"""The networks for pages and lines: digit detector, line recogniser, digit spotter.

The detector is fully convolutional: five strided stages, and a top-down path back to cells of four
pixels (Lin et al., *Feature Pyramid Networks*, 2017). Each cell predicts whether it contains the
centre of a digit (Zhou et al., *Objects as Points*, 2019), which digit, and the distances from
there to the sides of its box (Tian et al., *FCOS*, 2019).

The recogniser is that of PP-OCRv6 small (PaddleOCR): a convolutional body, two attention layers,
one score per class and step. Its batch normalisations are folded into the convolutions, as in the
published weights.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

CELL = 4  # pixels of a cell
MULTIPLE = 32  # pixels; width and height of a page must be multiples of it
MEAN, SPREAD = 127.5, 64.0  # gray levels; subtracted from the input, and divided by


class Cells(NamedTuple):
    """The predictions for each cell."""

    centre: Tensor  # float32[B, H/4, W/4]; logit of a digit's centre being in the cell
    values: Tensor  # float32[B, 10, H/4, W/4]; logits of the digit's value
    # float32[B, 4, H/4, W/4]; logarithm of the distances from the cell's middle to the left, top,
    # right and bottom of its box, in cells.
    reach: Tensor


class DetectorNetwork(nn.Module):
    """Predicts cells from pages."""

    def __init__(
        self, widths: tuple[int, ...], blocks: tuple[int, ...], paths: tuple[int, ...]
    ) -> None:
        """Takes channels of five stages, residual blocks of the last four, top-down channels."""
        super().__init__()
        self.stem = convolution(3, widths[0], 5, 2)
        self.stages = nn.ModuleList(
            nn.Sequential(
                convolution(before, width, 3, 2), *(_Residual(width) for _ in range(count))
            )
            for before, width, count in zip(widths, widths[1:], blocks, strict=False)
        )
        self.top = nn.Conv2d(widths[4], paths[2], 1)
        self.sides = nn.ModuleList(
            nn.Conv2d(width, path, 1) for width, path in zip(widths[1:4], paths, strict=True)
        )
        self.merges = nn.ModuleList(convolution(path, path, 3) for path in paths)
        self.downs = nn.ModuleList(nn.Conv2d(above, path, 1) for path, above in pairwise(paths))
        self.head = nn.Conv2d(paths[0], 15, 1)
        nn.init.normal_(self.head.weight, std=0.01)
        with torch.no_grad():
            bias = self.head.get_parameter("bias")
            bias.zero_()
            bias[0] = -4.6  # one cell in a hundred holds a centre

    def forward(self, pages: Tensor) -> Cells:
        """Accepts pages float or uint8[B, 3, H, W] in gray levels; H and W multiples of 32."""
        x = self.stem((pages.float() - MEAN) / SPREAD)
        features: list[Tensor] = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        y = self.top(features[3])
        for level in (2, 1, 0):
            y = functional.interpolate(y, scale_factor=2.0, mode="nearest")
            y = self.merges[level](self.sides[level](features[level]) + y)
            if level:
                y = self.downs[level - 1](y)
        out = self.head(y).float()
        return Cells(out[:, 0], out[:, 1:11], out[:, 11:])


class _Residual(nn.Module):
    """Two convolutions with a skip connection (He et al., 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = convolution(width, width, 3)
        self.second = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Returns maps of the same shape as ``x``, float[B, C, H, W]."""
        return functional.relu(x + self.second(self.first(x)))


def convolution(
    channels: int,
    width: int,
    kernel: int | tuple[int, int],
    stride: int = 1,
    *,
    padding: int | None = None,
    groups: int = 1,
) -> nn.Sequential:
    """Returns convolution, batch normalisation and ReLU; by default padded to keep the size."""
    sides = (kernel, kernel) if isinstance(kernel, int) else kernel
    pads = (sides[0] // 2, sides[1] // 2) if padding is None else padding
    layer = nn.Conv2d(channels, width, sides, stride, pads, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(width), nn.ReLU(inplace=True))


HEIGHT = 48  # pixels of a line crop
STRIDE = 8  # pixels of width per output step
WIDTH = 120  # features per step
HEADS = 8  # of attention
LAYERS = 2  # of attention


class SqueezeExcite(nn.Module):
    """Weighs channels by their means over the whole line."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, channels // 4, 1)
        self.expand = nn.Conv2d(channels // 4, channels, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Returns maps of the same shape as ``maps``, float[N, C, H, W]."""
        mean = maps.mean((2, 3), keepdim=True)
        return maps * functional.hardsigmoid(self.expand(functional.relu(self.reduce(mean))))


class Block(nn.Module):
    """A depthwise convolution that mixes positions, then two pointwise ones that mix channels."""

    def __init__(self, channels: int, outputs: int, *, excite: bool = False) -> None:
        """Residual if ``outputs`` equals ``channels``; otherwise it halves the height."""
        super().__init__()
        stride = (1, 1) if channels == outputs else (2, 1)
        self.residual = channels == outputs
        self.depthwise = nn.Conv2d(channels, channels, 3, stride, 1, groups=channels)
        self.excite = SqueezeExcite(channels) if excite else nn.Identity()
        self.expand = nn.Conv2d(channels, 2 * channels, 1)
        self.project = nn.Conv2d(2 * channels, outputs, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps ``maps`` float[N, C, H, W] to float[N, outputs, H or H / 2, W]."""
        mixed = self.excite(self.depthwise(maps))
        projected = self.project(functional.gelu(self.expand(mixed)))
        return mixed + projected if self.residual else projected


class Stem(nn.Module):
    """Converts pixels to feature maps of a quarter of the height and width."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 48, 3, 2, 1)
        self.narrow = nn.Conv2d(48, 24, 2)
        self.widen = nn.Conv2d(24, 48, 2)
        self.merge = nn.Conv2d(96, 48, 3, 2, 1)
        self.last = nn.Conv2d(48, 96, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """Maps ``pictures`` float[N, 3, 48, W] to float[N, 96, 12, W / 4]."""
        first = functional.relu(self.first(pictures))
        # 2 x 2 kernels keep the size thanks to a row of zeros below and a column on the right;
        # max pooling ignores the zeros, as nothing here is negative.
        padded = functional.pad(first, (0, 1, 0, 1))
        narrow = functional.pad(functional.relu(self.narrow(padded)), (0, 1, 0, 1))
        wide = functional.relu(self.widen(narrow))
        stacked = torch.cat([functional.max_pool2d(padded, 2, 1), wide], dim=1)
        return functional.relu(self.last(functional.relu(self.merge(stacked))))


class Attention(nn.Module):
    """A transformer layer over the steps of a line."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.mix = nn.Linear(WIDTH, 3 * WIDTH)
        self.project = nn.Linear(WIDTH, WIDTH)
        self.norm_inner = nn.LayerNorm(WIDTH)
        self.expand = nn.Linear(WIDTH, 2 * WIDTH)
        self.reduce = nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, steps: Tensor) -> Tensor:
        """Returns steps of the same shape as ``steps``, float[N, T, C]."""
        count, length, width = steps.shape
        mixed = self.mix(self.norm(steps)).view(count, length, 3, HEADS, width // HEADS)
        query, key, value = mixed.permute(2, 0, 3, 1, 4).unbind(0)
        scores = torch.matmul(query * query.shape[-1] ** -0.5, key.transpose(2, 3))
        attended = torch.matmul(torch.softmax(scores, dim=3), value)
        steps = steps + self.project(attended.transpose(1, 2).reshape(count, length, width))
        return steps + self.reduce(functional.silu(self.expand(self.norm_inner(steps))))


class Neck(nn.Module):
    """Converts maps three cells high to a sequence whose steps attend to the whole line."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shortcut = nn.Conv2d(channels, WIDTH, 1)
        self.reduce = nn.Conv2d(channels, WIDTH, 1)
        self.local = nn.Conv2d(WIDTH, WIDTH, (1, 7), padding=(0, 3), groups=WIDTH)
        self.layers = nn.Sequential(*(Attention() for _ in range(LAYERS)))
        self.norm = nn.LayerNorm(WIDTH, eps=1e-6)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps ``maps`` float[N, C, 3, W / 4] to steps float[N, W / 8, 120]."""
        pooled = functional.avg_pool2d(maps, (3, 2))
        shortcut = functional.silu(self.shortcut(pooled))
        reduced = functional.silu(self.reduce(pooled))
        local = reduced + functional.silu(self.local(reduced))
        attended = self.norm(self.layers(local.squeeze(2).transpose(1, 2)))
        return attended + shortcut.squeeze(2).transpose(1, 2)


class LineNetwork(nn.Module):
    """Line recogniser: class scores for every eight pixels of width, for CTC decoding."""

    def __init__(self, classes: int) -> None:
        """Initialises weights at random; class 0 is the CTC blank."""
        super().__init__()
        self.stem = Stem()
        self.body = nn.Sequential(
            *(Block(96, 96, excite=index == 0) for index in range(3)),
            Block(96, 192),
            *(Block(192, 192, excite=index % 2 == 0) for index in range(6)),
            Block(192, 384),
            *(Block(384, 384, excite=index == 0) for index in range(2)),
        )
        self.neck = Neck(384)
        self.head = nn.Linear(WIDTH, classes)

    def forward(self, lines: Tensor) -> Tensor:
        """Maps RGB lines uint8[N, 48, W, 3], W a multiple of 8, to logits float[N, W / 8, C]."""
        return self.read(normalise(lines.permute(0, 3, 1, 2)))

    def read(self, pictures: Tensor) -> Tensor:
        """Maps pictures float[N, 3, 48, W] from ``normalise`` to logits float[N, W / 8, C]."""
        return self.head(self.neck(self.body(self.stem(pictures))))


def normalise(pictures: Tensor) -> Tensor:
    """Scales pixels from 0..255 to float32 from -1 to 1."""
    return pictures.float() / 127.5 - 1


class SpotterNetwork(nn.Module):
    """Locates digits and spaces on line crops, which it reduces to half size and greyscale."""

    def __init__(self) -> None:
        """Initialises weights at random."""
        super().__init__()
        first, second, third = 24, 48, 64
        width = 96  # features per step of eight columns
        self.body = nn.Sequential(
            convolution(1, first, 3, 2),
            convolution(first, second, 3),
            convolution(second, third, 3, 2),
            convolution(third, third, 3, groups=third),
            convolution(third, width, 1),
            convolution(width, width, (HEIGHT // STRIDE, 1), padding=0, groups=width),
            convolution(width, width, 1),
        )
        self.along = nn.ModuleList(convolution(width, width, (1, 5)) for _ in range(3))
        self.head = nn.Conv2d(width, 2, 1)

    def forward(self, lines: Tensor) -> Tensor:
        """Maps RGB lines uint8[N, 48, W, 3] to logits float[N, W / 8, 2]: digit nearby, space."""
        gray = functional.avg_pool2d(lines.float().mean(3)[:, None], 2)
        steps = self.body((gray - gray.mean((2, 3), keepdim=True)) / 64)
        for layer in self.along:
            steps = steps + layer(steps)
        return self.head(steps).squeeze(2).transpose(1, 2)
