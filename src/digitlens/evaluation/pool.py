"""Opinion pool: weighs what several voters say of a value into one probability for each value.

The weighted geometric mean of their probabilities (Genest and Zidek, "Combining probability
distributions", Statistical Science 1986), with the weights under which the true values are most
likely: a conditional logit, whose likelihood has a single peak.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_RIDGE = 0.01  # pulls weights to 0, a little: voters that always agree would have no unique ones
_STEPS = 50

Floats = npt.NDArray[np.floating]


def fit_pool(logs: Floats, truth: npt.NDArray[np.integer]) -> tuple[float, ...]:
    """The weights with the highest likelihood, by Newton's method.

    Args:
        logs: float[N, K, D]; what each of D voters says of each of K values, as a logarithm.
        truth: int[N]; the value that is right, 0 to K - 1.

    Raises:
        ValueError: The shapes do not go together, or there is nothing to fit to.
    """
    if logs.ndim != 3 or len(logs) != len(truth) or not len(truth):
        raise ValueError(
            f"expected logarithms [N, K, D] and N values, found {list(logs.shape)} and {len(truth)}"
        )
    x = logs.astype(np.float64)
    rows, weights = np.arange(len(x)), np.zeros(x.shape[2])
    ridge = _RIDGE * np.eye(len(weights))
    for _ in range(_STEPS):
        chances = pooled(weights, x)
        mean = np.einsum("nk,nkd->nd", chances, x)
        slope = (x[rows, truth] - mean).sum(axis=0) - ridge @ weights
        curve = np.einsum("nk,nkd,nke->de", chances, x, x) - mean.T @ mean + ridge
        step = np.linalg.solve(curve, slope)
        weights += step
        if float(np.abs(step).max()) < 1e-8:
            break
    return tuple(float(weight) for weight in weights)


def pooled(weights: Floats | tuple[float, ...], logs: Floats) -> npt.NDArray[np.float64]:
    """float64[N, K]: probabilities of all voters; rows sum to 1.

    Args:
        weights: D of them.
        logs: float[N, K, D]; see ``fit_pool``.
    """
    sums = logs.astype(np.float64) @ np.asarray(weights, np.float64)
    chances = np.exp(sums - sums.max(axis=1, keepdims=True, initial=-np.inf))
    return chances / chances.sum(axis=1, keepdims=True)
