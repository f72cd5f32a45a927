"""Opinion pool: weighs what several voters say of a value into one probability for each value.

The weighted geometric mean of their probabilities (Genest and Zidek, "Combining probability
distributions", Statistical Science 1986), with the weights under which the true values are most
likely: a conditional logit, whose likelihood has a single peak.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from digitlens.evaluation.newton import Weights, most_likely

_RIDGE = 0.01

Floats = npt.NDArray[np.floating]


def fit_pool(
    logs: Floats, truth: npt.NDArray[np.integer], ridge: float = _RIDGE
) -> tuple[float, ...]:
    """The weights with the highest likelihood, by Newton's method.

    Args:
        logs: float[N, K, D]; what each of D voters says of each of K values, as a logarithm.
        truth: int[N]; the value that is right, 0 to K - 1.
        ridge: Pulls the weights to 0, against voters that nearly always agree.

    Raises:
        ValueError: The shapes do not go together, or there is nothing to fit to.
    """
    if logs.ndim != 3 or len(logs) != len(truth) or not len(truth):
        raise ValueError(
            f"expected logarithms [N, K, D] and N values, found {list(logs.shape)} and {len(truth)}"
        )
    x = logs.astype(np.float64)
    rows = np.arange(len(x))

    def derivatives(weights: Weights) -> tuple[Weights, Weights]:
        chances = pooled(weights, x)
        mean = np.einsum("nk,nkd->nd", chances, x)
        curve = np.einsum("nk,nkd,nke->de", chances, x, x) - mean.T @ mean
        return (x[rows, truth] - mean).sum(axis=0), curve

    return most_likely(derivatives, x.shape[2], ridge)


def pooled(weights: Floats | tuple[float, ...], logs: Floats) -> npt.NDArray[np.float64]:
    """float64[N, K]: probabilities of all voters; rows sum to 1.

    Args:
        weights: D of them.
        logs: float[N, K, D]; see ``fit_pool``.
    """
    sums = logs.astype(np.float64) @ np.asarray(weights, np.float64)
    chances = np.exp(sums - sums.max(axis=1, keepdims=True, initial=-np.inf))
    return chances / chances.sum(axis=1, keepdims=True)
