"""Every figure of trained models, by its name; what commands and notebooks draw from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from time import perf_counter
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

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
from digitlens.visualization.theme import MOST_LOOKS

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
    """The figures of an evaluation as files of a folder.

    Returns:
        The files written.
    """
    names = ("confusion", "classes", "calibration", "wrong", "correct")
    confusion, classes, calibration, wrong, correct = (folder / f"{name}.png" for name in names)
    draw_confusion(report, confusion)
    draw_classes(report, classes)
    draw_calibration(report, calibration)
    draw_wrong(report, tiles, wrong)
    draw_correct(report, tiles, correct)
    return [confusion, classes, calibration, wrong, correct]


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
    draw_runs(
        {one.label if named[one.label] == 1 else str(one.model): one.history for one in known}, path
    )


def _of_report(draw: Callable[[Report, Path], None]) -> Draw:
    return lambda models, path, _: draw(models[0].report, path)


def _of_tiles(draw: Callable[[Report, Tiles, Path], None]) -> Draw:
    return lambda models, path, _: draw(models[0].report, models[0].split.tiles, path)


def _coverage(models: Models, path: Path, _: Shown) -> None:
    report = models[0].report
    draw_coverage({report.data.name: answers(report.labels, report.probabilities)}, path)


def _of_robustness(draw: Callable[[Robustness, Path], None]) -> Draw:
    return lambda models, path, _: draw(_measure(models[0]), path)


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
        count = layers.count_parameters(graph)
        speed = seconds * 1e6
        points.append(ModelPoint(name, count, len(graph), score.accuracy, score.interval, speed))
    measured = min(TIMED, len(models[0].split))
    draw_models(points, path, note=f"median of {ROUNDS} rounds in turns, {measured:,} tiles each")


FIGURES: dict[str, Draw] = {
    "curves": _curves,
    "confusion": _of_report(draw_confusion),
    "classes": _of_report(draw_classes),
    "wrong": _of_tiles(draw_wrong),
    "correct": _of_tiles(draw_correct),
    "extremes": _of_tiles(draw_extremes),
    "reliability": _of_report(draw_calibration),
    "coverage": _coverage,
    "robustness": _of_robustness(draw_sweeps),
    "corruptions": _of_robustness(draw_corruptions),
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
