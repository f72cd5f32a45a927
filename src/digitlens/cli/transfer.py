"""``digitlens evaluate --on``: digits of other data sets, which the model was not trained on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from digitlens.cli.parts import write_part
from digitlens.cli.tables import plain_table
from digitlens.progress import work_bar

if TYPE_CHECKING:
    from rich.table import Table

    from digitlens.datasets.external.digit_sets import ExternalDigits
    from digitlens.evaluation.report import Transfer
    from digitlens.models.classifier import Classifier
    from digitlens.models.onnx_external import ForeignClassifier

TRANSFER = "transfer.json"
WORST = 5  # confusions in the table

On = Annotated[
    list[str] | None,
    typer.Option(
        "--on",
        metavar="NAME[=FILE]",
        help="Another data set of digits, on which nothing was trained; may be repeated. `digits` "
        "comes with scikit-learn; `usps`, `semeion`, `emnist`, `svhn` and `ardis` are given with "
        "the file that their authors publish, or its folder: `usps=usps.t.bz2`.",
    ),
]


class Measured(NamedTuple):
    """What a model makes of a data set, and its tiles."""

    transfer: Transfer
    data: ExternalDigits


def transfer(classifier: Classifier | ForeignClassifier, texts: Sequence[str]) -> list[Measured]:
    """Scores a model on other data sets, in the order of their names.

    Args:
        classifier: The model.
        texts: ``NAME`` or ``NAME=FILE`` each.

    Raises:
        DataError: A data set is unknown, missing, damaged or something else.
        MissingExtraError: A package it comes with is not installed.
        ModelError: The answers are not probabilities of ten digits.
    """
    from digitlens.datasets.external.digit_sets import load_external

    return [_measure(classifier, load_external(text)) for text in texts]


def transfer_dict(measured: Sequence[Measured]) -> dict[str, Any]:
    """The results as JSON-ready values."""
    return {"transfer": [one.transfer.as_dict() for one in measured]}


def transfer_tables(measured: Sequence[Measured]) -> list[Table]:
    """The accuracies by data set, and the share of each digit that is read rightly."""
    return [_scores(measured), _recalls(measured)]


def write_transfer(measured: Sequence[Measured], folder: Path) -> list[str]:
    """Writes ``transfer.json`` and what was read wrongly of each data set, see ``write_part``."""
    return write_part(folder / TRANSFER, transfer_dict(measured), partial(_draw, measured, folder))


def _measure(classifier: Classifier | ForeignClassifier, data: ExternalDigits) -> Measured:
    from digitlens.evaluation.report import ModelInfo, measure_transfer

    info = ModelInfo(classifier.name, classifier.sha256, classifier.given)
    with work_bar() as bar:
        task = bar.add_task(data.title, total=2 * len(data.framed))
        result = measure_transfer(
            classifier.predict_proba,
            data,
            model=info,
            on_progress=lambda n: bar.advance(task, n),
        )
    return Measured(result, data)


def _draw(measured: Sequence[Measured], folder: Path) -> list[Path]:
    from digitlens.visualization.predictions import draw_wrong

    paths = [folder / name for name in _picture_names([one.transfer.name for one in measured])]
    for one, path in zip(measured, paths, strict=True):
        draw_wrong(one.transfer.framed, one.data.framed.tiles, path)
    return paths


def _picture_names(data_sets: Sequence[str]) -> list[str]:
    """One a data set; two files of one data set are told apart by a number."""
    seen: Counter[str] = Counter()
    names: list[str] = []
    for name in data_sets:
        seen[name] += 1
        names.append(f"wrong-{name}{f'-{seen[name]}' if seen[name] > 1 else ''}.png")
    return names


def _scores(measured: Sequence[Measured]) -> Table:
    table = plain_table("data", "tiles", "framed", "95 % interval", "unframed", "95 % interval")
    table.add_column("most confused", header_style="dim")
    for one in measured:
        framed, unframed = one.transfer.framed, one.transfer.unframed
        pairs = framed.confused_pairs[:WORST]
        table.add_row(
            one.transfer.title,
            f"{framed.n:,}",
            *_share(framed.accuracy, framed.interval),
            *_share(unframed.accuracy, unframed.interval),
            ", ".join(f"{pair.truth} as {pair.predicted} ({pair.count})" for pair in pairs),
        )
    return table


def _share(accuracy: float, interval: tuple[float, float]) -> tuple[str, str]:
    return f"{accuracy:.2%}", f"{interval[0]:.2%} to {interval[1]:.2%}"


def _recalls(measured: Sequence[Measured]) -> Table:
    table = plain_table("recall, framed", *(str(digit) for digit in range(10)))
    for one in measured:
        rows = one.transfer.framed.classes
        cells = (f"{row.recall:.1%}" if row.support else "-" for row in rows)
        table.add_row(one.transfer.title, *cells)
    return table
