"""What was trained, layer by layer, and how the training went."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from digitlens.training.recipe import Recipe
from digitlens.training.recipes import recipe_from
from digitlens.visualization.figures.curves import draw_curves
from digitlens.visualization.report.contents import (
    TIMES,
    Contents,
    Section,
    count,
    duration,
    figure,
    percent,
    plural,
    short,
)

_WAYS = {
    "classic": "A textbook convolutional network",
    "fast": "A convolutional network whose first layer already halves the picture",
    "residual": "A residual network: pairs of convolutions add to what they are given",
    "swift": "A convolutional network whose first filters are given, not trained",
}


def trained(contents: Contents) -> Section:
    """What was trained: the network, its size, and on how much."""
    values: dict[str, Any] = {"facts": _facts(contents), "stages": [], "words": ""}
    if contents.card.recipe:
        recipe = recipe_from(contents.card.recipe)
        looked = SIDE - 2 * recipe.margin
        without = f", without a margin of {recipe.margin}" if recipe.margin else ""
        start = Stage(f"pixels of the tile{without}", 1, looked, 0)
        values |= {"stages": [start, *stages(recipe)], "words": _words(recipe)}
    return Section("trained", "What was trained", values)


def curves(contents: Contents) -> Section:
    """Loss, accuracy and learning rate by epoch."""
    history = contents.history
    title = "Loss, accuracy and learning rate by epoch"
    names = [name for name in _COLUMNS if history and name in history[0]]
    values = {
        "figure": history and figure("curves", title, lambda path: draw_curves(history, path)),
        "headings": [_COLUMNS[name][0] for name in names],
        "rows": [[_COLUMNS[name][1](row[name]) for name in names] for row in history],
        "is_validated": bool(history) and "val_loss" in history[0],
    }
    return Section("training", "How the training went", values)


def _words(recipe: Recipe) -> str:
    """The network in a sentence or two."""
    text = f"{_WAYS[recipe.architecture]}, with {count(parameters(recipe))} numbers to learn."
    if recipe.models > 1:
        each = parameters(recipe) // recipe.models
        text += (
            f" It is {recipe.models} such networks of {count(each)}, whose answers are averaged."
        )
    if recipe.tta_views > 1:
        text += f" Each looks at {recipe.tta_views} versions of a tile, moved by one pixel."
    if recipe.negatives:
        text += " An eleventh answer stands for what is no digit."
    if recipe.teacher:
        text += " It learned from the answers of another model, its teacher."
    return text


def _facts(contents: Contents) -> list[tuple[str, str]]:
    results, recipe = contents.card.results, contents.card.recipe
    facts: list[tuple[str, str]] = []
    if recipe:
        facts.append(("numbers to learn", count(parameters(recipe_from(recipe)))))
    if contents.trained_on is not None:
        facts.append(("digits to learn from", count(contents.trained_on)))
    if epochs := _number(results, "epochs"):
        facts.append(("passes over them", count(epochs)))
    if (best := _number(results, "best_epoch")) and epochs and epochs > 1:
        facts.append(("best pass", count(best)))
    if seconds := _number(results, "training_seconds"):
        facts.append(("time of training", duration(seconds)))
    return facts


def _number(values: dict[str, Any], name: str) -> float | None:
    found = values.get(name)
    return found if isinstance(found, int | float) and not isinstance(found, bool) else None


_COLUMNS: dict[str, tuple[str, Callable[[float], str]]] = {
    "epoch": ("epoch", count),
    "train_loss": ("loss, training", short),
    "val_loss": ("loss, validation", short),
    "train_accuracy": ("accuracy, training", percent),
    "val_accuracy": ("accuracy, validation", percent),
    "learning_rate": ("learning rate", short),
    "seconds": ("time", duration),
}


def size(stage: Stage) -> str:
    """What a stage gives, in words: ``14 × 14, 32 maps`` or ``10 answers``."""
    if not stage.side:
        return plural(stage.channels, "unit")
    maps = f", {stage.channels} maps" if stage.channels > 1 else ""
    return f"{stage.side} {TIMES} {stage.side}{maps}"


SIDE = 28
CLASSES = 10


@dataclass(frozen=True, slots=True)
class Stage:
    """What one block of layers does and gives: maps, or units where ``side`` is 0."""

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
    return recipe.models * sum(stage.parameters for stage in stages(recipe))


def _head(recipe: Recipe, features: int) -> list[Stage]:
    hidden: list[Stage] = []
    if recipe.dense:
        weights = (features + 1) * recipe.dense
        hidden, features = [Stage("dense layer", recipe.dense, 0, weights)], recipe.dense
    answers = CLASSES + (recipe.negatives > 0)
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
