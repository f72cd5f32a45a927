"""Everything a classifier's graph can say of tiles; knows no model and no data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Outputs:
    """What a classifier says of N tiles; None where its graph does not say it.

    Attributes:
        probabilities: float32[N, 10]; rows sum to 1.
        energy: float32[N]; minus the log-sum-exp of the ten logits, lower for what looks like a
            digit. W. Liu et al., "Energy-based out-of-distribution detection", NeurIPS 2020.
        features: float32[N, D]; what the last dense layer is given.
        digit: float32[N]; probability that the tile is a digit at all, of networks that were
            trained with tiles of no digit.
    """

    probabilities: Floats
    energy: Floats | None = None
    features: Floats | None = None
    digit: Floats | None = None


OutputsOf = Callable[[npt.NDArray[np.uint8]], Outputs]
"""Tiles uint8[N, 28, 28] to what a classifier says of them."""
