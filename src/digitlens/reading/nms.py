"""Non-maximum suppression: fuses boxes from several scales into one candidate per position."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from typing import Self

Floats = npt.NDArray[np.float32]

_MAX_IOU = 0.4  # IoU above which two boxes are the same digit
_MAX_CONTAINMENT = 0.75  # fraction of the smaller box inside the larger above which it is its part
_MIN_HEIGHT, _MAX_HEIGHT = 24.0, 120.0  # pixels in a copy: best range of digit heights
_MIN_WEIGHT = 0.3  # minimum of scale_weight


class Columns:
    """Base of frozen dataclasses whose fields, arrays or columns, all have N rows."""

    def __len__(self) -> int:
        return len(next(iter(vars(self).values())))

    def __getitem__(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Self:
        return type(self)(*(column[chosen] for column in vars(self).values()))

    @classmethod
    def joined(cls, parts: Iterable[Self]) -> Self:
        """Concatenates the rows of several instances."""
        columns = zip(*(vars(part).values() for part in parts), strict=True)
        return cls(*map(_concatenate, columns))


@dataclass(frozen=True)
class Candidates(Columns):
    """Positions that may hold a digit."""

    score: Floats  # float32[N]; confidence that there is a digit, 0..1
    probabilities: Floats  # float32[N, 10]; which digit
    boxes: Floats  # float32[N, 4]; x0, y0, x1, y1 in page pixels
    seen: Floats  # float32[N]; height in pixels of the copy that showed it best


def _concatenate(parts: tuple[Any, ...]) -> Any:
    is_nested = isinstance(parts[0], Columns)
    return type(parts[0]).joined(parts) if is_nested else np.concatenate(parts)


def fuse_boxes(candidates: Candidates) -> Candidates:
    """Keeps one candidate per position, from its best scale, with probabilities of all scales.

    The remaining candidates hardly overlap and are sorted by descending score.
    """
    weights = candidates.score * scale_weight(candidates.seen)
    order = np.argsort(-weights, kind="stable")
    candidates, weights = candidates[order], weights[order]
    free = np.ones(len(candidates), bool)
    kept_indices: list[int] = []
    probabilities: list[Floats] = []
    for index in range(len(candidates)):
        if not free[index]:
            continue
        union, containment = overlaps(candidates.boxes[index], candidates.boxes)
        same = free & (union > _MAX_IOU)
        same[index] = True
        kept_indices.append(index)
        probabilities.append(_geometric_mean(candidates.probabilities[same], weights[same]))
        free &= ~(same | (containment > _MAX_CONTAINMENT))
    kept = candidates[np.array(kept_indices, np.intp)]
    fused = np.stack(probabilities) if probabilities else kept.probabilities
    return Candidates(weights[kept_indices], fused, kept.boxes, kept.seen)


def scale_weight(seen: Floats) -> Floats:
    """Weight, 0.3 to 1, of detections with these heights in pixels of the copy."""
    small, large = seen / _MIN_HEIGHT, _MAX_HEIGHT / np.maximum(seen, 1)
    return np.clip(np.minimum(small, large), _MIN_WEIGHT, 1).astype(np.float32)


def _geometric_mean(probabilities: Floats, weights: Floats) -> Floats:
    """The geometric mean of probabilities, weighted by scale."""
    logs = (weights[:, None] * np.log(np.maximum(probabilities, 1e-6))).sum(axis=0)
    chances = np.exp((logs - logs.max()) / max(float(weights.sum()), 1e-6))
    return (chances / chances.sum()).astype(np.float32)


def overlaps(box: Floats, boxes: Floats) -> tuple[Floats, Floats]:
    """Intersection of a box with each of float32[N, 4], over their union and over the smaller."""
    # Per coordinate: reducing along rows of two takes five times as long.
    (left, top, right, bottom), (x0, y0, x1, y1) = box, boxes.T
    width = np.maximum(np.minimum(right, x1) - np.maximum(left, x0), 0)
    intersection = width * np.maximum(np.minimum(bottom, y1) - np.maximum(top, y0), 0)
    areas = (x1 - x0) * (y1 - y0)
    area = float((right - left) * (bottom - top))
    union = np.maximum(areas + area - intersection, 1e-6)  # boxes may be empty
    return intersection / union, intersection / np.maximum(np.minimum(areas, area), 1e-6)
