"""What ``digitlens report`` measures beside the scores: neighbours, worse tiles, speed, machine."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

from digitlens.progress import work_bar

if TYPE_CHECKING:
    from digitlens.datasets.mnist import Split
    from digitlens.evaluation.robustness import Robustness
    from digitlens.evaluation.speed import Speed
    from digitlens.explain.trained_model import TrainedModel
    from digitlens.visualization.report.contents import Neighbours

CPUINFO = Path("/proc/cpuinfo")
NEAREST = 5
WORSE = 1000  # tiles under each corruption: an accuracy of 90 % is then known to two per cent
SWEPT = 500  # tiles at each point of a sweep


def near_errors(subject: TrainedModel) -> tuple[Neighbours | None, str]:
    """The training digits nearest to the errors that are shown, or why there are none."""
    import numpy as np

    from digitlens.explain.neighbours import find_nearest
    from digitlens.visualization.report.contents import Neighbours
    from digitlens.visualization.report.mistakes import shown_errors

    chosen = shown_errors(subject.report)
    if not len(chosen):
        return None, ""
    features = subject.classifier.outputs(subject.split.tiles[chosen]).features
    if features is None:
        return None, _alone(subject)
    known = subject.known
    found = find_nearest(features, np.asarray(known.features), min(NEAREST, len(known.tiles)))
    tiles, labels = known.tiles[found.indices], known.labels[found.indices]
    return Neighbours(tiles, labels, found.distances, len(known.tiles)), ""


def under_strain(subject: TrainedModel) -> tuple[Robustness, Split]:
    """Robustness on some of the tiles, taken evenly from all, and these tiles."""
    from digitlens.evaluation.report import evaluate
    from digitlens.evaluation.robustness import measure_robustness, tiles_asked

    split, predict = subject.split, subject.classifier.predict_proba
    some = split.evenly(WORSE)
    clean = evaluate(predict, some, model=subject.report.model, data_name=subject.data_name)
    with work_bar() as bar:
        task = bar.add_task("corrupting", total=tiles_asked(len(some), SWEPT))
        found = measure_robustness(
            predict,
            some,
            clean,
            recipe=subject.card.recipe or None,
            curve_tiles=SWEPT,
            on_progress=lambda n: bar.advance(task, n),
        )
    return found, some


def measured_speed(subject: TrainedModel) -> Speed:
    """How fast the model answers on this machine, now."""
    from digitlens.evaluation.speed import measure_speed, tiles_timed

    tiles = subject.split.tiles
    with work_bar() as bar:
        task = bar.add_task("timing", total=tiles_timed(len(tiles)))
        return measure_speed(
            subject.classifier.predict_proba, tiles, on_progress=lambda n: bar.advance(task, n)
        )


def machine(cpuinfo: Path = CPUINFO) -> str:
    """Processor, cores and system of this machine, in words; argument as for ``processor``."""
    cores = os.cpu_count() or 1
    system = f"{platform.system()}, Python {platform.python_version()}"
    name = processor(cpuinfo) or platform.machine()
    return f"{name}, {cores} {'core' if cores == 1 else 'cores'}, {system}"


def processor(cpuinfo: Path = CPUINFO) -> str:
    """Name of the processor; perhaps empty.

    Args:
        cpuinfo: Where Linux names it, which ``platform.processor`` does not.
    """
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def _alone(subject: TrainedModel) -> str:
    """Why a model has no features to compare by."""
    recipe = subject.card.recipe
    if recipe.get("members", 1) > 1 or recipe.get("views", 1) > 1:
        return (
            "This model averages several answers, which have no features in common: it cannot "
            "say which training digits look alike to it."
        )
    return "The graph of this model gives no features by which training digits could be compared."
