"""The layers of a recipe's network with their sizes and weights, counted without building it.

Follows ``model.network``; a test holds both to the same counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from digitlens.training.recipe import Recipe
from digitlens.visualization.report.words import TIMES

SIDE = 28
CLASSES = 10


@dataclass(frozen=True, slots=True)
class Stage:
    """What one block of layers does and gives.

    Attributes:
        does: Its layers, in words.
        channels: Maps that it gives, or units.
        side: Pixels of a map; 0 of units.
        parameters: Numbers that training can change.
    """

    does: str
    channels: int
    side: int
    parameters: int


@dataclass(frozen=True, slots=True)
class _Block:
    """A block of convolutions, as the functions below are asked for it."""

    number: int
    channels: int
    width: int
    kernel: int
    side: int


def stages(recipe: Recipe) -> tuple[Stage, ...]:
    """The stages of one network of a recipe, from pixels to the answer."""
    found: list[Stage] = []
    side, widths = SIDE - 2 * recipe.margin, (1, *recipe.widths)
    sizes = zip(pairwise(widths), recipe.block_kernels(), strict=True)
    for number, ((channels, width), kernel) in enumerate(sizes):
        block = _Block(number, channels, width, kernel, side)
        found.append(_BLOCKS[recipe.architecture](recipe, block))
        side = found[-1].side
    features = recipe.widths[-1] * side * side
    return (*found, *_head(recipe, features))


def parameters(recipe: Recipe) -> int:
    """Numbers that training can change, of all networks of a recipe."""
    return recipe.members * sum(stage.parameters for stage in stages(recipe))


def _head(recipe: Recipe, features: int) -> list[Stage]:
    hidden: list[Stage] = []
    if recipe.dense:
        weights = (features + 1) * recipe.dense
        hidden, features = [Stage("dense layer", recipe.dense, 0, weights)], recipe.dense
    answers = CLASSES + (recipe.none > 0)
    does = "dense layer, softmax"
    return [*hidden, Stage(does, answers, 0, (features + 1) * answers)]


def _plain(recipe: Recipe, block: _Block, *, strided: bool) -> Stage:
    """Convolutions, and a stride in the first of them or a pooling after the last."""
    side = (block.side + 1) // 2 if strided else block.side // 2
    first = _weights(block.channels, block.width, block.kernel, recipe.batch_norm)
    more = _weights(block.width, block.width, block.kernel, recipe.batch_norm)
    does = _named(recipe.convs, block.kernel, stride=2 if strided else 1)
    pooled = "" if strided else ", max pooling"
    return Stage(does + pooled, block.width, side, first + (recipe.convs - 1) * more)


def _classic(recipe: Recipe, block: _Block) -> Stage:
    return _plain(recipe, block, strided=recipe.pool == "stride")


def _fast(recipe: Recipe, block: _Block) -> Stage:
    return _plain(recipe, block, strided=recipe.pool == "stride" or not block.number)


def _residual(recipe: Recipe, block: _Block) -> Stage:
    """A convolution that widens, then pairs of 3 x 3 that add to what they are given."""
    side = block.side // 2 if block.number else (block.side + 1) // 2
    first = _weights(block.channels, block.width, block.kernel, True)
    pairs = 2 * recipe.convs * _weights(block.width, block.width, 3, True)
    stride = 1 if block.number else 2
    adding = "residual pair" if recipe.convs == 1 else f"{recipe.convs} residual pairs"
    pooled = "max pooling, " if block.number else ""
    does = f"{pooled}{_named(1, block.kernel, stride)}, {adding} 3 {TIMES} 3"
    return Stage(does, block.width, side, first + pairs)


def _swift(recipe: Recipe, block: _Block) -> Stage:
    """The first filters are given and not trained; from the third block on nothing is padded."""
    padding = 0 if block.number > 1 and block.kernel <= block.side else block.kernel // 2
    stride = 2 if block.number < 2 else 1
    side = (block.side + 2 * padding - block.kernel) // stride + 1
    first = _weights(block.channels, block.width, block.kernel, True) if block.number else 0
    more = (recipe.convs - 1) * _weights(block.width, block.width, block.kernel, True)
    given = "" if block.number else ", filters given"
    does = _named(recipe.convs, block.kernel, stride) + given
    return Stage(does, block.width, side, first + more)


def _weights(channels: int, width: int, kernel: int, normalised: bool) -> int:
    """Of one convolution with its batch normalisation, or with a bias in its place."""
    return channels * width * kernel**2 + (2 * width if normalised else width)


def _named(convs: int, kernel: int, stride: int = 1) -> str:
    what = "convolution" if convs == 1 else f"{convs} convolutions"
    return f"{what} {kernel} {TIMES} {kernel}" + (", stride 2" if stride == 2 else "")


_BLOCKS: dict[str, Callable[[Recipe, _Block], Stage]] = {
    "classic": _classic,
    "fast": _fast,
    "residual": _residual,
    "swift": _swift,
}
