"""Non-maximum suppression: boxes from several scales made one candidate for each place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from typing import Self

Floats = npt.NDArray[np.float32]

_SAME = 0.4  # overlap of two boxes, over their union: the same digit seen twice
_WITHIN = 0.75  # share of the smaller box inside the larger: a part of the same digit
_SMALL, _LARGE = 24.0, 120.0  # pixels in a copy: heights between which a digit is seen best
_LEAST_WEIGHT = 0.3


class Columns:
    """Of a frozen dataclass whose fields have a row for each of N things: arrays or columns."""

    def __len__(self) -> int:
        return len(next(iter(vars(self).values())))

    def __getitem__(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Self:
        return type(self)(*(column[chosen] for column in vars(self).values()))

    @classmethod
    def joined(cls, parts: Iterable[Self]) -> Self:
        """The things of one or several, one after the other."""
        columns = zip(*(vars(part).values() for part in parts), strict=True)
        return cls(*map(_joined, columns))


@dataclass(frozen=True)
class Candidates(Columns):
    """Places that may hold a digit."""

    score: Floats  # float32[N]; how surely a digit is there, 0..1
    probabilities: Floats  # float32[N, 10]; which one
    boxes: Floats  # float32[N, 4]; x0, y0, x1, y1 in page pixels
    seen: Floats  # float32[N]; height in pixels of the copy that showed it best


def _joined(parts: tuple[Any, ...]) -> Any:
    is_nested = isinstance(parts[0], Columns)
    return type(parts[0]).joined(parts) if is_nested else np.concatenate(parts)


def fuse_boxes(found: Candidates) -> Candidates:
    """One candidate for each place, from the scale that shows it best; values from all scales.

    Those that are left do not overlap much, and go from high to low score.
    """
    weight = found.score * scale_weight(found.seen)
    order = np.argsort(-weight, kind="stable")
    found, weight = found[order], weight[order]
    free = np.ones(len(found), bool)
    keep: list[int] = []
    probabilities: list[Floats] = []
    for index in range(len(found)):
        if not free[index]:
            continue
        union, part = overlaps(found.boxes[index], found.boxes)
        same = free & (union > _SAME)
        same[index] = True
        keep.append(index)
        probabilities.append(_agreed(found.probabilities[same], weight[same]))
        free &= ~(same | (part > _WITHIN))
    kept = found[np.array(keep, np.intp)]
    agreed = np.stack(probabilities) if probabilities else kept.probabilities
    return Candidates(weight[keep], agreed, kept.boxes, kept.seen)


def scale_weight(seen: Floats) -> Floats:
    """How far a scale is to be trusted with digits of these heights in pixels; 0.3 to 1."""
    small, large = seen / _SMALL, _LARGE / np.maximum(seen, 1)
    return np.clip(np.minimum(small, large), _LEAST_WEIGHT, 1).astype(np.float32)


def _agreed(probabilities: Floats, weight: Floats) -> Floats:
    """The geometric mean, each scale counting as much as it is trusted."""
    logs = (weight[:, None] * np.log(np.maximum(probabilities, 1e-6))).sum(axis=0)
    chances = np.exp((logs - logs.max()) / max(float(weight.sum()), 1e-6))
    return (chances / chances.sum()).astype(np.float32)


def overlaps(box: Floats, boxes: Floats) -> tuple[Floats, Floats]:
    """Intersection of a box with each of float32[N, 4], over their union and over the smaller."""
    # Side by side: products and limits along rows of two take five times as long.
    (left, top, right, bottom), (x0, y0, x1, y1) = box, boxes.T
    wide = np.maximum(np.minimum(right, x1) - np.maximum(left, x0), 0)
    common = wide * np.maximum(np.minimum(bottom, y1) - np.maximum(top, y0), 0)
    areas = (x1 - x0) * (y1 - y0)
    area = float((right - left) * (bottom - top))
    union = np.maximum(areas + area - common, 1e-6)  # boxes may be empty
    return common / union, common / np.maximum(np.minimum(areas, area), 1e-6)
