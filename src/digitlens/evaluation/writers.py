"""Errors by the people who wrote the digits; knows labels and numbers of writers, not tiles.

Digits of one hand are alike, so that they are read rightly or wrongly together: the number of
writers, not that of tiles, says how sure an accuracy is.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from digitlens.evaluation.metrics import Labels, wilson_interval
from digitlens.evaluation.report import rounded

SERIES = {0: "census staff", 4: "high-school students"}  # of NIST's forms that MNIST is from
DRAWS = 10_000  # of the bootstrap
TAILS = (0.025, 0.975)  # of an interval of 95 %

_Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SeriesErrors:
    """Errors on the digits of one series of forms.

    Attributes:
        series: Its number in NIST's Special Database 19.
        name: Who wrote it.
        writers: How many people.
        n: Tiles.
        errors: Wrong predictions.
        rate: Share that is wrong, 0 to 1.
        interval: Its Wilson interval of 95 %.
    """

    series: int
    name: str
    writers: int
    n: int
    errors: int
    rate: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class WriterErrors:
    """Errors on the digits of one person: NIST's number, series, tiles and wrong predictions."""

    writer: int
    series: int
    n: int
    errors: int


@dataclass(frozen=True, slots=True)
class ErrorsByWriter:
    """Errors by writer and by series of forms.

    Attributes:
        n: Tiles.
        errors: Wrong predictions.
        accuracy: Share that is right, 0 to 1.
        wilson: Interval of 95 % of the accuracy if tiles were independent.
        clustered: The same if only writers are independent; see ``errors_by_writer``.
        writers: How many people wrote them.
        flawless: Share of these of whom every tile was read rightly.
        series: Errors by series of forms.
        worst: The writers with the most errors, most first.
    """

    n: int
    errors: int
    accuracy: float
    wilson: tuple[float, float]
    clustered: tuple[float, float]
    writers: int
    flawless: float
    series: tuple[SeriesErrors, ...]
    worst: tuple[WriterErrors, ...]

    def as_dict(self) -> dict[str, Any]:
        """The tables as JSON-ready values."""
        return rounded(asdict(self))


@dataclass(frozen=True, eq=False, slots=True)
class _Table:
    """One row a writer: int64[W] each."""

    writer: _Counts
    series: _Counts
    n: _Counts
    errors: _Counts


def errors_by_writer(
    labels: Labels,
    predicted: Labels,
    writers: Labels,
    series: Labels,
    *,
    most: int = 10,
    seed: int = 0,
) -> ErrorsByWriter:
    """Counts errors by writer and by series, with an interval that knows of writers.

    The interval is of a bootstrap of whole writers: in each draw, each series has as many writers
    as it has, chosen with replacement; the interval holds the middle 95 % of 10,000 accuracies.
    Source: A. C. Davison and D. V. Hinkley, "Bootstrap methods and their application", 1997,
    chapter 3 (several samples, hierarchical data).

    Args:
        labels: int[N], N >= 1; the truth.
        predicted: int[N].
        writers: int[N], who wrote each; a writer belongs to one series.
        series: int[N], the series of forms it is from.
        most: At most so many writers are listed, none without an error.
        seed: Of the bootstrap.

    Raises:
        ValueError: The arrays are empty or of different lengths.
    """
    shapes = {array.shape for array in (labels, predicted, writers, series)}
    if shapes != {(len(labels),)} or not len(labels):
        raise ValueError(f"expected four arrays of one shape [N] with N >= 1, found {shapes}")
    table = _tabulate(labels != predicted, writers, series)
    n, errors = len(labels), int(table.errors.sum())
    return ErrorsByWriter(
        n=n,
        errors=errors,
        accuracy=1 - errors / n,
        wilson=wilson_interval(n - errors, n),
        clustered=_clustered(table, seed),
        writers=len(table.writer),
        flawless=float((table.errors == 0).mean()),
        series=tuple(_series(table, one) for one in np.unique(table.series).tolist()),
        worst=_worst(table, most),
    )


def _tabulate(wrong: npt.NDArray[np.bool_], writers: Labels, series: Labels) -> _Table:
    pairs = np.stack([writers, series], axis=1).astype(np.int64)
    names, rows, counts = np.unique(pairs, axis=0, return_inverse=True, return_counts=True)
    errors = np.bincount(rows.ravel(), weights=wrong, minlength=len(names)).astype(np.int64)
    return _Table(names[:, 0], names[:, 1], counts.astype(np.int64), errors)


def _series(table: _Table, one: int) -> SeriesErrors:
    chosen = table.series == one
    n, errors = int(table.n[chosen].sum()), int(table.errors[chosen].sum())
    return SeriesErrors(
        one,
        SERIES.get(one, f"series {one}"),
        int(chosen.sum()),
        n,
        errors,
        errors / n,
        wilson_interval(errors, n),
    )


def _worst(table: _Table, most: int) -> tuple[WriterErrors, ...]:
    order = np.argsort(-table.errors, kind="stable")[:most]
    rows = np.stack([table.writer, table.series, table.n, table.errors], axis=1)[order]
    return tuple(WriterErrors(*row) for row in rows.tolist() if row[3])


def _clustered(table: _Table, seed: int) -> tuple[float, float]:
    random = np.random.default_rng(seed)
    tiles, errors = np.zeros(DRAWS), np.zeros(DRAWS)
    for one in np.unique(table.series):
        chosen = table.series == one
        size = int(chosen.sum())
        times = random.multinomial(size, np.full(size, 1 / size), DRAWS)  # each writer was drawn
        tiles += times @ table.n[chosen]
        errors += times @ table.errors[chosen]
    low, high = np.quantile(1 - errors / tiles, TAILS)
    return float(low), float(high)
