"""Logistic regression: weighs several signs of being right into one probability."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from digitlens.evaluation.newton import Weights, most_likely

_RIDGE = 1e-3

Floats = npt.NDArray[np.floating]


def fit_logistic(features: Floats, right: npt.NDArray[np.bool_]) -> tuple[float, ...]:
    """The weights with the highest likelihood, by Newton's method.

    Args:
        features: float[N, D].
        right: bool[N].

    Returns:
        The constant, then a weight for each feature.

    Raises:
        ValueError: The shapes do not go together, or all answers are right or all wrong.
    """
    if features.ndim != 2 or len(features) != len(right):
        raise ValueError(
            f"expected features [N, D] and N answers, found {list(features.shape)} and {len(right)}"
        )
    if right.all() or not right.any():
        raise ValueError("expected right and wrong answers, found only one of both")
    x = np.hstack([np.ones((len(features), 1)), features.astype(np.float64)])

    def derivatives(weights: Weights) -> tuple[Weights, Weights]:
        chance = logistic(weights, features)
        return x.T @ (right - chance), (x * (chance * (1 - chance))[:, None]).T @ x

    return most_likely(derivatives, x.shape[1], _RIDGE)


def logistic(weights: Floats | tuple[float, ...], features: Floats) -> npt.NDArray[np.float64]:
    """float64[N]: the probability that each is right.

    Args:
        weights: The constant, then D weights.
        features: float[N, D].
    """
    constant, *slopes = weights
    logits = constant + features.astype(np.float64) @ np.asarray(slopes, np.float64)
    return 1 / (1 + np.exp(-np.clip(logits, -40, 40)))
