"""``digitlens evaluate --robustness``: the same tiles, made worse in many ways."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any

import typer

from digitlens.cli.parts import write_part
from digitlens.cli.tables import plain_table
from digitlens.progress import work_bar

if TYPE_CHECKING:
    from rich.table import Table

    from digitlens.datasets.mnist import Split
    from digitlens.evaluation.report import Report
    from digitlens.evaluation.robustness import Condition, Robustness
    from digitlens.models.classifier import Classifier
    from digitlens.models.onnx_external import ForeignClassifier

ROBUSTNESS = "robustness.json"

Robustly = Annotated[
    bool,
    typer.Option(
        "--robustness",
        help="Also under the fifteen corruptions of MNIST-C, and while shift, rotation, size, "
        "stroke width, contrast and polarity go beyond what is usual. Takes minutes.",
    ),
]


def robustness(
    classifier: Classifier | ForeignClassifier, split: Split, report: Report
) -> Robustness:
    """Measures a model on tiles that are made worse.

    Args:
        classifier: The model.
        split: The tiles, unchanged, and their labels.
        report: What was found on them.

    Raises:
        ModelError: The answers are not probabilities of ten digits.
    """
    from digitlens.evaluation.robustness import measure_robustness, tiles_asked
    from digitlens.models.classifier import Classifier

    recipe = classifier.card.recipe if isinstance(classifier, Classifier) else None
    with work_bar() as bar:
        task = bar.add_task("corrupting", total=tiles_asked(len(split)))
        return measure_robustness(
            classifier.predict_proba,
            split,
            report,
            recipe=recipe or None,
            on_progress=lambda n: bar.advance(task, n),
        )


def robustness_dict(found: Robustness) -> dict[str, Any]:
    """The results as JSON-ready values."""
    return {"robustness": found.as_dict()}


def robustness_tables(found: Robustness) -> list[Table]:
    """Accuracy and calibration under each corruption, and accuracy along each sweep."""
    return [_corruptions(found), *_sweeps(found)]


def write_robustness(found: Robustness, split: Split, folder: Path) -> list[str]:
    """Writes ``robustness.json`` and pictures, see ``write_part``; ``split`` as it was measured."""

    def draw() -> list[Path]:
        from digitlens.visualization.robustness import draw_robustness

        return draw_robustness(found, split, folder)

    return write_part(folder / ROBUSTNESS, found.as_dict(), draw)


def _corruptions(found: Robustness) -> Table:
    table = plain_table(
        "corruption", "accuracy", "95 % interval", "loss", "calib. error", "trained"
    )
    for row in (found.clean, *found.corruptions):
        table.add_row(row.name.replace("_", " "), *_numbers(row))
    table.add_row("mean", *_means(found.corruptions))
    if found.apart:
        table.add_row("mean of not trained", *_means(found.apart))
    return table


def _means(rows: Sequence[Condition]) -> tuple[str, ...]:
    accuracy = fmean(row.score.accuracy for row in rows)
    loss = fmean(row.uncertainty.nll for row in rows)
    error = fmean(row.uncertainty.ece for row in rows)
    return f"{accuracy:.2%}", "", f"{loss:.3f}", f"{error:.2%}"


def _numbers(row: Condition) -> tuple[str, ...]:
    low, high = row.score.interval
    known = {None: "?", True: "yes", False: "no"}[row.overlaps] if row.name != "clean" else ""
    loss, error = row.uncertainty.nll, row.uncertainty.ece
    interval = f"{low:.2%} to {high:.2%}"
    return f"{row.score.accuracy:.2%}", interval, f"{loss:.3f}", f"{error:.2%}", known


def _sweeps(found: Robustness) -> list[Table]:
    tables: list[Table] = []
    for curve in found.curves:
        table = plain_table(curve.axis, "accuracy", "95 % interval")
        for value, score in zip(curve.values, curve.scores, strict=True):
            low, high = score.interval
            table.add_row(f"{value:g}", f"{score.accuracy:.1%}", f"{low:.1%} to {high:.1%}")
        tables.append(table)
    return tables
