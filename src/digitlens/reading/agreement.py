"""Agreement: a digit is seen at more than one size; what only one look takes for a digit is not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from digitlens.evaluation.overlap import overlaps
from digitlens.reading.candidates import SAME, Candidates, Floats, trust

_ABLE = 0.55  # trust from which a look should have seen a digit of that height
_UNSEEN = 0.02  # score of what it did not see


class View(Protocol):
    """A look and the part of the page that it showed."""

    @property
    def region(self) -> tuple[int, int, int, int]: ...  # noqa: D102
    @property
    def scale(self) -> float: ...  # noqa: D102
    def candidates(self) -> Candidates: ...  # noqa: D102


def agreement(found: Candidates, views: Sequence[View]) -> Floats:
    """How far the looks that should have seen each candidate agree that a digit is there.

    Args:
        found: Candidates of all looks, without doubles.
        views: The looks.

    Returns:
        float32[N]; mean score of those looks, each counting as much as it is trusted; the
        candidate's own score where there is none.
    """
    total = np.zeros(len(found), np.float32)
    weight = np.zeros(len(found), np.float32)
    middle = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    half = (found.boxes[:, 2:] - found.boxes[:, :2]) / 4  # most of a digit has to be in the look
    heights = found.boxes[:, 3] - found.boxes[:, 1]
    for view in views:
        x0, y0, x1, y1 = view.region
        inside = (middle - half >= (x0, y0)).all(axis=1)
        inside &= (middle + half <= (x1, y1)).all(axis=1)
        able = np.minimum(1, trust(heights * view.scale))
        able[~inside | (able < _ABLE)] = 0
        seen = view.candidates()
        for index in np.flatnonzero(able):
            union, _ = overlaps(found.boxes[index], seen.boxes)
            total[index] += able[index] * seen.score[union > SAME].max(initial=_UNSEEN)
        weight += able
    return np.where(weight > 0, total / np.maximum(weight, 1e-6), found.score).astype(np.float32)
