"""Newton's method for weights whose likelihood has a single peak."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

_STEPS = 200
_LONGEST = 1.0  # of a step, in any weight

Weights = npt.NDArray[np.float64]
Derivatives = Callable[[Weights], tuple[Weights, Weights]]


def most_likely(derivatives: Derivatives, count: int, ridge: float) -> tuple[float, ...]:
    """The weights with the highest likelihood, from 0 on.

    Args:
        derivatives: From weights float64[D] to the slope float64[D] of the log-likelihood and its
            curvature float64[D, D], the negative of the second derivatives.
        count: D.
        ridge: Pulls weights to 0: where signs always agree there would be no unique ones.
    """
    weights, pull = np.zeros(count), ridge * np.eye(count)
    for _ in range(_STEPS):
        slope, curve = derivatives(weights)
        step = np.linalg.solve(curve + pull, slope - pull @ weights)
        # Far from the peak the curvature may vanish, and a full step would never come back.
        step *= min(1.0, _LONGEST / max(float(np.abs(step).max()), 1e-12))
        weights += step
        if float(np.abs(step).max()) < 1e-8:
            break
    return tuple(float(weight) for weight in weights)
