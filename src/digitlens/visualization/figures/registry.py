"""Every figure of trained models: by its name, those of an evaluation, those of an autoencoder.

Of an autoencoder, what was written is in ink, what is drawn from a code in blue.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb

from digitlens.datasets import mnist
from digitlens.datasets.mnist import Split
from digitlens.errors import DataError, MissingExtraError, ModelError, needs_extra
from digitlens.evaluation.metrics import answers
from digitlens.evaluation.report import Report, Robustness
from digitlens.explain.evidence import METHODS, Method, integrate_gradients, occlude, project
from digitlens.explain.trained_model import TrainedModel, evaluate_model, measure_corrupted
from digitlens.models.bundle import load_bundle
from digitlens.progress import note
from digitlens.visualization.figures.curves import draw_curves, draw_runs
from digitlens.visualization.figures.inside import (
    draw_embedding,
    draw_feature_maps,
    draw_filters,
    draw_saliency,
)
from digitlens.visualization.figures.reliability import (
    draw_calibration,
    draw_corruptions,
    draw_coverage,
    draw_sweeps,
)
from digitlens.visualization.figures.scores import (
    ModelPoint,
    draw_classes,
    draw_confusion,
    draw_correct,
    draw_extremes,
    draw_models,
    draw_wrong,
)
from digitlens.visualization.theme import MOST_LOOKS, canvas, draw_files, headline, theme

if TYPE_CHECKING:
    from digitlens.models.networks import Reconstruction, Reconstructor

SAMPLE = 1000  # tiles that robustness is shown on; all 10,000 take some minutes
MAPPED = 2000  # tiles on a map of features: more would not be drawn
TIMED, ROUNDS = 1000, 7  # tiles of a call, and calls whose median counts

Tiles = npt.NDArray[np.uint8]
Models: TypeAlias = Sequence[TrainedModel]


class Shown(NamedTuple):
    """What a figure shows."""

    tile: int = 0  # index of the tile, in figures of a single one
    method: Method = "pca"  # how features are brought to two dimensions


Draw: TypeAlias = Callable[[Models, Path, Shown], None]
"""Draws one figure of these models to this file; of the first model where it shows only one.

Raises a DigitlensError that says why where the figure cannot be made.
"""


def draw_evaluation(report: Report, tiles: Tiles, folder: Path) -> list[Path]:
    """The figures of an evaluation as files of a folder; gives the files written."""
    draws = {
        "confusion": partial(draw_confusion, report),
        "classes": partial(draw_classes, report),
        "calibration": partial(draw_calibration, report),
        "wrong": partial(draw_wrong, report, tiles),
        "correct": partial(draw_correct, report, tiles),
    }
    return draw_files(folder, draws)


def _curves(models: Models, path: Path, _: Shown) -> None:
    known = [model for model in models if model.history]
    for model in models:
        if model not in known and known:
            note(f"curves: none of {model.label}, which has no history")
    if not known:
        raise ModelError(
            f"{models[0].label} has no history: expected the run folder that `digitlens train` "
            "writes"
        )
    if len(known) == 1:
        draw_curves(known[0].history, path)
        return
    if any("epoch" not in one.history[0] for one in known):
        raise ModelError("a digit detector learns by steps and not epochs: draw its curves alone")
    if len(known) > MOST_LOOKS:
        raise ModelError(
            f"expected at most {MOST_LOOKS} runs, which can be told apart, found {len(known)}"
        )
    named = Counter(one.label for one in known)
    names = [one.label if named[one.label] == 1 else str(one.model) for one in known]
    draw_runs({name: one.history for name, one in zip(names, known, strict=True)}, path)


def _coverage(models: Models, path: Path, _: Shown) -> None:
    report = models[0].report
    draw_coverage({report.data.name: answers(report.labels, report.probabilities)}, path)


@lru_cache(maxsize=1)  # two figures show the same measurement
def _measure(model: TrainedModel) -> Robustness:
    """How it fares on worse tiles, on ``SAMPLE`` of them, taken evenly."""
    if not len(model.split):
        raise DataError("expected tiles to make worse, found none")
    some = model.split.evenly(SAMPLE)
    name = f"{len(some):,} tiles of {model.data_name}"
    return measure_corrupted(model.classifier, some, evaluate_model(model.classifier, some, name))


def _filters(models: Models, path: Path, _: Shown) -> None:
    with needs_extra("train"):
        from digitlens.models import layers  # noqa: PLC0415  (onnx)
    draw_filters(layers.filters(_graph(models[0])), path)


def _maps(models: Models, path: Path, shown: Shown) -> None:
    """A tile through every layer of a model."""
    with needs_extra("train"):
        from digitlens.models.layers import activations  # noqa: PLC0415  (onnx)
    tile = _tile(models[0], shown.tile)
    draw_feature_maps(tile, activations(_graph(models[0]), tile), path)


def _saliency(models: Models, path: Path, shown: Shown) -> None:
    """Why a model reads a tile as it does, and not as the runner-up."""
    model = models[0]
    tile = _tile(model, shown.tile)
    ask = model.classifier.predict_proba
    probabilities = ask(tile[None])[0]
    other, value = (int(digit) for digit in probabilities.argsort()[-2:])
    found = {
        "ink that counts": occlude(ask, tile, value),
        "paper that counts": occlude(ask, tile, value, ink=255),
        f"ink, {value} rather than {other}": occlude(ask, tile, value, against=other),
        **_gradients(model, tile, value),
    }
    truth = int(model.split.labels[shown.tile])
    draw_saliency(tile, value, probabilities, found, path, truth=truth)


def _gradients(model: TrainedModel, tile: Tiles, value: int) -> dict[str, npt.NDArray[np.float32]]:
    """The map by gradients; none, and a line that says why, where the network cannot be opened."""
    try:
        with needs_extra("train"):
            from digitlens.training.export import load_network  # noqa: PLC0415
        network = load_network(model.bundle)
    except (MissingExtraError, ModelError) as error:
        note(f"saliency without the map by gradients: {error}")
        return {}
    return {"ink, by gradients": integrate_gradients(network, tile, value)}


def _features(models: Models, path: Path, shown: Shown) -> None:
    """A map of a model's features of the first 2,000 tiles."""
    model = models[0]
    tiles, labels = model.split.tiles[:MAPPED], model.split.labels[:MAPPED]
    outputs = model.classifier.outputs(tiles)
    if outputs.features is None:
        raise ModelError(
            f"{model.name} gives no features: expected one network, exported by this digitlens; "
            "several that are averaged have none in common"
        )
    points = project(outputs.features, shown.method)
    predicted = outputs.probabilities.argmax(axis=1)
    draw_embedding(points, labels, predicted, tiles, path, method=METHODS[shown.method])


def _models(models: Models, path: Path, _: Shown) -> None:
    """All models by mistakes, size and time."""
    with needs_extra("train"):
        from digitlens.models import layers  # noqa: PLC0415  (onnx)
    names = Counter(model.name for model in models)
    points: list[ModelPoint] = []
    for model, seconds in zip(models, _times(models), strict=True):
        graph, score = _graph(model), model.report.score
        name = model.name if names[model.name] == 1 else str(model.model)
        size = layers.count_parameters(graph), len(graph)
        points.append(ModelPoint(name, *size, score.accuracy, score.interval, 1e6 * seconds))
    measured = min(TIMED, len(models[0].split))
    draw_models(points, path, note=f"median of {ROUNDS} rounds in turns, {measured:,} tiles each")


FIGURES: dict[str, Draw] = {
    "curves": _curves,
    "confusion": lambda some, path, _: draw_confusion(some[0].report, path),
    "classes": lambda some, path, _: draw_classes(some[0].report, path),
    "wrong": lambda some, path, _: draw_wrong(some[0].report, some[0].split.tiles, path),
    "correct": lambda some, path, _: draw_correct(some[0].report, some[0].split.tiles, path),
    "extremes": lambda some, path, _: draw_extremes(some[0].report, some[0].split.tiles, path),
    "reliability": lambda some, path, _: draw_calibration(some[0].report, path),
    "coverage": _coverage,
    "robustness": lambda some, path, _: draw_sweeps(_measure(some[0]), path),
    "corruptions": lambda some, path, _: draw_corruptions(_measure(some[0]), path),
    "filters": _filters,
    "maps": _maps,
    "saliency": _saliency,
    "features": _features,
    "models": _models,
}
SLOW = ("robustness", "corruptions")  # made only where they are asked for
SEVERAL = ("curves", "models")  # of all models that are given; the others are of the first


def _graph(model: TrainedModel) -> bytes:
    return load_bundle(model.model).graph


def _tile(model: TrainedModel, index: int) -> Tiles:
    count = len(model.split)
    if not 0 <= index < count:
        raise DataError(
            f"expected the index of a tile from 0 to {count - 1:,}, of {model.data_name}, "
            f"found {index}"
        )
    return model.split.tiles[index]


def _times(models: Models) -> list[float]:
    """Seconds a tile: medians of rounds in turns, so that a busy moment slows all alike."""
    tiles = models[0].split.tiles[:TIMED]
    found: list[list[float]] = [[] for _ in models]
    for round_ in range(ROUNDS + 1):  # the first prepares what later ones reuse
        for times, model in zip(found, models, strict=True):
            start = perf_counter()
            model.classifier.predict_proba(tiles)
            if round_:
                times.append((perf_counter() - start) / len(tiles))
    return [float(np.median(times)) for times in found]


_CELL, _ROOM = 30, 10  # pixels: a tile with the gap to the next, and more between groups of them
_INCH = 1 / 72  # of a pixel of a tile
_HEAD = 1.0  # inches of a headline and the room around
RECONSTRUCTIONS, INTERPOLATIONS = "reconstructions.png", "interpolations.png"
OF_EACH = 9  # digits shown of each value, and of those that are drawn best and worst
STEPS = 10  # from one digit to another, ends included
_CORNERS = [0, 3, 6, 7]  # values in the corners of the field

Codes = npt.NDArray[np.float32]
Places: TypeAlias = dict[tuple[int, int], npt.NDArray[np.float64]]
"""Painted tiles float64[28, 28, 3] by the pixel row and column of their upper left corners."""


def draw_mnist_digits(
    reconstructor: Reconstructor, folder: Path, data_dir: Path | None
) -> tuple[list[str], dict[str, Any]]:
    """Draws both pictures of an autoencoder in the theme in use.

    Args:
        reconstructor: The autoencoder.
        folder: Where the pictures go.
        data_dir: Folder with the MNIST files.

    Returns:
        The names of the files, and the mean error of all digits and of each, JSON-ready.
    """
    split = mnist.load_mnist(data_dir).test
    drawn = reconstructor.reconstruct(split.tiles)
    told = f"MNIST test digits, each drawn by {reconstructor.card.name} from "
    note = f"{told}{reconstructor.width} numbers"
    draw_reconstructions(split, drawn, folder / RECONSTRUCTIONS, note=note)
    rows = [np.flatnonzero(split.labels == value) for value in range(10)]
    # The digit of each value that is drawn no better and no worse than others.
    usual = np.array([one[drawn.error[one].argsort()[len(one) // 2]] for one in rows])
    draw_interpolations(split.tiles[usual], reconstructor, folder / INTERPOLATIONS)
    errors = {
        "digits": len(split),
        "error": float(drawn.error.mean()),
        "by_digit": [float(drawn.error[one].mean()) for one in rows],
    }
    return [RECONSTRUCTIONS, INTERPOLATIONS], errors


def draw_reconstructions(split: Split, drawn: Reconstruction, path: Path, *, note: str) -> None:
    """Digits of each value over their reconstructions, and those that come out best and worst.

    Args:
        split: Digits and their labels.
        drawn: The same, drawn again.
        note: A line that says whose digits they are, and what draws them.
        path: The ``.png`` or ``.svg`` file to write.
    """
    block = OF_EACH * _CELL + _ROOM
    order = drawn.error.argsort(kind="stable")
    ends = [(0, 0, order[:OF_EACH]), (0, block, order[::-1][:OF_EACH])]
    every = [
        (value % 5 * (2 * _CELL + _ROOM), value // 5 * block, np.flatnonzero(split.labels == value))
        for value in range(10)
    ]
    pictures: list[npt.NDArray[np.float64]] = []
    for groups in (every, ends):
        places = Places()
        for top, left, found in groups:
            chosen = found[:OF_EACH]
            _put(places, split.tiles[chosen], top, left)
            _put(places, drawn.tiles[chosen], top + _CELL, left, drawn=True)
        pictures.append(_composed(places))
    shares = [len(picture) for picture in pictures]
    size = pictures[0].shape[1] * _INCH + 0.5, sum(shares) * _INCH + 2 * _HEAD
    with canvas(path, *size) as figure:
        upper, lower = figure.subplots(2, 1, gridspec_kw={"height_ratios": shares})
        headline(upper, "Digits as they were written, and below each as it is drawn again", note)
        headline(lower, "Drawn best, and drawn worst", "below each its error")
        for axes, picture in zip((upper, lower), pictures, strict=True):
            _show(axes, picture)
        look = {"ha": "center", "va": "top", "fontsize": 7, "color": theme().soft}
        for _, left, chosen in ends:
            for place, error in enumerate(drawn.error[chosen]):
                lower.text(left + place * _CELL + 14, 2 * _CELL, f"{error:.3f}", look)


def draw_interpolations(digits: Tiles, reconstructor: Reconstructor, path: Path) -> None:
    """A row from each of ten digits to the next, and a field between four of them.

    Args:
        digits: uint8[10, 28, 28]; one of each value, in their order.
        reconstructor: The autoencoder.
        path: The ``.png`` or ``.svg`` file to write.
    """
    code, decode = reconstructor.reconstruct(digits).code, reconstructor.decode
    rows, square = Places(), Places()
    for first in range(10):
        ends = [first, (first + 1) % 10]
        _put_between(rows, digits[ends], decode(_straight(*code[ends])), first * _CELL)
    field = decode(field_codes(code[_CORNERS]).reshape(-1, code.shape[1]))
    for row, drawn in enumerate(field.reshape(STEPS, STEPS, 28, 28)):
        corners = {0: _CORNERS[:2], STEPS - 1: _CORNERS[2:]}.get(row, [])
        _put_between(square, digits[corners], drawn, row * _CELL)
    pictures = [_composed(rows), _composed(square)]
    shares = [picture.shape[1] for picture in pictures]
    size = (sum(shares) + 2 * _ROOM) * _INCH + 0.5, len(pictures[0]) * _INCH + _HEAD
    with canvas(path, *size) as figure:
        left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": shares})
        note = "along a straight line between their codes"
        headline(left, "From one digit to another", note)
        headline(right, "Between four digits", "nobody ever wrote what is blue")
        for axes, picture in zip((left, right), pictures, strict=True):
            _show(axes, picture)


def _straight(first: Codes, last: Codes) -> Codes:
    """float32[R, ...]; from one code to another."""
    along: Any = np.linspace(0, 1, STEPS, dtype=np.float32).reshape(-1, *[1] * first.ndim)
    return (1 - along) * first + along * last


def field_codes(corners: Codes) -> Codes:
    """Codes float32[R, R, D] that go straight from corner to corner.

    Args:
        corners: float32[4, D]; above left and right, below left and right.
    """
    return _straight(_straight(*corners[:2]), _straight(*corners[2:]))


def _put_between(places: Places, ends: Tiles, drawn: Tiles, top: int) -> None:
    """What is drawn from a code, in a row between two tiles, if they are given."""
    inside = _CELL + _ROOM // 2
    _put(places, drawn, top, inside, drawn=True)
    for left, end in zip((0, inside + len(drawn) * _CELL + _ROOM // 2), ends, strict=False):
        _put(places, end[None], top, left)


def _put(places: Places, tiles: Tiles, top: int, left: int, *, drawn: bool = False) -> None:
    """Tiles in a row: in ink as they were written, or in blue as they are drawn from a code."""
    ink = theme().tiles
    if drawn:
        ink = LinearSegmentedColormap.from_list("drawn", [ink(0), theme().blue])
    for place, tile in enumerate(ink(tiles)[..., :3]):
        places[top, left + place * _CELL] = tile


def _composed(places: Places) -> npt.NDArray[np.float64]:
    """float64[H, W, 3]; the tiles on the ground."""
    height, width = (max(corner[side] for corner in places) + 28 for side in (0, 1))
    picture = np.tile(np.array(to_rgb(theme().ground)), (height, width, 1))
    for (top, left), tile in places.items():
        picture[top : top + 28, left : left + 28] = tile
    return picture


def _show(axes: Axes, picture: npt.NDArray[np.float64]) -> None:
    axes.imshow(picture, interpolation="nearest")
    axes.set_axis_off()
