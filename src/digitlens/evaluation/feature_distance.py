"""How far the features of a tile are from those of known digits; knows no model.

Both distances take what the last dense layer is given. Sources: K. Lee et al., "A simple unified
framework for detecting out-of-distribution samples and adversarial attacks", NeurIPS 2018 (class
means with one covariance); Y. Sun et al., "Out-of-distribution detection with deep nearest
neighbors", ICML 2022 (the k-th nearest of the known features, all of unit length).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from digitlens.evaluation.metrics import CLASSES, Floats, Labels

_CHUNK = 1000  # tiles compared at once
_SHRINKAGE = 1e-3  # of the covariance towards a ball: features that never vary have no inverse


@dataclass(frozen=True, eq=False)
class ClassMeans:
    """Mahalanobis distance to the nearest mean of a digit.

    Attributes:
        whitening: float64[D, D]; gives features the unit matrix as covariance.
        means: float64[10, D]; of the whitened features of each digit.
    """

    whitening: npt.NDArray[np.float64]
    means: npt.NDArray[np.float64]

    def __call__(self, features: Floats) -> npt.NDArray[np.float64]:
        """float64[N]: the distance of each row of features, float[N, D]."""
        _check_width(features, self.means.shape[1])
        white = features.astype(np.float64) @ self.whitening
        return np.sqrt(_squares(white, self.means).min(axis=1))


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Euclidean distance to the k-th nearest of known features, all scaled to length 1.

    Attributes:
        known: float32[M, D]; each row of length 1.
        k: 1 to M.
    """

    known: npt.NDArray[np.float32]
    k: int

    def __call__(self, features: Floats) -> npt.NDArray[np.float64]:
        """float64[N]: the distance of each row of features, float[N, D]."""
        _check_width(features, self.known.shape[1])
        parts = np.split(unit_rows(features), range(_CHUNK, len(features), _CHUNK))
        return np.concatenate([self._distances(part) for part in parts])

    def _distances(self, unit: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        squares = np.partition(2 - 2 * (unit @ self.known.T), self.k - 1, axis=1)[:, self.k - 1]
        return np.sqrt(np.maximum(squares, 0), dtype=np.float64)


def fit_class_means(features: Floats, labels: Labels) -> ClassMeans:
    """Means of each digit and the covariance that all share.

    Args:
        features: float[N, D] of known digits.
        labels: int[N], each of 0 to 9 among them.

    Raises:
        ValueError: A digit is missing, or there are not as many of both.
    """
    _check_labels(features, labels)
    x = features.astype(np.float64)
    means = np.stack([x[labels == digit].mean(axis=0) for digit in range(CLASSES)])
    within = x - means[labels]
    covariance = within.T @ within / len(x)
    size = covariance.shape[0]
    covariance += _SHRINKAGE * (np.trace(covariance) / size + 1e-12) * np.eye(size)
    whitening = np.linalg.inv(np.linalg.cholesky(covariance)).T
    return ClassMeans(whitening, means @ whitening)


def fit_neighbours(features: Floats, k: int) -> Neighbours:
    """Keeps the features of known digits.

    Args:
        features: float[M, D].
        k: Which neighbour, 1 to M.

    Raises:
        ValueError: There are fewer than k.
    """
    if not 1 <= k <= len(features):
        raise ValueError(f"expected k from 1 to {len(features)}, found {k}")
    return Neighbours(unit_rows(features), k)


def unit_rows(features: Floats) -> npt.NDArray[np.float32]:
    """Features float[N, D] with each row scaled to length 1."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return (features / np.maximum(lengths, 1e-12)).astype(np.float32)


def _squares(white: npt.NDArray[np.float64], means: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    return np.stack([((white - mean) ** 2).sum(axis=1) for mean in means], axis=1)


def _check_width(features: Floats, width: int) -> None:
    if features.ndim != 2 or features.shape[1] != width:
        raise ValueError(f"expected features of [N, {width}], found {list(features.shape)}")


def _check_labels(features: Floats, labels: Labels) -> None:
    if features.ndim != 2 or len(features) != len(labels):
        raise ValueError(
            f"expected features [N, D] and N labels, found {list(features.shape)} and {len(labels)}"
        )
    if len(np.unique(labels)) != CLASSES:
        raise ValueError(f"expected all ten digits, found {np.unique(labels).tolist()}")
