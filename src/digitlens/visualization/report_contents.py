"""What a report page is made from, measured of one classifier; how its numbers are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from math import floor, log10
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from digitlens.datasets.mnist import Split
from digitlens.evaluation.metrics import Speed, describe_machine
from digitlens.evaluation.report import Report, Robustness, evaluate
from digitlens.explain.evidence import find_nearest
from digitlens.explain.trained_model import TrainedModel, measure_corrupted, time_answers
from digitlens.models.bundle import Card
from digitlens.training.recipe import Recipe, recipe_from
from digitlens.visualization.figures.curves import draw_curves
from digitlens.visualization.theme import svg_element

NEAREST = 5
WORSE = 1000  # tiles under each corruption: an accuracy of 90 % is then known to two per cent
SWEPT = 500  # tiles at each point of a sweep
ERRORS = 100  # shown one by one

Tiles = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The training digits nearest to the errors that the page shows, nearest first."""

    tiles: Tiles  # uint8[K, k, 28, 28]
    labels: npt.NDArray[np.uint8]  # uint8[K, k]
    distances: npt.NDArray[np.float32]  # float32[K, k]; 0 to 2, see ``find_nearest``
    known: int  # how many training digits were compared


@dataclass(frozen=True, eq=False)
class Contents:
    """Everything that one page tells of one classifier."""

    card: Card  # the model's card: name, recipe, hashes
    report: Report  # its evaluation
    tiles: Tiles  # uint8[N, 28, 28]; the tiles it was evaluated on, in their order
    on: str  # ``test`` or ``validation``: which tiles these are
    written: datetime  # when
    machine: str = ""  # where it was measured, in words
    trained_on: int | None = None  # tiles that it was trained with; None if that is not known
    # one row an epoch; empty of a model without its run
    history: Sequence[Mapping[str, float]] = ()
    # what ``run.json`` says; empty of a model without its run
    provenance: Mapping[str, Any] = field(default_factory=dict[str, Any])
    # of the errors of ``shown_errors``; None where ``alone`` says why
    neighbours: Neighbours | None = None
    alone: str = ""  # why there are no neighbours
    robustness: Robustness | None = None  # on some of the tiles; None leaves its section out
    worse: Split | None = None  # the tiles of ``robustness``, before they were made worse
    speed: Speed | None = None  # none leaves its section out


@dataclass(frozen=True)
class Section:
    """A part of the page: the name of its anchor and template, its heading, what it asks for."""

    name: str
    title: str
    values: Mapping[str, Any]


def gather(model: TrainedModel, *, quick: bool = False) -> Contents:
    """Measures all that a page tells of a classifier; ``quick`` leaves out what takes long."""
    found = model.report
    neighbours, alone = _near_errors(model)
    robustness, worse, speed = None, None, None
    if not quick:
        worse = model.split.evenly(WORSE)
        clean = evaluate(
            model.classifier.predict_proba, worse, model=found.model, data_name=model.data_name
        )
        robustness = measure_corrupted(model.classifier, worse, clean, SWEPT)
        speed = time_answers(model.classifier, model.split.tiles)
    return Contents(
        card=model.card,
        report=found,
        tiles=model.split.tiles,
        on=model.on,
        written=datetime.now(UTC),
        machine=describe_machine(),
        trained_on=len(model.training) if model.card.recipe else None,
        history=model.history,
        provenance=model.provenance,
        neighbours=neighbours,
        alone=alone,
        robustness=robustness,
        worse=worse,
        speed=speed,
    )


def shown_errors(report: Report) -> Indices:
    """int64[K]: the tiles that are shown one by one, the surest mistakes first."""
    order = np.argsort(-report.confidence[report.wrong], kind="stable")
    return report.wrong[order][:ERRORS]


def _near_errors(model: TrainedModel) -> tuple[Neighbours | None, str]:
    """The training digits nearest to the errors that are shown, or why there are none."""
    chosen = shown_errors(model.report)
    if not len(chosen):
        return None, ""
    features = model.classifier.outputs(model.split.tiles[chosen]).features
    if features is None:
        return None, _why_alone(model)
    known = model.known
    found = find_nearest(features, np.asarray(known.features), min(NEAREST, len(known.tiles)))
    tiles, labels = known.tiles[found.indices], known.labels[found.indices]
    return Neighbours(tiles, labels, found.distances, len(known.tiles)), ""


def _why_alone(model: TrainedModel) -> str:
    """Why a model has no features to compare by."""
    recipe = recipe_from(model.card.recipe)
    if recipe.models > 1 or recipe.tta_views > 1:
        return (
            "This model averages several answers, which have no features in common: it cannot "
            "say which training digits look alike to it."
        )
    return "The graph of this model gives no features by which training digits could be compared."


def figure(name: str, title: str, draw: Callable[[Path], object]) -> Markup:
    """A figure as a part of the page; its anchors begin with ``chart-`` and the name."""
    return Markup(svg_element(draw, f"chart-{name}", title))


THIN = "\u202f"  # a narrow space that does not break, before a unit
TIMES = "\u00d7"  # between the sides of a picture
NOTHING = "\u2013"


def percent(share: float, decimals: int = 2) -> str:
    """A share as text, for example ``98.74 %``; less than all is never written as 100 %."""
    text = f"{100 * share:.{decimals}f}"
    if share < 1 and float(text) == 100:
        text = f"{100 - 10**-decimals:.{decimals}f}"
    return f"{text}{THIN}%"


def rough(share: float) -> str:
    """A share with as many digits as tell it from 0 and from 1: ``97 %``, ``0.4 %``, ``99.8 %``."""
    least = min(share, 1 - share)
    if least <= 0:
        return f"{100 * share:.0f}{THIN}%"
    return percent(share, min(max(0, -2 - floor(log10(least))), 3))


def tick(share: float) -> str:
    """A round share, with all its digits and no more: ``0.25 %``, ``75 %``."""
    return f"{100 * share:.4g}{THIN}%"


def count(number: float) -> str:
    """A whole number with commas between thousands."""
    return f"{number:,.0f}"


def short(number: float) -> str:
    """A number with four digits that count, as ``0.04821`` or ``12.5``."""
    return f"{number:,.4g}"


def duration(seconds: float) -> str:
    """A time span: ``0.31 ms``, ``24.9 s``, ``27 min``, ``1 h 52 min``."""
    if seconds < 1:
        return f"{1000 * seconds:.3g}{THIN}ms"
    if seconds < 120:
        return f"{seconds:.3g}{THIN}s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes}{THIN}min"
    return f"{minutes // 60}{THIN}h {minutes % 60}{THIN}min"


def plural(number: int, one: str, many: str = "") -> str:
    """A count and its noun: ``1 error``, ``126 errors``."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def value(found: Any) -> str:
    """A recipe's value: several with commas, a switch as yes or no, nothing as a dash."""
    if isinstance(found, bool):
        return "yes" if found else "no"
    if isinstance(found, list | tuple):
        return ", ".join(map(str, found))
    return str(found) if found != "" else NOTHING


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
        text += f" It is {recipe.models} such networks of {count(each)}; answers are averaged."
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
    "classic": lambda recipe, block: _plain(recipe, block, strided=recipe.pool == "stride"),
    "fast": lambda recipe, block: _plain(
        recipe, block, strided=recipe.pool == "stride" or not block.number
    ),
    "residual": _residual,
    "swift": _swift,
}
