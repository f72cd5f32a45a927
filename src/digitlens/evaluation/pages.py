"""How well digits are found and read on pages whose digits are known, and how sure that may be.

Is handed a function that finds digits, and pages; knows neither where they come from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from digitlens.evaluation.calibration import Calibration, fit_calibration
from digitlens.evaluation.overlap import overlaps
from digitlens.evaluation.risk import RiskCoverage, risk_coverage
from digitlens.evaluation.votes import Votes

OVERLAP = 0.4  # intersection over union from which a box is that of a digit
IGNORED = -1

Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]


class Known(Protocol):
    """A page with its digits: float32[N, 4] boxes, int8[N] values, -1 where none counts."""

    @property
    def pixels(self) -> npt.NDArray[np.uint8]: ...  # noqa: D102
    @property
    def boxes(self) -> Floats: ...  # noqa: D102
    @property
    def values(self) -> npt.NDArray[np.int8]: ...  # noqa: D102


@dataclass(frozen=True)
class Finds:
    """Everything found on many pages.

    Attributes:
        votes: On the finds of each page.
        truth: int8[N]; the digit that each find of all pages is, -1 for none.
        total: Digits on the pages.
    """

    votes: list[Votes]
    truth: npt.NDArray[np.int8]
    total: int


def collect(find: Callable[[npt.NDArray[np.uint8]], Votes | None], pages: Iterable[Known]) -> Finds:
    """Finds digits on pages and compares them with what is there.

    Each digit is given to the surest find that overlaps it; finds on digits that do not count are
    left out, and so are pages of which nothing is said.
    """
    votes: list[Votes] = []
    truths: list[npt.NDArray[np.int8]] = []
    total = 0
    for page in pages:
        found = find(page.pixels)
        if found is None:
            continue
        truth, counts = _truth(found, page)
        votes.append(found[counts])
        truths.append(truth[counts])
        total += int((page.values != IGNORED).sum())
    return Finds(votes, np.concatenate([np.zeros(0, np.int8), *truths]), total)


def calibrated(
    fits: tuple[Floats, Flags], measures: tuple[Floats, Flags], total: int
) -> tuple[Calibration, RiskCoverage]:
    """Calibration from some pages, and with it the risk-coverage curve of others.

    Args:
        fits: float32[N] raw confidences and bool[N], which answers are right.
        measures: Likewise, of other pages.
        total: Digits on those.
    """
    calibration = fit_calibration(*fits)
    raw, right = measures
    return calibration, risk_coverage(calibration.apply(raw), right, total)


def summary(finds: Finds, confidence: Floats, right: Flags) -> dict[str, Any]:
    """Recall, precision and accuracy at a confidence of one half, and how right 99 % is.

    Args:
        finds: On pages that nothing was fitted with.
        confidence: float32[N]; calibrated.
        right: bool[N]; which of them are right.
    """
    stated, sure = confidence >= 0.5, confidence >= 0.99
    return {
        "pages": len(finds.votes),
        "digits": finds.total,
        "recall": float((right & stated).sum() / max(1, finds.total)),
        "precision": float(right[stated].mean()) if stated.any() else None,
        "value_accuracy": float(right[finds.truth >= 0].mean()),
        "false_finds_per_page": float((stated & (finds.truth < 0)).sum() / len(finds.votes)),
        "stated_99": int(sure.sum()),
        "right_99": float(right[sure].mean()) if sure.any() else None,
    }


def _truth(found: Votes, page: Known) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.bool_]]:
    truth = np.full(len(found), -1, np.int8)
    counts = np.ones(len(truth), bool)
    if not len(page.boxes):
        return truth, counts
    taken = np.zeros(len(page.boxes), bool)
    for index in np.argsort(-found.existence, kind="stable"):
        union, _ = overlaps(found.boxes[index], page.boxes)
        free = np.where(taken, 0, union)
        best = int(free.argmax())
        if free[best] >= OVERLAP:
            truth[index] = page.values[best]
            counts[index] = page.values[best] != IGNORED
            taken[best] = page.values[best] != IGNORED
    return truth, counts
