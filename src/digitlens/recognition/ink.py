"""Separates ink from paper: evens out the light, settles the polarity, tells ink from noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from digitlens.data.images import Page, resize, shrink
from digitlens.recognition.paper import Plane, Planes, broad_paper, edge_level, fine_contrast

WORK = 1280  # longest side of the working copy: a digit of 1/40 of it still has 32 pixels

_FAINTEST = 4.0  # gray levels: what differs less from its paper is never ink
_ABOVE_NOISE = 3.0  # standard deviations of the noise: likewise
_DRAWN = 0.3  # a page with less noise was drawn on a screen, where no shadow falls
_BLOCKS = 20  # along the longest side, to look for what is too wide for a stroke
_WIDE = 3  # so many blocks full of ink at the border are a shadow or a table

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Ink:
    """How strongly each pixel of a page differs from its paper in the way that ink does.

    Attributes:
        strength: float32[h, w] in gray levels; near 0 on paper, large on ink.
        threshold: Strength half-way up the edge of a stroke.
        noise: Standard deviation of the strength on paper.
        scale: Pixels here per pixel of the page, at most 1.
    """

    strength: Plane
    threshold: float
    noise: float
    scale: float


def separate_ink(page: Page) -> Ink | None:
    """Finds the ink of a page: dark or light on its paper, or of another colour.

    Args:
        page: uint8[H, W] or uint8[H, W, 3].

    Returns:
        The ink, or None when nothing stands out from the noise of the paper.
    """
    work = shrink(page, WORK)
    planes = np.moveaxis(np.atleast_3d(work), 2, 0).astype(np.float32)
    scale = work.shape[1] / page.shape[1]
    paper, seen = broad_paper(planes)
    ink = _measure(planes - paper, seen, scale)
    if ink is not None and ink.noise > _DRAWN and _has_region(ink.strength > ink.threshold):
        return _measure(fine_contrast(planes), np.ones_like(seen), scale)
    return ink


def _measure(contrast: Planes, seen: Mask, scale: float) -> Ink | None:
    strength = _along_ink(contrast)
    # The deviation of all pixels breaks down near half ink. That of the paper seen as such is too
    # small on mere noise, of which only the weaker part counts as paper: by a third, on average.
    noise = min(_deviation(strength), 1.5 * _deviation(strength[seen]))
    threshold = edge_level(strength, max(_FAINTEST, _ABOVE_NOISE * noise))
    return None if threshold is None else Ink(strength, threshold, noise, scale)


def _along_ink(contrast: Planes) -> Plane:
    """One plane from three: along the direction in which the strongest pixels differ from paper.

    Ink is rarer than paper, so its side is the one with the longer tail.
    """
    flat = contrast.reshape(len(contrast), -1)
    size = np.abs(flat).max(axis=0)
    strong = flat[:, size >= 0.3 * size.max()]
    _, directions = np.linalg.eigh(strong @ strong.T)
    direction = directions[:, -1] / np.abs(directions[:, -1]).sum()
    strength = np.tensordot(direction.astype(np.float32), contrast, 1)
    return (
        strength
        if float((strength * strength * strength).sum(dtype=np.float64)) >= 0
        else -strength
    )


def _deviation(values: Plane) -> float:
    """Standard deviation, from the median absolute deviation; 0 of nothing."""
    if not values.size:
        return 0.0
    sample = values.ravel()[:: max(1, values.size // 200_000)]
    return float(1.4826 * np.median(np.abs(sample - np.median(sample))))


def _has_region(mask: Mask) -> bool:
    """Whether something at the border is too wide for a stroke, on a page large enough to tell."""
    height, width = mask.shape
    step = max(height, width) / _BLOCKS
    columns, rows = max(1, round(width / step)), max(1, round(height / step))
    full = resize(mask.astype(np.float32), columns, rows) > 0.9
    border = (full[0], full[-1], full[:, 0], full[:, -1])
    return step >= 8 and sum(int(side.sum()) for side in border) >= _WIDE
