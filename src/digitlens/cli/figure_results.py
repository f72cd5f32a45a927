"""Figures of how a model was trained and what it was found to do, each from subjects to a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from digitlens.errors import DataError, ModelError
from digitlens.progress import note

if TYPE_CHECKING:
    from digitlens.evaluation.robustness import Robustness
    from digitlens.explain.trained_model import TrainedModel

Draw = Callable[[Sequence["TrainedModel"], Path, int], None]
"""Draws one figure: of these subjects, to this file, of the tile with this index if it needs one.

Raises a DigitlensError that says why where the figure cannot be made.
"""

SAMPLE = 1000  # tiles that robustness is shown on; all 10,000 take some minutes


def _curves(subjects: Sequence[TrainedModel], path: Path, _: int) -> None:
    from digitlens.cli.curves import draw_history
    from digitlens.visualization.curves import draw_runs

    known = [subject for subject in subjects if subject.history]
    for subject in subjects:
        if subject not in known and known:
            note(f"curves: none of {label(subject)}, which has no history")
    if not known:
        raise ModelError(
            f"{label(subjects[0])} has no history: expected the run folder that `digitlens train` "
            "writes"
        )
    if len(known) > 1:
        draw_runs({_told_apart(one, known): one.history for one in _of_tiles(known)}, path)
    else:
        draw_history(known[0].history, path)


def _of_tiles(subjects: Sequence[TrainedModel]) -> Sequence[TrainedModel]:
    """They, if they can be drawn into the same axes."""
    from digitlens.visualization.style import MOST_LOOKS

    if any("epoch" not in one.history[0] for one in subjects):
        raise ModelError("a digit detector learns by steps and not epochs: draw its curves alone")
    if len(subjects) > MOST_LOOKS:
        raise ModelError(
            f"expected at most {MOST_LOOKS} runs, which can be told apart, found {len(subjects)}"
        )
    return subjects


def label(subject: TrainedModel) -> str:
    """What a subject is called before it is opened: its run folder, or else its model folder."""
    return (subject.run or subject.bundle).name


def _told_apart(subject: TrainedModel, among: Sequence[TrainedModel]) -> str:
    named = Counter(map(label, among))
    return label(subject) if named[label(subject)] == 1 else str(subject.model)


def _confusion(subjects: Sequence[TrainedModel], path: Path, _: int) -> None:
    from digitlens.visualization.confusion import draw_confusion

    draw_confusion(subjects[0].report, path)


def _classes(subjects: Sequence[TrainedModel], path: Path, _: int) -> None:
    from digitlens.visualization.classes import draw_classes

    draw_classes(subjects[0].report, path)


def _wrong(subjects: Sequence[TrainedModel], path: Path, _: int) -> None:
    from digitlens.visualization.predictions import draw_wrong

    draw_wrong(subjects[0].report, subjects[0].split.tiles, path)


def _correct(subjects: Sequence[TrainedModel], path: Path, _: int) -> None:
    from digitlens.visualization.predictions import draw_correct

    draw_correct(subjects[0].report, subjects[0].split.tiles, path)


def _extremes(subjects: Sequence[TrainedModel], path: Path, _: int) -> None:
    from digitlens.visualization.predictions import draw_extremes

    draw_extremes(subjects[0].report, subjects[0].split.tiles, path)


def _reliability(subjects: Sequence[TrainedModel], path: Path, _: int) -> None:
    from digitlens.visualization.reliability import draw_calibration

    draw_calibration(subjects[0].report, path)


def _coverage(subjects: Sequence[TrainedModel], path: Path, _: int) -> None:
    from digitlens.evaluation.metrics import answers
    from digitlens.visualization.coverage import draw_coverage

    report = subjects[0].report
    draw_coverage({report.data.name: answers(report.labels, report.probabilities)}, path)


def _robustness(subjects: Sequence[TrainedModel], path: Path, _: int) -> None:
    from digitlens.visualization.robustness import draw_sweeps

    draw_sweeps(_measured(subjects[0]), path)


def _corruptions(subjects: Sequence[TrainedModel], path: Path, _: int) -> None:
    from digitlens.visualization.robustness import draw_corruptions

    draw_corruptions(_measured(subjects[0]), path)


@lru_cache(maxsize=1)  # two figures show the same measurement
def _measured(subject: TrainedModel) -> Robustness:
    """How it fares on worse tiles, on ``SAMPLE`` of them, taken evenly."""
    from digitlens.cli.robustness import robustness
    from digitlens.explain.trained_model import evaluate_model

    if not len(subject.split):
        raise DataError("expected tiles to make worse, found none")
    some = subject.split.evenly(SAMPLE)
    name = f"{len(some):,} tiles of {subject.data_name}"
    return robustness(subject.classifier, some, evaluate_model(subject.classifier, some, name))


RESULTS: dict[str, Draw] = {
    "curves": _curves,
    "confusion": _confusion,
    "classes": _classes,
    "wrong": _wrong,
    "correct": _correct,
    "extremes": _extremes,
    "reliability": _reliability,
    "coverage": _coverage,
    "robustness": _robustness,
    "corruptions": _corruptions,
}
SLOW = ("robustness", "corruptions")
"""Made only where they are asked for."""
