"""Registry of the figures of trained models, of evaluations and of autoencoders.

In figures of an autoencoder, original digits are in ink, decoded ones in blue.
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
from digitlens.explain.evidence import (
    METHODS,
    Method,
    answers_and_features,
    integrate_gradients,
    occlude,
    project,
)
from digitlens.explain.trained_model import TrainedModel, evaluate_model, measure_corrupted
from digitlens.models.bundle import load_bundle
from digitlens.progress import note
from digitlens.visualization.figures import curves, inside, reliability, scores
from digitlens.visualization.theme import MAX_SERIES, canvas, draw_files, headline, theme

if TYPE_CHECKING:
    from digitlens.models.networks import Reconstruction, Reconstructor

SAMPLE = 1000  # tiles on which robustness is measured; all 10,000 take some minutes
MAPPED_TILES = 2000  # tiles on a map of features: more would overlap
TIMED_TILES, ROUNDS = 1000, 7  # tiles per call, and calls of which the median is taken

Tiles = npt.NDArray[np.uint8]
Models: TypeAlias = Sequence[TrainedModel]


class FigureOptions(NamedTuple):
    """Options of a figure."""

    tile: int = 0  # index of the tile, in figures of a single tile
    method: Method = "pca"  # projection of features to two dimensions


Draw: TypeAlias = Callable[[Models, Path, FigureOptions], None]
"""Draws one figure of the models to a file; of the first model if it shows only one.

Raises a DigitlensError with the reason if the figure cannot be drawn.
"""


def draw_evaluation(report: Report, tiles: Tiles, folder: Path) -> list[Path]:
    """Draws the figures of an evaluation into a folder; returns the files written."""
    draws = {
        "confusion": partial(scores.draw_confusion, report),
        "classes": partial(scores.draw_classes, report),
        "calibration": partial(reliability.draw_calibration, report),
        "wrong": partial(scores.draw_wrong, report, tiles),
        "correct": partial(scores.draw_correct, report, tiles),
    }
    return draw_files(folder, draws)


def _curves(models: Models, path: Path, _: FigureOptions) -> None:
    trained = [model for model in models if model.history]
    for model in models:
        if model not in trained and trained:
            note(f"curves: skipping {model.label}, which has no history")
    if not trained:
        expected = "expected the run folder that `digitlens train` writes"
        raise ModelError(f"{models[0].label} has no history: {expected}")
    if len(trained) == 1:
        curves.draw_curves(trained[0].history, path)
        return
    if any("epoch" not in one.history[0] for one in trained):
        raise ModelError("a digit detector counts steps, not epochs: draw its curves separately")
    if len(trained) > MAX_SERIES:
        message = f"expected at most {MAX_SERIES} runs, which can be distinguished"
        raise ModelError(f"{message}, found {len(trained)}")
    counts = Counter(one.label for one in trained)
    names = [one.label if counts[one.label] == 1 else str(one.model) for one in trained]
    curves.draw_runs({name: one.history for name, one in zip(names, trained, strict=True)}, path)


def _coverage(models: Models, path: Path, _: FigureOptions) -> None:
    report = models[0].report
    outcomes = answers(report.labels, report.probabilities)
    reliability.draw_coverage({report.data.name: outcomes}, path)


@lru_cache(maxsize=1)  # two figures show the same measurement
def _measure_robustness(model: TrainedModel) -> Robustness:
    """The robustness of a model on ``SAMPLE`` evenly spaced tiles."""
    if not len(model.split):
        raise DataError("expected tiles to corrupt, found none")
    tiles = model.split.evenly(SAMPLE)
    name = f"{len(tiles):,} tiles of {model.data_name}"
    return measure_corrupted(model.classifier, tiles, evaluate_model(model.classifier, tiles, name))


def _filters(models: Models, path: Path, _: FigureOptions) -> None:
    with needs_extra("train"):
        from digitlens.models import layers  # noqa: PLC0415  (onnx)
    inside.draw_filters(layers.filters(_graph(models[0])), path)


def _maps(models: Models, path: Path, options: FigureOptions) -> None:
    """Draws the feature maps of a tile in every layer of a model."""
    with needs_extra("train"):
        from digitlens.models.layers import activations  # noqa: PLC0415  (onnx)
    tile = _tile(models[0], options.tile)
    inside.draw_feature_maps(tile, activations(_graph(models[0]), tile), path)


def _saliency(models: Models, path: Path, options: FigureOptions) -> None:
    """Draws the evidence in a tile for the answer, and against the runner-up."""
    model = models[0]
    tile = _tile(model, options.tile)
    ask = model.classifier.predict_proba
    probabilities = ask(tile[None])[0]
    other, value = (int(digit) for digit in probabilities.argsort()[-2:])
    maps = {
        "relevant ink": occlude(ask, tile, value),
        "relevant paper": occlude(ask, tile, value, ink=255),
        f"ink, {value} rather than {other}": occlude(ask, tile, value, against=other),
        **_gradients(model, tile, value),
    }
    truth = int(model.split.labels[options.tile])
    inside.draw_saliency(tile, value, probabilities, maps, path, truth=truth)


def _gradients(model: TrainedModel, tile: Tiles, value: int) -> dict[str, npt.NDArray[np.float32]]:
    """The gradient map; empty, with a note, if the network cannot be loaded."""
    try:
        with needs_extra("train"):
            from digitlens.training.export import load_network  # noqa: PLC0415
        network = load_network(model.bundle)
    except (MissingExtraError, ModelError) as error:
        note(f"saliency without the gradient map: {error}")
        return {}
    return {"ink, by gradients": integrate_gradients(network, tile, value)}


def _features(models: Models, path: Path, options: FigureOptions) -> None:
    """Draws a map of a model's features of the first 2,000 tiles."""
    model = models[0]
    tiles, labels = model.split.tiles[:MAPPED_TILES], model.split.labels[:MAPPED_TILES]
    chances, features = answers_and_features(model.classifier, tiles)
    points, predicted = project(features, options.method), chances.argmax(axis=1)
    inside.draw_embedding(points, labels, predicted, tiles, path, method=METHODS[options.method])


def _models(models: Models, path: Path, _: FigureOptions) -> None:
    """Compares all models by errors, size and time."""
    with needs_extra("train"):
        from digitlens.models import layers  # noqa: PLC0415  (onnx)
    names = Counter(model.name for model in models)
    points: list[scores.ModelPoint] = []
    for model, seconds in zip(models, _time_models(models), strict=True):
        graph, score = _graph(model), model.report.score
        name = model.name if names[model.name] == 1 else str(model.model)
        size = layers.count_parameters(graph), len(graph)
        points.append(scores.ModelPoint(name, *size, score.accuracy, score.interval, 1e6 * seconds))
    measured = f"{min(TIMED_TILES, len(models[0].split)):,} tiles each"
    scores.draw_models(points, path, note=f"median of {ROUNDS} interleaved rounds, {measured}")


def _of_report(draw: Callable[[Report, Path], None]) -> Draw:
    return lambda models, path, _: draw(models[0].report, path)


def _of_tiles(draw: Callable[[Report, Tiles, Path], None]) -> Draw:
    return lambda models, path, _: draw(models[0].report, models[0].split.tiles, path)


def _of_robustness(draw: Callable[[Robustness, Path], None]) -> Draw:
    return lambda models, path, _: draw(_measure_robustness(models[0]), path)


FIGURES: dict[str, Draw] = {
    "curves": _curves,
    "confusion": _of_report(scores.draw_confusion),
    "classes": _of_report(scores.draw_classes),
    "wrong": _of_tiles(scores.draw_wrong),
    "correct": _of_tiles(scores.draw_correct),
    "extremes": _of_tiles(scores.draw_extremes),
    "reliability": _of_report(reliability.draw_calibration),
    "coverage": _coverage,
    "robustness": _of_robustness(reliability.draw_sweeps),
    "corruptions": _of_robustness(reliability.draw_corruptions),
    "filters": _filters,
    "maps": _maps,
    "saliency": _saliency,
    "features": _features,
    "models": _models,
}
SLOW = ("robustness", "corruptions")  # drawn only on request
SEVERAL = ("curves", "models")  # show all models given; the others show the first


def _graph(model: TrainedModel) -> bytes:
    return load_bundle(model.model).graph


def _tile(model: TrainedModel, index: int) -> Tiles:
    count = len(model.split)
    if not 0 <= index < count:
        expected = f"expected the index of a tile from 0 to {count - 1:,}, of {model.data_name}"
        raise DataError(f"{expected}, found {index}")
    return model.split.tiles[index]


def _time_models(models: Models) -> list[float]:
    """Seconds per tile: medians of interleaved rounds, so that other load affects all alike."""
    tiles = models[0].split.tiles[:TIMED_TILES]
    seconds: list[list[float]] = [[] for _ in models]
    for round_ in range(ROUNDS + 1):  # the first round is a warm-up
        for times, model in zip(seconds, models, strict=True):
            start = perf_counter()
            model.classifier.predict_proba(tiles)
            if round_:
                times.append((perf_counter() - start) / len(tiles))
    return [float(np.median(times)) for times in seconds]


_GAP, _ROOM = 2, 12  # pixels between tiles, and between groups of tiles
_SIDE = 28
_INCH = 1 / 72  # inches per pixel of a tile
_HEADLINE = 1.0  # inches for a headline with its margin
RECONSTRUCTIONS, INTERPOLATIONS = "reconstructions.png", "interpolations.png"
OF_EACH = 9  # digits shown per value, and of the best and worst reconstructions
STEPS = 10  # interpolation steps, ends included
_CORNERS = [0, 3, 6, 7]  # digits at the corners of the interpolated field

Codes = npt.NDArray[np.float32]
Picture = npt.NDArray[np.float64]  # [H, W, 3], 0 to 1


def draw_mnist_digits(
    reconstructor: Reconstructor, folder: Path, data_dir: Path | None
) -> tuple[list[str], dict[str, Any]]:
    """Draws both figures of an autoencoder into a folder, in the current theme.

    Returns the names of the files, and the mean error overall and by digit, JSON-ready.
    """
    split = mnist.load_mnist(data_dir).test
    reconstruction = reconstructor.reconstruct(split.tiles)
    note = f"MNIST test digits, decoded by {reconstructor.card.name} from {reconstructor.width}"
    draw_reconstructions(split, reconstruction, folder / RECONSTRUCTIONS, note=f"{note} numbers")
    rows = [np.flatnonzero(split.labels == value) for value in range(10)]
    # The digit of each value with the median error.
    typical = np.array([one[reconstruction.error[one].argsort()[len(one) // 2]] for one in rows])
    draw_interpolations(split.tiles[typical], reconstructor, folder / INTERPOLATIONS)
    errors = {
        "digits": len(split),
        "error": float(reconstruction.error.mean()),
        "by_digit": [float(reconstruction.error[one].mean()) for one in rows],
    }
    return [RECONSTRUCTIONS, INTERPOLATIONS], errors


def draw_reconstructions(split: Split, drawn: Reconstruction, path: Path, *, note: str) -> None:
    """Draws digits of each value above their reconstructions, and the best and worst ones.

    ``note`` names the digits and the autoencoder.
    """
    order = drawn.error.argsort(kind="stable")
    extremes = [order[:OF_EACH], order[::-1][:OF_EACH]]

    def group(chosen: npt.NDArray[np.int64]) -> Picture:
        rows = _row(split.tiles[chosen], OF_EACH), _row(drawn.tiles[chosen], OF_EACH, drawn=True)
        return _join(rows, 0, _GAP)

    groups = [group(np.flatnonzero(split.labels == value)[:OF_EACH]) for value in range(10)]
    columns = [_join(half, 0, _ROOM) for half in (groups[:5], groups[5:])]
    pictures = [_join(columns, 1, _ROOM), _join([group(each) for each in extremes], 1, _ROOM)]
    heights = [len(picture) for picture in pictures]
    size = pictures[0].shape[1] * _INCH + 0.5, sum(heights) * _INCH + 2 * _HEADLINE
    with canvas(path, *size) as figure:
        upper, lower = figure.subplots(2, 1, gridspec_kw={"height_ratios": heights})
        title = "Original digits, with their reconstructions below"
        _show_picture(upper, pictures[0], title, note)
        title = "Best and worst reconstructions"
        _show_picture(lower, pictures[1], title, "with the error below each")
        soft, step = theme().soft, _SIDE + _GAP
        for left, chosen in zip((0, OF_EACH * step - _GAP + _ROOM), extremes, strict=True):
            for index, error in enumerate(drawn.error[chosen]):
                x, text = left + index * step + 14, f"{error:.3f}"
                lower.text(x, 2 * step, text, ha="center", va="top", fontsize=7, color=soft)


def draw_interpolations(digits: Tiles, reconstructor: Reconstructor, path: Path) -> None:
    """Draws interpolations from each of ten digits, uint8[10, 28, 28], to the next, and of four."""
    code, decode = reconstructor.reconstruct(digits).code, reconstructor.decode
    pairs = [[first, (first + 1) % 10] for first in range(10)]
    rows = [_interpolation_row(digits[ends], decode(_interpolate(*code[ends]))) for ends in pairs]
    field = decode(field_codes(code[_CORNERS]).reshape(-1, code.shape[1]))
    corners = {0: _CORNERS[:2], STEPS - 1: _CORNERS[2:]}
    square = [
        _interpolation_row(digits[corners.get(row, [])], drawn)
        for row, drawn in enumerate(field.reshape(STEPS, STEPS, _SIDE, _SIDE))
    ]
    pictures = [_join(rows, 0, _GAP), _join(square, 0, _GAP)]
    widths = [picture.shape[1] for picture in pictures]
    size = (sum(widths) + 20) * _INCH + 0.5, len(pictures[0]) * _INCH + _HEADLINE
    with canvas(path, *size) as figure:
        left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": widths})
        note = "along a straight line between their codes"
        _show_picture(left, pictures[0], "From one digit to another", note)
        _show_picture(right, pictures[1], "Between four digits", "interpolated digits in blue")


def _interpolate(first: Codes, last: Codes) -> Codes:
    """Linear interpolation from one code to another; float32[R, ...]."""
    fractions: Any = np.linspace(0, 1, STEPS, dtype=np.float32).reshape(-1, *[1] * first.ndim)
    return (1 - fractions) * first + fractions * last


def field_codes(corners: Codes) -> Codes:
    """Bilinear interpolation, float32[R, R, D], of corners float32[4, D], upper ones first."""
    return _interpolate(_interpolate(*corners[:2]), _interpolate(*corners[2:]))


def _interpolation_row(ends: Tiles, drawn: Tiles) -> Picture:
    """A row of decoded tiles, between two original tiles if these are given."""
    parts = _row(ends[:1], 1), _row(drawn, len(drawn), drawn=True), _row(ends[1:], 1)
    return _join(parts, 1, _ROOM - 5)


def _row(tiles: Tiles, count: int, *, drawn: bool = False) -> Picture:
    """A row of tiles, padded to ``count``: originals in ink, decoded ones in blue."""
    ink = theme().tiles
    if drawn:
        ink = LinearSegmentedColormap.from_list("drawn", [ink(0), theme().blue])
    blank = np.tile(np.array(to_rgb(theme().ground)), (_SIDE, _SIDE, 1))
    return _join([*ink(tiles)[..., :3], *[blank] * (count - len(tiles))], 1, _GAP)


def _join(parts: Sequence[Picture], axis: int, gap: int) -> Picture:
    """Stacks pictures vertically (axis 0) or horizontally (axis 1), with gaps."""
    shape = [*parts[0].shape]
    shape[axis] = gap
    blank = np.tile(np.array(to_rgb(theme().ground)), (*shape[:2], 1))
    return np.concatenate([each for part in parts for each in (blank, part)][1:], axis)


def _show_picture(axes: Axes, picture: Picture, title: str, note: str) -> None:
    axes.imshow(picture, interpolation="nearest")
    axes.set_axis_off()
    headline(axes, title, note)
