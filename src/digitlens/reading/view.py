"""A view: what was found on a page and read there, before it is judged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from digitlens.reading.fusion import Scores
from digitlens.reading.multiscale import Detections
from digitlens.reading.recognize import RecognizedLine


@dataclass(frozen=True)
class View:
    """What was found on a page and read there, before it is judged.

    Attributes:
        detections: Text lines and digits.
        lines: The lines that were read.
        scores: Of the N places that may hold a digit.
        tiles: uint8[N, 28, 28]; each place as the classifier saw it.
        probabilities: float32[N, 10]; which digit, by all networks.
        confidence: float32[N]; that there is this digit, calibrated.
        existence: float32[N]; that there is a digit at all.
    """

    detections: Detections
    lines: list[RecognizedLine]
    scores: Scores
    tiles: npt.NDArray[np.uint8]
    probabilities: npt.NDArray[np.float32]
    confidence: npt.NDArray[np.float32]
    existence: npt.NDArray[np.float32]
