"""What was trained, layer by layer, and how the training went."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from digitlens.training.recipe import Recipe
from digitlens.training.recipes import recipe_from
from digitlens.visualization.report.charts import Axis, Chart, Series, linear, logarithmic
from digitlens.visualization.report.contents import (
    TIMES,
    Contents,
    Section,
    count,
    duration,
    percent,
    plural,
    short,
    tick,
)

RATIO = 8  # of the highest to the lowest loss, from which on the axis is logarithmic
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
    charts = [_loss(contents), _accuracy(contents), _rate(contents)] if history else []
    headings = [name for name in _COLUMNS if history and name in history[0]]
    rows = [[_COLUMNS[name][1](row[name]) for name in headings] for row in history]
    is_validated = bool(history) and "val_loss" in history[0]
    return Section(
        "training",
        "How the training went",
        {
            "charts": charts,
            "headings": [_COLUMNS[name][0] for name in headings],
            "rows": rows,
            "is_validated": is_validated,
        },
    )


def _words(recipe: Recipe) -> str:
    """The network in a sentence or two."""
    text = f"{_WAYS[recipe.architecture]}, with {count(parameters(recipe))} numbers to learn."
    if recipe.members > 1:
        each = parameters(recipe) // recipe.members
        text += (
            f" It is {recipe.members} such networks of {count(each)}, whose answers are averaged."
        )
    if recipe.views > 1:
        text += f" Each looks at {recipe.views} versions of a tile, moved by one pixel."
    if recipe.none:
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


def _loss(contents: Contents) -> Chart:
    series = _pair(contents, "loss", short)
    values = [y for each in series for _, y in each.points]
    is_log = min(values) > 0 and max(values) / min(values) > RATIO
    y = logarithmic("loss", values, short) if is_log else linear("loss", values, short)
    title = "Loss, the lower the better" + (", logarithmic" if is_log else "")
    return _chart(contents, "loss", title, y, series)


def _accuracy(contents: Contents) -> Chart:
    series = _pair(contents, "accuracy", percent)
    values = [y for each in series for _, y in each.points]
    y = linear("accuracy", values, tick, high=1.0 if max(values) > 0.9 else None)
    return _chart(contents, "accuracy", "Accuracy, the higher the better", y, series)


def _rate(contents: Contents) -> Chart:
    points = [(row["epoch"], row["learning_rate"]) for row in contents.history]
    hints = [f"epoch {x:.0f}: learning rate {short(y)}" for x, y in points]
    y = linear("learning rate", [y for _, y in points], short, low=0)
    series = [Series("", "green", points, hints)]
    return _chart(contents, "rate", "Learning rate at the end of each epoch", y, series)


def _chart(contents: Contents, name: str, title: str, y: Axis, series: Sequence[Series]) -> Chart:
    epochs = [row["epoch"] for row in contents.history]
    room = 0.5 if len(epochs) == 1 else 0  # a single point stands in the middle
    x = linear("epoch", epochs, count, low=epochs[0] - room, high=epochs[-1] + room, whole=True)
    best = _number(contents.card.results, "best_epoch")
    is_marked = best is not None and len(epochs) > 2 and best in epochs and name != "rate"
    mark = (best, "kept") if is_marked and best is not None else None
    said = "; ".join(each.hints[-1] for each in series)
    return Chart(f"chart-{name}", title, f"At the end, {said}.", x, y, series, mark)


def _pair(contents: Contents, what: str, write: Callable[[float], str]) -> list[Series]:
    """Training dashed, validation drawn through."""
    found: list[Series] = []
    for key, name, colour in (("train", "training", "blue"), ("val", "validation", "orange")):
        rows = [row for row in contents.history if f"{key}_{what}" in row]
        points = [(row["epoch"], row[f"{key}_{what}"]) for row in rows]
        hints = [f"epoch {x:.0f}: {what} {write(y)} in {name}" for x, y in points]
        if points:
            found.append(Series(name, colour, points, hints, is_dashed=key == "train"))
    return found


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
