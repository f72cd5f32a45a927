"""Figures of what a network sees, each from subjects to a file; and models side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from digitlens.errors import DataError, MissingExtraError, ModelError, needs_extra
from digitlens.progress import note

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from digitlens.explain.neighbours import Method
    from digitlens.explain.trained_model import TrainedModel
    from digitlens.visualization.models import ModelPoint

    Tile = npt.NDArray[np.uint8]
    Map = npt.NDArray[np.float32]

MAPPED = 2000  # tiles on a map of features: more would not be drawn
TIMED, ROUNDS = 1000, 7  # tiles of a call, and calls whose median counts


class _Question(NamedTuple):
    """What is asked of a tile: why the value, and why not the runner-up."""

    tile: Tile
    probabilities: npt.NDArray[np.float32]
    value: int
    runner_up: int


def filters(subjects: Sequence[TrainedModel], path: Path, _: int) -> None:
    """The first filters of the first subject."""
    with needs_extra("train"):
        from digitlens.models import layers
    from digitlens.visualization.filters import draw_filters

    draw_filters(layers.filters(_graph(subjects[0])), path)


def maps(subjects: Sequence[TrainedModel], path: Path, index: int) -> None:
    """A tile through every layer of the first subject."""
    with needs_extra("train"):
        from digitlens.models.layers import activations
    from digitlens.visualization.maps import draw_feature_maps

    tile = _tile(subjects[0], index)
    draw_feature_maps(tile, activations(_graph(subjects[0]), tile), path)


def saliency(subjects: Sequence[TrainedModel], path: Path, index: int) -> None:
    """Why the first subject reads a tile as it does."""
    from digitlens.visualization.saliency import draw_saliency

    subject = subjects[0]
    tile = _tile(subject, index)
    probabilities = subject.classifier.predict_proba(tile[None])[0]
    runner_up, value = (int(digit) for digit in probabilities.argsort()[-2:])
    asked = _Question(tile, probabilities, value, runner_up)
    found = _covered(subject, asked) | _traced(subject, asked)
    truth = int(subject.split.labels[index])
    draw_saliency(tile, value, probabilities, found, path, truth=truth)


def features(
    subjects: Sequence[TrainedModel], path: Path, _: int = 0, *, method: Method = "pca"
) -> None:
    """A map of the first subject's features of the first 2,000 tiles."""
    from digitlens.explain.neighbours import METHODS, project
    from digitlens.visualization.embedding import draw_embedding

    subject = subjects[0]
    tiles, labels = subject.split.tiles[:MAPPED], subject.split.labels[:MAPPED]
    outputs = subject.classifier.outputs(tiles)
    if outputs.features is None:
        raise ModelError(
            f"{subject.name} gives no features: expected one network, exported by this digitlens; "
            "several that are averaged have none in common"
        )
    points = project(outputs.features, method)
    predicted = outputs.probabilities.argmax(axis=1)
    draw_embedding(points, labels, predicted, tiles, path, method=METHODS[method])


def models(subjects: Sequence[TrainedModel], path: Path, _: int) -> None:
    """All subjects by mistakes, size and time."""
    with needs_extra("train"):
        from digitlens.models import layers
    from digitlens.visualization.models import ModelPoint, draw_models

    times = _times(subjects)
    points: list[ModelPoint] = []
    for subject, seconds in zip(subjects, times, strict=True):
        graph, score = _graph(subject), subject.report.score
        count = layers.count_parameters(graph)
        points.append(
            ModelPoint(
                *(_name(subject, subjects), count, len(graph)),
                *(score.accuracy, score.interval, seconds * 1e6),
            )
        )
    measured = min(TIMED, len(subjects[0].split))
    draw_models(points, path, note=f"median of {ROUNDS} rounds in turns, {measured:,} tiles each")


INSIDE: dict[str, Callable[[Sequence[TrainedModel], Path, int], None]] = {
    "filters": filters,
    "maps": maps,
    "saliency": saliency,
    "features": features,
    "models": models,
}
"""By name, what draws a figure of these subjects, to this file, of the tile with this index.

Raise a DigitlensError that says why where the figure cannot be made.
"""


def _graph(subject: TrainedModel) -> bytes:
    from digitlens.models.bundle import load_bundle

    return load_bundle(subject.model).graph


def _tile(subject: TrainedModel, index: int) -> Tile:
    count = len(subject.split)
    if not 0 <= index < count:
        raise DataError(
            f"expected the index of a tile from 0 to {count - 1:,}, of {subject.data_name}, "
            f"found {index}"
        )
    return subject.split.tiles[index]


def _covered(subject: TrainedModel, asked: _Question) -> dict[str, Map]:
    """Maps by covering patches, with paper and with ink."""
    from digitlens.explain.occlusion import occlude

    ask, (tile, _, value, other) = subject.classifier.predict_proba, asked
    return {
        "ink that counts": occlude(ask, tile, value),
        "paper that counts": occlude(ask, tile, value, ink=255),
        f"ink, {value} rather than {other}": occlude(ask, tile, value, against=other),
    }


def _traced(subject: TrainedModel, asked: _Question) -> dict[str, Map]:
    """The map by gradients; none, and a line that says why, where the network cannot be opened."""
    try:
        with needs_extra("train"):
            from digitlens.explain.gradients import integrate_gradients
            from digitlens.training.export import load_network
        network = load_network(subject.bundle)
    except (MissingExtraError, ModelError) as error:
        note(f"saliency without the map by gradients: {error}")
        return {}
    return {"ink, by gradients": integrate_gradients(network, asked.tile, asked.value)}


def _times(subjects: Sequence[TrainedModel]) -> list[float]:
    """Seconds a tile: medians of rounds in turns, so that a busy moment slows all alike."""
    from statistics import median

    tiles = subjects[0].split.tiles[:TIMED]
    found: list[list[float]] = [[] for _ in subjects]
    for round_ in range(ROUNDS + 1):  # the first prepares what later ones reuse
        for times, subject in zip(found, subjects, strict=True):
            start = perf_counter()
            subject.classifier.predict_proba(tiles)
            if round_:
                times.append((perf_counter() - start) / len(tiles))
    return [median(times) for times in found]


def _name(subject: TrainedModel, among: Sequence[TrainedModel]) -> str:
    """The model's name, or as it was given where others have the same."""
    names = [each.name for each in among]
    return subject.name if names.count(subject.name) == 1 else str(subject.model)
