"""Known digits that look most alike to a network; knows features, no model.

Alike are features that point the same way: all are scaled to length 1, as in Y. Sun et al.,
"Out-of-distribution detection with deep nearest neighbors", ICML 2022.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from digitlens.evaluation.metrics import Floats
from digitlens.evaluation.ood import unit_rows

_CHUNK = 500  # rows compared at once: 120 MB of similarities to 60,000 known digits


@dataclass(frozen=True, eq=False)
class Nearest:
    """The nearest known digits of N tiles, nearest first.

    Attributes:
        indices: int64[N, k]; of the known digits.
        distances: float32[N, k]; Euclidean, between features of length 1: from 0 to 2.
    """

    indices: npt.NDArray[np.int64]
    distances: npt.NDArray[np.float32]


def nearest(features: Floats, known: Floats, k: int) -> Nearest:
    """The k known digits whose features are nearest.

    Args:
        features: float[N, D]; what the last dense layer is given.
        known: float[M, D], likewise.
        k: How many, 1 to M.

    Raises:
        ValueError: The widths differ, or there are fewer than k known.
    """
    if features.ndim != 2 or known.ndim != 2 or features.shape[1] != known.shape[1]:
        raise ValueError(
            "expected features of [N, D] and known ones of [M, D], found "
            f"{list(features.shape)} and {list(known.shape)}"
        )
    if not 1 <= k <= len(known):
        raise ValueError(f"expected k from 1 to {len(known)}, found {k}")
    wanted, against = unit_rows(features), np.asarray(known, np.float32)
    # Scaled as products, not as rows: those of 54,000 digits are 190 MB.
    lengths = np.maximum(np.sqrt(np.einsum("ij,ij->i", against, against)), np.float32(1e-12))
    indices = np.empty((len(features), k), np.int64)
    distances = np.empty((len(features), k), np.float32)
    for start in range(0, len(features), _CHUNK):
        rows = slice(start, start + _CHUNK)
        likeness = wanted[rows] @ against.T / lengths
        first = np.argpartition(-likeness, k - 1, axis=1)[:, :k]
        first.sort(axis=1)  # of equals, the first
        found = np.take_along_axis(likeness, first, axis=1)
        order = np.argsort(-found, axis=1, kind="stable")
        indices[rows] = np.take_along_axis(first, order, axis=1)
        likest = np.take_along_axis(found, order, axis=1)
        distances[rows] = np.sqrt(np.maximum(2 - 2 * likest, 0))
    return Nearest(indices, distances)


def nearest_of(features: Floats, known: Floats, chosen: npt.NDArray[np.bool_], k: int) -> Nearest:
    """The nearest of some of the known digits, such as those of one value.

    Args:
        features: float[N, D].
        known: float[M, D].
        chosen: bool[M]; which of the known ones are compared.
        k: How many, as far as there are so many.

    Returns:
        Of all known digits the indices; fewer than k columns where fewer are chosen.

    Raises:
        ValueError: As ``nearest``; also where none is chosen.
    """
    places = np.flatnonzero(chosen)
    found = nearest(features, known[places], min(k, max(1, len(places))))
    return Nearest(places[found.indices], found.distances)


def share_nearer(distances: Floats, usual: Floats) -> npt.NDArray[np.float64]:
    """Which share of usual distances is smaller than each of some others.

    Args:
        distances: float[N].
        usual: float[V], ascending; at least one.

    Returns:
        float64[N]; 0.99 where a tile is farther from all known digits than 99 % of usual ones.
    """
    if not len(usual):
        raise ValueError("expected at least one usual distance, found none")
    return np.searchsorted(usual, distances, side="left") / len(usual)
