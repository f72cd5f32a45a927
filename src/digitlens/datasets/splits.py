"""Splits training tiles into some to train with and some to validate with, the same for one seed.

A random split puts tiles of the same writer on both sides, so that validation rewards knowing their
handwriting; a split by writer measures what matters, people never seen before.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from digitlens import files
from digitlens.datasets.mnist import Split
from digitlens.datasets.mnist_sources import FILES, encode_idx

WRITERS = Path(__file__).with_name("mnist_writers.npz")

Indices = npt.NDArray[np.int64]


class Indexed(NamedTuple):
    """Row numbers for the two sides, each ascending; together every row once."""

    train: Indices
    validation: Indices


class Writers(NamedTuple):
    """The writer of each tile, in the order of the MNIST files.

    From the label tables of QMNIST (C. Yadav and L. Bottou, "Cold Case: The Lost MNIST Digits",
    NeurIPS 2019; BSD licence), which traced MNIST back to the NIST forms. The 297 writers of the
    test tiles are none of the 539 of the training tiles.

    Attributes:
        train_writer: uint16[60000], NIST's number of the writer.
        train_series: uint8[60000], 0 for staff of the census bureau, 4 for high-school students.
        test_writer: uint16[10000].
        test_series: uint8[10000].
    """

    train_writer: npt.NDArray[np.uint16]
    train_series: npt.NDArray[np.uint8]
    test_writer: npt.NDArray[np.uint16]
    test_series: npt.NDArray[np.uint8]


def split_validation(
    train: Split,
    how: Literal["writer", "random"] = "writer",
    *,
    fraction: float = 0.1,
    seed: int = 0,
) -> tuple[Split, Split]:
    """The training tiles as (tiles to train with, tiles to validate with).

    Args:
        train: For ``writer``, the training split of MNIST, whole and in its order.
        how: ``writer`` leaves no writer on both sides; ``random`` keeps the share of each digit.
        fraction: Share to validate with, above 0 and below 1.
        seed: Another one gives another split.

    Raises:
        ValueError: ``how`` is something else, or the rows are not those whose writers are known.
    """
    if how == "random":
        parts = stratified_split(train.labels, fraction, seed)
    elif how == "writer":
        _check_is_mnist(train)
        writers = load_writers()
        parts = writer_split(writers.train_writer, writers.train_series, fraction, seed)
    else:
        raise ValueError(f"expected 'writer' or 'random', found {how!r}")
    return train.take(parts.train), train.take(parts.validation)


def stratified_split(labels: npt.NDArray[Any], fraction: float, seed: int) -> Indexed:
    """A random split that takes the same share, above 0 and below 1, of each of [N] labels."""
    _check_fraction(fraction)
    random = np.random.default_rng(seed)
    chosen = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == label))
        chosen[rows[: round(fraction * len(rows))]] = True
    return Indexed(np.flatnonzero(~chosen), np.flatnonzero(chosen))


def writer_split(
    writers: npt.NDArray[Any], series: npt.NDArray[Any], fraction: float, seed: int
) -> Indexed:
    """A random split by writer that takes the same share of each series of forms.

    Args:
        writers: [N], the writer of each tile.
        series: [N], which series of forms it is from; a writer belongs to one.
        fraction: Share of tiles to validate with, above 0 and below 1. Writers are whole, so that
            each series misses it by at most half a writer.
        seed: Another one gives another split.
    """
    _check_fraction(fraction)
    random = np.random.default_rng(seed)
    chosen = np.zeros(len(writers), bool)
    for one in np.unique(series):
        names, counts = np.unique(writers[series == one], return_counts=True)
        order = random.permutation(len(names))
        # How many writers, in this order, come nearest to the share of tiles.
        totals = np.concatenate([[0], counts[order].cumsum()])
        some = np.abs(totals - fraction * totals[-1]).argmin()
        chosen |= (series == one) & np.isin(writers, names[order[:some]])
    return Indexed(np.flatnonzero(~chosen), np.flatnonzero(chosen))


@cache
def load_writers() -> Writers:
    """The table of writers that comes with digitlens."""
    with np.load(WRITERS, allow_pickle=False) as table:
        return Writers(**{name: table[name] for name in Writers._fields})


def _check_fraction(fraction: float) -> None:
    if not 0 < fraction < 1:
        raise ValueError(f"expected a fraction above 0 and below 1, found {fraction}")


def _check_is_mnist(train: Split) -> None:
    expected = next(file.sha256 for file in FILES if file.key == "y_train")
    if files.sha256(encode_idx(train.labels)) != expected:
        raise ValueError(
            f"the writers are known for the 60,000 training tiles of MNIST in their order, "
            f"found {len(train):,} other rows: split these at random"
        )
